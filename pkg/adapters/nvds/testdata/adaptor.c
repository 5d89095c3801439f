/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A protocol adaptor for tests: it speaks to the test's own server over TCP, in lines with counted payloads.
 *   to the server:  P <number> <topic> <size>\n<payload>     publish
 *                   S <topic>\n                               subscribe
 *   from it:        A <number> <code>\n                       the answer to a publish
 *                   M <topic> <size>\n<payload>               a message
 * The part after the second semicolon of the connection string is a fault to show: "inside" answers from
 * within send_async, "twice" answers twice, "full" refuses every third message once, "null" never connects,
 * "late" answers from a thread of its own. Defines leave functions out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef void (*connect_cb)(void *h, int event);
typedef void (*send_cb)(void *user, int err);
typedef void (*subscribe_cb)(int err, void *message, int size, char *topic, void *user);

typedef struct waiting {
	struct waiting *next;
	unsigned long number;
	send_cb cb;
	void *user;
} waiting;

typedef struct {
	int fd, down, twice, inside, full, late;
	unsigned long count;
	connect_cb event;
	pthread_mutex_t mu;
	waiting *first;
	char *out; /* to be written */
	size_t out_size, out_cap;
	char in[1 << 20];
	size_t in_size;
	subscribe_cb on_message;
	void *on_message_user;
} adaptor;

static void answer(adaptor *a, unsigned long number, int code);

void *nvds_msgapi_connect(char *conn_str, connect_cb event, char *config)
{
	char host[64], fault[64] = "";
	int port, one = 1;
	struct sockaddr_in to = { .sin_family = AF_INET };
	adaptor *a;

	(void)config;
	if (!conn_str || sscanf(conn_str, "%63[^;];%d;%63s", host, &port, fault) < 2 || !strcmp(fault, "null"))
		return NULL;
	to.sin_port = htons((uint16_t)port);
	inet_pton(AF_INET, host, &to.sin_addr);
	a = calloc(1, sizeof *a);
	a->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(a->fd, (struct sockaddr *)&to, sizeof to)) {
		close(a->fd);
		free(a);
		return NULL;
	}
	fcntl(a->fd, F_SETFL, O_NONBLOCK);
	setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	a->event = event;
	a->twice = !strcmp(fault, "twice");
	a->inside = !strcmp(fault, "inside");
	a->full = !strcmp(fault, "full");
	a->late = !strcmp(fault, "late");
	pthread_mutex_init(&a->mu, NULL);
	return a;
}

static void put(adaptor *a, const void *data, size_t n)
{
	if (a->out_size + n > a->out_cap) {
		a->out_cap = (a->out_size + n) * 2;
		a->out = realloc(a->out, a->out_cap);
	}
	memcpy(a->out + a->out_size, data, n);
	a->out_size += n;
}

#ifndef NO_SEND_ASYNC
int nvds_msgapi_send_async(void *h, char *topic, const uint8_t *payload, size_t size, send_cb cb, void *user)
{
	adaptor *a = h;
	char head[512];
	waiting *w;

	if (!strcmp(topic, "unknown"))
		return 2;
	pthread_mutex_lock(&a->mu);
	a->count++;
	if (a->down || (a->full && a->count % 3 == 0)) {
		pthread_mutex_unlock(&a->mu);
		return 1;
	}
	w = malloc(sizeof *w);
	w->number = a->count;
	w->cb = cb;
	w->user = user;
	w->next = a->first;
	a->first = w;
	put(a, head, (size_t)snprintf(head, sizeof head, "P %lu %s %zu\n", w->number, topic, size));
	put(a, payload, size);
	pthread_mutex_unlock(&a->mu);
	if (a->inside)
		answer(a, w->number, 0);
	return 0;
}
#endif

typedef struct {
	send_cb cb;
	void *user;
	int code;
} later;

static void *answer_later(void *p)
{
	later *l = p;

	usleep(1000);
	l->cb(l->user, l->code);
	free(l);
	return NULL;
}

static void answer(adaptor *a, unsigned long number, int code)
{
	waiting **p, *w = NULL;

	pthread_mutex_lock(&a->mu);
	for (p = &a->first; *p; p = &(*p)->next)
		if ((*p)->number == number) {
			w = *p;
			*p = w->next;
			break;
		}
	pthread_mutex_unlock(&a->mu);
	if (!w)
		return;
	if (a->late) {
		later *l = malloc(sizeof *l);
		pthread_t t;

		l->cb = w->cb;
		l->user = w->user;
		l->code = code;
		pthread_create(&t, NULL, answer_later, l);
		pthread_detach(t);
	} else {
		w->cb(w->user, code);
		if (a->twice)
			w->cb(w->user, code);
	}
	free(w);
}

static void lost(adaptor *a)
{
	waiting *w;

	a->down = 1;
	while ((w = a->first)) {
		unsigned long number = w->number;

		answer(a, number, 1);
	}
	a->event(a, 2);
}

static void parse(adaptor *a)
{
	char *p = a->in, *end = a->in + a->in_size, *nl;

	while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
		unsigned long number;
		char topic[256];
		size_t size;
		int code;

		if (sscanf(p, "A %lu %d", &number, &code) == 2) {
			p = nl + 1;
			answer(a, number, code);
		} else if (sscanf(p, "M %255s %zu", topic, &size) == 2) {
			if ((size_t)(end - nl - 1) < size)
				break;
			if (a->on_message)
				a->on_message(0, nl + 1, (int)size, topic, a->on_message_user);
			p = nl + 1 + size;
		} else {
			p = nl + 1;
		}
	}
	memmove(a->in, p, (size_t)(end - p));
	a->in_size = (size_t)(end - p);
}

#ifndef NO_DO_WORK
void nvds_msgapi_do_work(void *h)
{
	adaptor *a = h;
	ssize_t n;

	if (a->down)
		return;
	pthread_mutex_lock(&a->mu);
	n = a->out_size ? send(a->fd, a->out, a->out_size, MSG_NOSIGNAL) : 0;
	if (n > 0) {
		memmove(a->out, a->out + n, a->out_size - (size_t)n);
		a->out_size -= (size_t)n;
	}
	pthread_mutex_unlock(&a->mu);
	if (n < 0 && errno != EAGAIN) {
		lost(a);
		return;
	}
	n = recv(a->fd, a->in + a->in_size, sizeof a->in - a->in_size, 0);
	if (n > 0) {
		a->in_size += (size_t)n;
		parse(a);
	} else if (n == 0 || errno != EAGAIN) {
		lost(a);
	}
}
#endif

#ifndef NO_SUBSCRIBE
int nvds_msgapi_subscribe(void *h, char **topics, int count, subscribe_cb cb, void *user)
{
	adaptor *a = h;
	char line[512];
	int i;

	a->on_message = cb;
	a->on_message_user = user;
	for (i = 0; i < count; i++) {
		if (!strcmp(topics[i], "forbidden"))
			return 1;
		pthread_mutex_lock(&a->mu);
		put(a, line, (size_t)snprintf(line, sizeof line, "S %s\n", topics[i]));
		pthread_mutex_unlock(&a->mu);
	}
	return 0;
}
#endif

int nvds_msgapi_disconnect(void *h)
{
	adaptor *a = h;
	waiting *w;

	close(a->fd);
	while ((w = a->first)) {
		a->first = w->next;
		free(w);
	}
	free(a->out);
	free(a);
	return 0;
}

#ifndef NO_NAMES
char *nvds_msgapi_getversion(void) { return "1.5"; }
/* With MQTT in its name, do_work is called also when nothing is under way. */
char *nvds_msgapi_get_protocol_name(void) { return "TESTMQTT"; }
#endif
