/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nvds.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The functions of nvds_msgapi. */
typedef void *handle_t;
typedef void (*connect_cb)(handle_t h, int event);
typedef void (*send_cb)(void *user, int err);
typedef void (*subscribe_cb)(int err, void *message, int size, char *topic, void *user);

struct ewn_lib {
	handle_t (*connect)(char *conn_str, connect_cb cb, char *config);
	int (*send_async)(handle_t h, char *topic, const uint8_t *payload, size_t size, send_cb cb, void *user);
	int (*subscribe)(handle_t h, char **topics, int count, subscribe_cb cb, void *user);
	void (*do_work)(handle_t h);
	int (*disconnect)(handle_t h);
	char *(*getversion)(void);
	char *(*get_protocol_name)(void);
};

typedef struct {
	uint64_t seq;
	uint16_t generation;
	int busy;
	uint32_t next; /* in the list of free slots */
} slot;

#define NO_SLOT UINT32_MAX

struct ewn_conn {
	ewn_lib *lib;
	handle_t handle;
	uint16_t id;

	pthread_mutex_t mu;
	pthread_cond_t changed; /* an answer, an event, a poke */
	pthread_cond_t arrived; /* a message */
	slot *slots;
	uint32_t capacity, first_free;
	ewn_result *done; /* a ring as large as slots */
	size_t done_first, done_count, pending;
	int event, stopped, poked, roused;

	ewn_message *head, **tail;
	size_t unacknowledged, window;

	char *topic; /* of the sender: a topic with its NUL */
	size_t topic_size;
};

/*
 * A library gets a number as user data, not a pointer: one that answers twice, or after the end, then does no
 * harm. A number is id, generation and slot; it is never NULL, since ids begin with 1.
 */
#define MAX_CONNS 65536
static pthread_mutex_t table_mu = PTHREAD_MUTEX_INITIALIZER; /* before any conn's mu */
static ewn_conn *table[MAX_CONNS];
static uint16_t last_id;

/* The connection that this thread is just making: its handle is not known to anybody yet. */
static __thread ewn_conn *connecting;

/* Events of handles that nobody knows: a library's thread may be quicker than the return of its connect. */
#define ORPHANS 16
static struct {
	handle_t handle;
	int event;
} orphans[ORPHANS];
static unsigned next_orphan;

static void *token(const ewn_conn *c, uint32_t i)
{
	return (void *)(uintptr_t)((uint64_t)c->id << 48 | (uint64_t)c->slots[i].generation << 32 | i);
}

static void on_sent(void *user, int err)
{
	uint64_t t = (uint64_t)(uintptr_t)user;
	uint32_t i = (uint32_t)t;
	ewn_conn *c;

	pthread_mutex_lock(&table_mu);
	c = table[t >> 48];
	if (c) {
		pthread_mutex_lock(&c->mu);
		if (i < c->capacity && c->slots[i].busy && c->slots[i].generation == (uint16_t)(t >> 32)) {
			ewn_result *r = &c->done[(c->done_first + c->done_count++) % c->capacity];

			r->seq = c->slots[i].seq;
			r->err = err;
			c->slots[i].busy = 0;
			c->slots[i].generation++;
			c->slots[i].next = c->first_free;
			c->first_free = i;
			c->pending--;
			pthread_cond_signal(&c->changed);
		}
		pthread_mutex_unlock(&c->mu);
	}
	pthread_mutex_unlock(&table_mu);
}

static void on_event(handle_t h, int event)
{
	ewn_conn *c = connecting;
	int i;

	pthread_mutex_lock(&table_mu);
	for (i = 1; !c && i < MAX_CONNS; i++)
		if (table[i] && table[i]->handle == h && h)
			c = table[i];
	if (c) {
		pthread_mutex_lock(&c->mu);
		c->event = event;
		pthread_cond_signal(&c->changed);
		pthread_mutex_unlock(&c->mu);
	} else if (h) {
		orphans[next_orphan % ORPHANS].handle = h;
		orphans[next_orphan++ % ORPHANS].event = event;
	}
	pthread_mutex_unlock(&table_mu);
}

/* adopt_orphans takes over what was said of the connection's handle before anyone knew it. */
static void adopt_orphans(ewn_conn *c)
{
	unsigned i;

	for (i = 0; i < ORPHANS; i++) {
		if (orphans[i].handle != c->handle || !c->handle)
			continue;
		orphans[i].handle = NULL;
		pthread_mutex_lock(&c->mu);
		c->event = orphans[i].event;
		pthread_mutex_unlock(&c->mu);
	}
}

/* find looks one function up; a missing one that is required is noted in err. */
static void *find(void *dl, const char *name, int required, char *err, size_t size)
{
	void *p = dlsym(dl, name);

	if (!p && required) {
		size_t n = strlen(err);

		if (n < size)
			snprintf(err + n, size - n, "%s%s", n ? ", " : "", name);
	}
	return p;
}

ewn_lib *ewn_open(const char *path, char *err, size_t size)
{
	void *dl = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	char missing[256] = "";
	ewn_lib *l;

	if (!dl) {
		const char *why = dlerror();

		snprintf(err, size, "%s", why ? why : "unknown reason");
		return NULL;
	}
	l = calloc(1, sizeof *l);
	if (!l) {
		snprintf(err, size, "no memory");
		return NULL;
	}
	/* POSIX guarantees this conversion of dlsym's result; ISO C does not. */
	*(void **)&l->connect = find(dl, "nvds_msgapi_connect", 1, missing, sizeof missing);
	*(void **)&l->send_async = find(dl, "nvds_msgapi_send_async", 1, missing, sizeof missing);
	*(void **)&l->do_work = find(dl, "nvds_msgapi_do_work", 1, missing, sizeof missing);
	*(void **)&l->disconnect = find(dl, "nvds_msgapi_disconnect", 1, missing, sizeof missing);
	*(void **)&l->subscribe = find(dl, "nvds_msgapi_subscribe", 0, NULL, 0);
	*(void **)&l->getversion = find(dl, "nvds_msgapi_getversion", 0, NULL, 0);
	*(void **)&l->get_protocol_name = find(dl, "nvds_msgapi_get_protocol_name", 0, NULL, 0);
	if (missing[0]) {
		snprintf(err, size, "it does not export %s", missing);
		free(l);
		dlclose(dl);
		return NULL;
	}
	return l;
}

static const char *text_of(char *(*f)(void))
{
	const char *s = f ? f() : NULL;

	return s ? s : "";
}

const char *ewn_protocol(const ewn_lib *l) { return text_of(l->get_protocol_name); }
const char *ewn_version(const ewn_lib *l) { return text_of(l->getversion); }
int ewn_can_subscribe(const ewn_lib *l) { return l->subscribe != NULL; }

static void monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

ewn_conn *ewn_new(ewn_lib *l, size_t capacity)
{
	ewn_conn *c = calloc(1, sizeof *c);
	uint32_t i;
	int tries;

	if (!c)
		return NULL;
	c->lib = l;
	c->capacity = (uint32_t)capacity;
	c->slots = calloc(capacity, sizeof *c->slots);
	c->done = calloc(capacity, sizeof *c->done);
	if (!c->slots || !c->done) {
		free(c->slots);
		free(c->done);
		free(c);
		return NULL;
	}
	for (i = 0; i < c->capacity; i++)
		c->slots[i].next = i + 1 < c->capacity ? i + 1 : NO_SLOT;
	c->event = EWN_NO_EVENT;
	c->tail = &c->head;
	pthread_mutex_init(&c->mu, NULL);
	monotonic(&c->changed);
	monotonic(&c->arrived);
	pthread_mutex_lock(&table_mu);
	for (tries = 0; tries < MAX_CONNS && (c->id == 0 || table[c->id]); tries++)
		c->id = ++last_id;
	if (c->id && !table[c->id])
		table[c->id] = c;
	else
		c->id = 0;
	pthread_mutex_unlock(&table_mu);
	if (c->id == 0) {
		ewn_free(c);
		return NULL;
	}
	return c;
}

void ewn_free(ewn_conn *c)
{
	pthread_mutex_lock(&table_mu);
	if (c->id)
		table[c->id] = NULL;
	pthread_mutex_lock(&c->mu); /* nobody can come any more; who was inside has left */
	pthread_mutex_unlock(&c->mu);
	pthread_mutex_unlock(&table_mu);
	while (c->head) {
		ewn_message *m = c->head;

		c->head = m->next;
		free(m);
	}
	pthread_cond_destroy(&c->changed);
	pthread_cond_destroy(&c->arrived);
	pthread_mutex_destroy(&c->mu);
	free(c->slots);
	free(c->done);
	free(c->topic);
	free(c);
}

int ewn_connect(ewn_conn *c, const char *conn_str, const char *config)
{
	/* The interface takes char *: copies, in case that the library writes into them. */
	char *s = *conn_str ? strdup(conn_str) : NULL;
	char *f = *config ? strdup(config) : NULL;
	handle_t h;

	connecting = c;
	h = c->lib->connect(s, on_event, f);
	connecting = NULL;
	free(s);
	free(f);
	pthread_mutex_lock(&table_mu);
	c->handle = h;
	adopt_orphans(c);
	pthread_mutex_unlock(&table_mu);
	return h != NULL;
}

void ewn_disconnect(ewn_conn *c)
{
	if (c->handle)
		c->lib->disconnect(c->handle);
	pthread_mutex_lock(&table_mu);
	c->handle = NULL;
	pthread_mutex_unlock(&table_mu);
}

/* take_slot returns a slot for seq, or NO_SLOT. */
static uint32_t take_slot(ewn_conn *c, uint64_t seq)
{
	uint32_t i;

	pthread_mutex_lock(&c->mu);
	/* answers that were not collected need their place in the ring */
	i = c->pending + c->done_count < c->capacity ? c->first_free : NO_SLOT;
	if (i != NO_SLOT) {
		c->first_free = c->slots[i].next;
		c->slots[i].seq = seq;
		c->slots[i].busy = 1;
		c->pending++;
	}
	pthread_mutex_unlock(&c->mu);
	return i;
}

/* untake_slot gives the slot back unless the library has answered it all the same: then 0. */
static int untake_slot(ewn_conn *c, uint32_t i, uint64_t seq)
{
	int ours;

	pthread_mutex_lock(&c->mu);
	ours = c->slots[i].busy && c->slots[i].seq == seq;
	if (ours) {
		c->slots[i].busy = 0;
		c->slots[i].generation++;
		c->slots[i].next = c->first_free;
		c->first_free = i;
		c->pending--;
	}
	pthread_mutex_unlock(&c->mu);
	return ours;
}

size_t ewn_send(ewn_conn *c, const char *data, const ewn_record *records, size_t from, size_t count, int *err)
{
	size_t i;

	*err = 0;
	for (i = from; i < count; i++) {
		const ewn_record *r = &records[i];
		uint32_t s;
		int rc;

		if (r->topic_len + 1 > c->topic_size) {
			char *t = realloc(c->topic, r->topic_len + 1);

			if (!t)
				break;
			c->topic = t;
			c->topic_size = r->topic_len + 1;
		}
		memcpy(c->topic, data + r->topic, r->topic_len);
		c->topic[r->topic_len] = 0;
		s = take_slot(c, r->seq);
		if (s == NO_SLOT)
			break;
		rc = c->lib->send_async(c->handle, c->topic, (const uint8_t *)data + r->payload, r->payload_len,
			on_sent, token(c, s));
		if (rc != EWN_OK && untake_slot(c, s, r->seq)) {
			*err = rc;
			break;
		}
	}
	return i - from;
}

/* wait_for waits on cond until t; 0 when the time is over. */
static int wait_for(pthread_cond_t *cond, pthread_mutex_t *mu, const struct timespec *t)
{
	return pthread_cond_timedwait(cond, mu, t) != ETIMEDOUT;
}

static struct timespec after(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

size_t ewn_work(ewn_conn *c, int work, int wait_ms, ewn_result *out, size_t capacity, int *event, size_t *pending)
{
	struct timespec until = after(wait_ms);
	size_t n = 0;

	if (work)
		c->lib->do_work(c->handle);
	pthread_mutex_lock(&c->mu);
	while (c->done_count == 0 && c->event == EWN_NO_EVENT && !c->stopped && !c->poked)
		if (!wait_for(&c->changed, &c->mu, &until))
			break;
	c->poked = 0;
	while (n < capacity && c->done_count > 0) {
		out[n++] = c->done[c->done_first];
		c->done_first = (c->done_first + 1) % c->capacity;
		c->done_count--;
	}
	*event = c->event;
	c->event = EWN_NO_EVENT;
	*pending = c->pending;
	pthread_mutex_unlock(&c->mu);
	return n;
}

void ewn_stop(ewn_conn *c)
{
	pthread_mutex_lock(&c->mu);
	c->stopped = 1;
	pthread_cond_broadcast(&c->changed);
	pthread_cond_broadcast(&c->arrived);
	pthread_mutex_unlock(&c->mu);
}

void ewn_poke(ewn_conn *c)
{
	pthread_mutex_lock(&c->mu);
	c->poked = 1;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

/*
 * A library's thread brings a message. While the window is full it waits here: that is all the flow control
 * that the interface has. It waits in short naps without the table's lock, since the connection may end.
 */
static void on_message(int err, void *message, int size, char *topic, void *user)
{
	uint16_t id = (uint16_t)(uintptr_t)user;
	size_t topic_len = topic ? strlen(topic) : 0;
	ewn_message *m;
	int done;

	if (size < 0 || !message)
		size = 0;
	m = malloc(sizeof *m + topic_len + (size_t)size);
	if (!m)
		return;
	m->next = NULL;
	m->err = err;
	m->topic_len = (uint32_t)topic_len;
	m->size = (uint64_t)size;
	if (topic_len)
		memcpy(m->data, topic, topic_len);
	if (size)
		memcpy(m->data + topic_len, message, (size_t)size);
	for (;;) {
		struct timespec nap = { 0, 2000000 };
		ewn_conn *c;

		pthread_mutex_lock(&table_mu);
		c = table[id];
		if (!c) {
			pthread_mutex_unlock(&table_mu);
			break;
		}
		pthread_mutex_lock(&c->mu);
		done = c->stopped;
		if (!done && c->unacknowledged < c->window) {
			c->unacknowledged++;
			*c->tail = m;
			c->tail = &m->next;
			pthread_cond_signal(&c->arrived);
			m = NULL;
			done = 1;
		}
		pthread_mutex_unlock(&c->mu);
		pthread_mutex_unlock(&table_mu);
		if (done)
			break;
		nanosleep(&nap, NULL);
	}
	free(m);
}

int ewn_subscribe(ewn_conn *c, char **topics, int count, size_t window)
{
	pthread_mutex_lock(&c->mu);
	c->window = window;
	pthread_mutex_unlock(&c->mu);
	return c->lib->subscribe(c->handle, topics, count, on_message, (void *)(uintptr_t)c->id);
}

ewn_message *ewn_receive(ewn_conn *c, int wait_ms)
{
	struct timespec until = after(wait_ms);
	ewn_message *m;

	pthread_mutex_lock(&c->mu);
	while (!c->head && !c->stopped && !c->roused)
		if (!wait_for(&c->arrived, &c->mu, &until))
			break;
	c->roused = 0;
	m = c->head;
	c->head = NULL;
	c->tail = &c->head;
	pthread_mutex_unlock(&c->mu);
	return m;
}

void ewn_rouse(ewn_conn *c)
{
	pthread_mutex_lock(&c->mu);
	c->roused = 1;
	pthread_cond_signal(&c->arrived);
	pthread_mutex_unlock(&c->mu);
}

void ewn_ack(ewn_conn *c, size_t n)
{
	pthread_mutex_lock(&c->mu);
	c->unacknowledged -= n < c->unacknowledged ? n : c->unacknowledged;
	pthread_mutex_unlock(&c->mu);
}
