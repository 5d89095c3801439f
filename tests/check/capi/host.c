/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A C application on DeepStream's interfaces, for tests. It never calls gst_init.
 *
 *   host msgapi LIB CONN_STR CONFIG TOPIC COUNT    every nvds_msgapi function; exit code 0 if all is right
 *   host nulls LIB CONN_STR TOPIC                  NULL and empty arguments
 *   host absent LIB CONN_STR                       a server that is not there
 *   host msgbroker LIB PROTO CONN_STR TOPIC COUNT THREADS   nv_msgbroker from several threads
 *   host inside LIB PROTO CONN_STR TOPIC           calls from within call backs, disconnect included
 *   host stopping LIB CONN_STR TOPIC               disconnect from within an adaptor's call backs
 *   host ends LIB CONN_STR TOPIC                   disconnect by several threads at once
 *   host outage LIB PROTO CONN_STR TOPIC COUNT     publishes COUNT, one a millisecond; tells the states
 *   host both LIB MSGBROKER_LIB CONN_STR TOPIC     two libraries in one process
 *   host receive LIB MSGBROKER_LIB PROTO CONN_STR TOPIC   messages from before and after subscribing, by both libraries
 *   host unsupported MSGBROKER_LIB PROTO CONN_STR  nv_msgbroker with an adaptor that cannot subscribe
 *   host refused LIB CONN_STR CONFIG               what the synchronous send tells of a topic that is not there
 *
 * With -DWITH_LOGGER it has DeepStream's logger, which writes to standard output.
 */
#include "nvds_msgapi.h"
#include "nvmsgbroker.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int failures;

#define CHECK(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s: ", __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			failures++; \
		} \
	} while (0)

static void *symbol(void *so, const char *name)
{
	void *p = dlsym(so, name);

	if (!p) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	return p;
}

static void *library(const char *path)
{
	void *so = dlopen(path, RTLD_LAZY | RTLD_LOCAL);

	if (!so) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	return so;
}

static struct {
	__typeof__(nvds_msgapi_connect) *connect;
	__typeof__(nvds_msgapi_send) *send;
	__typeof__(nvds_msgapi_send_async) *send_async;
	__typeof__(nvds_msgapi_subscribe) *subscribe;
	__typeof__(nvds_msgapi_do_work) *do_work;
	__typeof__(nvds_msgapi_disconnect) *disconnect;
	__typeof__(nvds_msgapi_getversion) *getversion;
	__typeof__(nvds_msgapi_get_protocol_name) *get_protocol_name;
	__typeof__(nvds_msgapi_connection_signature) *signature;
} api;

static struct {
	__typeof__(nv_msgbroker_connect) *connect;
	__typeof__(nv_msgbroker_send_async) *send_async;
	__typeof__(nv_msgbroker_subscribe) *subscribe;
	__typeof__(nv_msgbroker_disconnect) *disconnect;
	__typeof__(nv_msgbroker_version) *version;
} nvb;

static void load_api(const char *path)
{
	void *so = library(path);

	api.connect = symbol(so, "nvds_msgapi_connect");
	api.send = symbol(so, "nvds_msgapi_send");
	api.send_async = symbol(so, "nvds_msgapi_send_async");
	api.subscribe = symbol(so, "nvds_msgapi_subscribe");
	api.do_work = symbol(so, "nvds_msgapi_do_work");
	api.disconnect = symbol(so, "nvds_msgapi_disconnect");
	api.getversion = symbol(so, "nvds_msgapi_getversion");
	api.get_protocol_name = symbol(so, "nvds_msgapi_get_protocol_name");
	api.signature = symbol(so, "nvds_msgapi_connection_signature");
}

static void load_nvb(const char *path)
{
	void *so = library(path);

	nvb.connect = symbol(so, "nv_msgbroker_connect");
	nvb.send_async = symbol(so, "nv_msgbroker_send_async");
	nvb.subscribe = symbol(so, "nv_msgbroker_subscribe");
	nvb.disconnect = symbol(so, "nv_msgbroker_disconnect");
	nvb.version = symbol(so, "nv_msgbroker_version");
}

#ifdef WITH_LOGGER
#include <stdarg.h>

__attribute__((visibility("default"))) void nvds_log(const char *category, int priority, const char *data, ...)
{
	va_list args;

	va_start(args, data);
	printf("logger %s %d ", category, priority);
	vprintf(data, args);
	putchar('\n');
	va_end(args);
}
#endif

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static atomic_int answered, failed_answers, received, in_call, answered_in_call;
static atomic_int *answers; /* per message */
static char last_payload[256];

static void on_sent(void *user, NvDsMsgApiErrorType flag)
{
	answered++;
	if (flag != NVDS_MSGAPI_OK)
		failed_answers++;
	if (in_call)
		answered_in_call++;
	if (user)
		(*(atomic_int *)user)++;
}

static void on_message(NvDsMsgApiErrorType flag, void *msg, int len, char *topic, void *user)
{
	CHECK(flag == NVDS_MSGAPI_OK && topic && *topic && user == last_payload, "flag %d", flag);
	snprintf(last_payload, sizeof last_payload, "%.*s", len, (char *)msg);
	received++;
}

static void work_until(NvDsMsgApiHandle h, atomic_int *what, int want)
{
	double end = now() + 30;

	while (*what < want && now() < end) {
		api.do_work(h);
		usleep(1000);
	}
}

static atomic_int stands, other_events;

static void on_event(NvDsMsgApiHandle h, NvDsMsgApiEventType event)
{
	CHECK(h != NULL, "no handle");
	if (event == NVDS_MSGAPI_EVT_SUCCESS)
		stands++;
	else
		other_events++;
}

static void wait_until(atomic_int *what, int want)
{
	double end = now() + 30;

	while (*what < want && now() < end)
		usleep(1000);
}

static int run_msgapi(char **a)
{
	int count = atoi(a[4]), greets, i;
	char signature[65], again[65];
	NvDsMsgApiHandle h;

	load_api(a[0]);
	printf("%s %s\n", api.get_protocol_name(), api.getversion());
	CHECK(api.signature(a[1], a[2], signature, sizeof signature) == NVDS_MSGAPI_OK, "no signature");
	CHECK(api.signature(a[1], a[2], again, sizeof again) == NVDS_MSGAPI_OK && !strcmp(signature, again), "not stable");
	printf("signature %s\n", signature);
	h = api.connect(a[1], on_event, a[2]);
	CHECK(h != NULL, "not connected");
	if (!h)
		return 1;
	greets = !strcmp(api.get_protocol_name(), "MQTT"); /* as in DeepStream */
	wait_until(&stands, greets);
	CHECK(api.send(h, a[3], (const uint8_t *)"first", 5) == NVDS_MSGAPI_OK, "sync send");
	answers = calloc((size_t)count, sizeof *answers);
	for (i = 0; i < count; i++) {
		char text[64];
		int n = snprintf(text, sizeof text, "message %06d", i);

		in_call = 1;
		CHECK(api.send_async(h, a[3], (const uint8_t *)text, (size_t)n, on_sent, &answers[i]) == NVDS_MSGAPI_OK, "%d", i);
		in_call = 0;
		memset(text, 'x', sizeof text); /* it was copied */
	}
	work_until(h, &answered, count);
	CHECK(answered == count && failed_answers == 0 && answered_in_call == 0, "%d answers, %d failed, %d inside", answered,
		failed_answers, answered_in_call);
	for (i = 0; i < count; i++)
		CHECK(answers[i] == 1, "message %d: %d answers", i, answers[i]);
	/* What is received: subscribe, then send until something comes. */
	CHECK(api.subscribe(h, &a[3], 1, on_message, last_payload) == NVDS_MSGAPI_OK, "subscribe");
	for (i = 0; i < 300 && received == 0; i++) {
		CHECK(api.send(h, a[3], (const uint8_t *)"to me", 5) == NVDS_MSGAPI_OK, "send");
		usleep(100000);
	}
	CHECK(received > 0, "nothing received");
	/* What disconnect finds queued is delivered and told. */
	answered = 0;
	for (i = 0; i < 100; i++)
		CHECK(api.send_async(h, a[3], (const uint8_t *)"last", 4, on_sent, NULL) == NVDS_MSGAPI_OK, "%d", i);
	CHECK(api.disconnect(h) == NVDS_MSGAPI_OK, "disconnect");
	CHECK(answered == 100 && failed_answers == 0, "%d answers, %d failed", answered, failed_answers);
	CHECK(stands == greets && other_events == 0, "%d and %d events", stands, other_events);
	/* After the end. */
	CHECK(api.send(h, a[3], (const uint8_t *)"late", 4) == NVDS_MSGAPI_ERR, "send after the end");
	CHECK(api.send_async(h, a[3], (const uint8_t *)"late", 4, on_sent, NULL) == NVDS_MSGAPI_ERR, "send_async after the end");
	CHECK(api.disconnect(h) == NVDS_MSGAPI_ERR, "a second disconnect");
	api.do_work(h);
	free(answers);
	return failures;
}

static int run_nulls(char **a)
{
	char out[65];
	NvDsMsgApiHandle h;
	int i;

	load_api(a[0]);
	CHECK(api.connect(NULL, NULL, NULL) == NULL, "connected to nothing");
	CHECK(api.connect((char *)"", NULL, (char *)"") == NULL, "connected to nothing");
	CHECK(api.connect((char *)"nonsense", NULL, NULL) == NULL, "connected to nonsense");
	CHECK(api.connect(a[1], NULL, (char *)"/nowhere/cfg.txt") == NULL, "read a file that is not there");
	CHECK(api.send(NULL, a[2], (const uint8_t *)"x", 1) == NVDS_MSGAPI_ERR, "send without a handle");
	CHECK(api.send_async(NULL, a[2], (const uint8_t *)"x", 1, on_sent, NULL) == NVDS_MSGAPI_ERR, "send_async without a handle");
	CHECK(api.subscribe(NULL, &a[2], 1, on_message, NULL) == NVDS_MSGAPI_ERR, "subscribe without a handle");
	CHECK(api.disconnect(NULL) == NVDS_MSGAPI_ERR, "disconnect without a handle");
	CHECK(api.disconnect((NvDsMsgApiHandle)&failures) == NVDS_MSGAPI_ERR, "disconnect with a pointer that is no handle");
	api.do_work(NULL);
	CHECK(api.signature(NULL, NULL, out, sizeof out) != NVDS_MSGAPI_ERR && out[0] == 0, "signature of nothing");
	CHECK(api.signature(a[1], NULL, out, 64) == NVDS_MSGAPI_ERR, "too little room");
	CHECK(api.signature(a[1], NULL, NULL, 65) == NVDS_MSGAPI_ERR, "no room");
	for (i = 0, h = NULL; !h && i < 5; i++) /* as in run_both */
		h = api.connect(a[1], NULL, NULL);
	CHECK(h != NULL, "not connected");
	CHECK(api.send(h, a[2], NULL, 0) == NVDS_MSGAPI_ERR, "no payload");
	CHECK(api.send(h, a[2], (const uint8_t *)"x", 0) == NVDS_MSGAPI_ERR, "an empty payload");
	CHECK(api.send_async(h, a[2], NULL, 5, on_sent, NULL) == NVDS_MSGAPI_ERR, "no payload, with a size");
	CHECK(api.send(h, NULL, (const uint8_t *)"x", 1) == NVDS_MSGAPI_ERR, "no topic");
	CHECK(api.send(h, (char *)"", (const uint8_t *)"x", 1) == NVDS_MSGAPI_ERR, "an empty topic");
	CHECK(api.send_async(h, a[2], (const uint8_t *)"x", 1, NULL, NULL) == NVDS_MSGAPI_OK, "no call back");
	CHECK(api.subscribe(h, NULL, 1, on_message, NULL) == NVDS_MSGAPI_ERR, "no topics");
	CHECK(api.subscribe(h, &a[2], 0, on_message, NULL) == NVDS_MSGAPI_ERR, "zero topics");
	CHECK(api.subscribe(h, &a[2], 1, NULL, NULL) == NVDS_MSGAPI_ERR, "no call back");
	CHECK(api.disconnect(h) == NVDS_MSGAPI_OK, "disconnect");
	CHECK(answered == 0, "%d answers", answered);
	return failures;
}

static int run_absent(char **a)
{
	double began = now();

	load_api(a[0]);
	CHECK(api.connect(a[1], NULL, NULL) == NULL, "connected");
	CHECK(now() - began < 9, "it took %.1f s", now() - began);
	return failures;
}

static atomic_int reconnecting, connected, dead;

static void on_state(NvMsgBrokerClientHandle h, NvMsgBrokerErrorType status)
{
	CHECK(h != NULL, "no handle");
	switch (status) {
	case NV_MSGBROKER_API_OK: connected++; break;
	case NV_MSGBROKER_API_RECONNECTING: reconnecting++; break;
	default: dead++;
	}
	printf("state %d\n", (int)status);
	fflush(stdout);
}

static void on_broker_sent(void *user, NvMsgBrokerErrorType flag) { on_sent(user, (NvDsMsgApiErrorType)flag); }

static NvMsgBrokerClientMsg message(char *topic, const char *text)
{
	NvMsgBrokerClientMsg m = { topic, (void *)text, strlen(text) };

	return m;
}

struct job {
	NvMsgBrokerClientHandle h;
	char *topic;
	int count;
};

static void *publish(void *p)
{
	struct job *j = p;
	int i;

	for (i = 0; i < j->count; i++)
		CHECK(nvb.send_async(j->h, message(j->topic, "from a thread"), on_broker_sent, NULL) == NV_MSGBROKER_API_OK, "%d", i);
	return NULL;
}

static int run_msgbroker(char **a)
{
	int count = atoi(a[4]), threads = atoi(a[5]), i;
	pthread_t *t = calloc((size_t)threads, sizeof *t);
	struct job j;

	load_nvb(a[0]);
	CHECK(!strcmp(nvb.version(), NV_MSGBROKER_VERSION), "%s", nvb.version());
	CHECK(nvb.connect(NULL, NULL, NULL, NULL) == NULL, "connected to nothing");
	CHECK(nvb.connect(a[2], NULL, on_state, NULL) == NULL, "connected by no protocol");
	CHECK(nvb.connect(a[2], (char *)"", on_state, (char *)"") == NULL, "connected by no protocol");
	CHECK(nvb.connect(a[2], (char *)"/nowhere/libmine.so", NULL, NULL) == NULL, "connected by a library that is not there");
	CHECK(nvb.connect((char *)"nonsense", a[1], NULL, NULL) == NULL, "connected to nonsense");
	CHECK(nvb.connect(a[2], a[1], NULL, (char *)"/nowhere/cfg.txt") == NULL, "read a file that is not there");
	CHECK(nvb.send_async(NULL, message(a[3], "x"), NULL, NULL) == NV_MSGBROKER_API_ERR, "no handle");
	j.h = nvb.connect(a[2], a[1], on_state, NULL);
	CHECK(j.h != NULL, "not connected");
	if (!j.h)
		return 1;
	j.topic = a[3];
	j.count = count;
	for (i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, publish, &j);
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	wait_until(&answered, count * threads);
	CHECK(answered == count * threads && failed_answers == 0, "%d answers, %d failed", answered, failed_answers);
	CHECK(nvb.send_async(j.h, message(NULL, "x"), NULL, NULL) == NV_MSGBROKER_API_ERR, "no topic");
	CHECK(nvb.send_async(j.h, message(a[3], ""), NULL, NULL) == NV_MSGBROKER_API_ERR, "no payload");
	CHECK(nvb.send_async(j.h, (NvMsgBrokerClientMsg){ a[3], NULL, 5 }, NULL, NULL) == NV_MSGBROKER_API_ERR, "no payload, with a size");
	CHECK(nvb.send_async(j.h, message((char *)"", "x"), NULL, NULL) == NV_MSGBROKER_API_ERR, "an empty topic");
	CHECK(nvb.send_async(j.h, message(a[3], "x"), NULL, NULL) == NV_MSGBROKER_API_OK, "no call back");
	CHECK(nvb.disconnect(j.h) == NV_MSGBROKER_API_OK, "disconnect");
	CHECK(nvb.disconnect(j.h) == NV_MSGBROKER_API_ERR, "a second disconnect");
	CHECK(nvb.disconnect(NULL) == NV_MSGBROKER_API_ERR, "no handle");
	free(t);
	return failures;
}

static NvMsgBrokerClientHandle inside_handle;
static char *inside_topic;
static atomic_int disconnected;

static void on_inside(void *user, NvMsgBrokerErrorType flag)
{
	(void)user;
	if (flag != NV_MSGBROKER_API_OK) { /* what the disconnect below left */
		failed_answers++;
		return;
	}
	switch (answered++) {
	case 0: /* call backs may publish … */
		CHECK(nvb.send_async(inside_handle, message(inside_topic, "again"), on_inside, NULL) == NV_MSGBROKER_API_OK, "send inside");
		break;
	case 1: /* … and end the connection */
		CHECK(nvb.disconnect(inside_handle) == NV_MSGBROKER_API_OK, "disconnect inside");
		disconnected = 1;
		break;
	}
}

static int run_inside(char **a)
{
	int i;

	load_nvb(a[0]);
	for (i = 0; i < 20; i++) {
		answered = disconnected = 0;
		inside_topic = a[3];
		inside_handle = nvb.connect(a[2], a[1], on_state, NULL);
		CHECK(inside_handle != NULL, "not connected");
		if (!inside_handle)
			return 1;
		CHECK(nvb.send_async(inside_handle, message(a[3], "one"), on_inside, NULL) == NV_MSGBROKER_API_OK, "send");
		wait_until(&disconnected, 1);
		CHECK(disconnected, "no disconnect");
		CHECK(nvb.send_async(inside_handle, message(a[3], "x"), NULL, NULL) == NV_MSGBROKER_API_ERR, "after the end");
	}
	return failures;
}

static NvDsMsgApiHandle stopping;
static atomic_int ended;

static void on_sent_stop(void *user, NvDsMsgApiErrorType flag)
{
	(void)user;
	(void)flag;
	CHECK(!ended, "a call back after the end");
	if (answered++ == 0) {
		CHECK(api.disconnect(stopping) == NVDS_MSGAPI_OK, "disconnect inside");
		ended = 1;
	}
}

static void on_message_stop(NvDsMsgApiErrorType flag, void *msg, int len, char *topic, void *user)
{
	(void)flag, (void)msg, (void)len, (void)topic, (void)user;
	if (!ended) {
		ended = 1;
		CHECK(api.disconnect(stopping) == NVDS_MSGAPI_OK, "disconnect inside");
	}
}

/* A host that ends an adaptor's connection from within its call backs hears of every message all the same. */
static int run_stopping(char **a)
{
	int i;

	load_api(a[0]);
	stopping = api.connect(a[1], NULL, NULL);
	CHECK(stopping != NULL, "not connected");
	for (i = 0; stopping && i < 200; i++)
		CHECK(api.send_async(stopping, a[2], (const uint8_t *)"one", 3, on_sent_stop, NULL) == NVDS_MSGAPI_OK, "%d", i);
	sleep(2); /* they are answered, and collected by one do_work */
	api.do_work(stopping);
	CHECK(answered == 200, "%d answers", answered);
	stopping = api.connect(a[1], NULL, NULL);
	CHECK(stopping != NULL, "not connected");
	if (!stopping)
		return 1;
	answered = failed_answers = ended = 0;
	CHECK(api.subscribe(stopping, &a[2], 1, on_message_stop, NULL) == NVDS_MSGAPI_OK, "subscribe");
	for (i = 0; !ended; i++) { /* nobody collects */
		CHECK(i < 3000, "nothing is received");
		if (i == 3000)
			return failures;
		if (api.send_async(stopping, a[2], (const uint8_t *)"to me", 5, on_sent, NULL) != NVDS_MSGAPI_OK)
			break;
		usleep(10000);
	}
	wait_until(&answered, i);
	usleep(100000);
	CHECK(answered == i, "%d answers to %d messages", answered, i);
	return failures;
}

static pthread_barrier_t together;
static atomic_int ends;

static void *end(void *h)
{
	pthread_barrier_wait(&together);
	if (api.disconnect(h) == NVDS_MSGAPI_OK)
		ends++;
	return NULL;
}

/* Threads that end a connection at once: one of them does, and every message has its answer when all are back. */
static int run_ends(char **a)
{
	pthread_t t[4];
	int round, i;

	load_api(a[0]);
	pthread_barrier_init(&together, NULL, 4);
	for (round = 0; round < 10; round++) {
		NvDsMsgApiHandle h = api.connect(a[1], NULL, NULL);

		CHECK(h != NULL, "not connected");
		if (!h)
			break;
		answered = ends = 0;
		for (i = 0; i < 300; i++)
			CHECK(api.send_async(h, a[2], (const uint8_t *)"one", 3, on_sent, NULL) == NVDS_MSGAPI_OK, "%d", i);
		for (i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, end, h);
		for (i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		CHECK(answered == 300 && ends == 1, "round %d: %d answers, %d ends", round, answered, ends);
	}
	return failures;
}

static int run_outage(char **a)
{
	int count = atoi(a[4]), i;
	NvMsgBrokerClientHandle h;

	load_nvb(a[0]);
	h = nvb.connect(a[2], a[1], on_state, NULL);
	CHECK(h != NULL, "not connected");
	if (!h)
		return 1;
	printf("connected\n");
	fflush(stdout);
	for (i = 0; i < count; i++) {
		char text[32];

		snprintf(text, sizeof text, "%06d", i);
		CHECK(nvb.send_async(h, message(a[3], text), on_broker_sent, NULL) == NV_MSGBROKER_API_OK, "%d", i);
		usleep(1000);
	}
	for (i = 0; i < 600 && answered < count; i++)
		usleep(100000);
	CHECK(answered == count && failed_answers == 0, "%d answers, %d failed", answered, failed_answers);
	CHECK(reconnecting > 0 && connected > 0 && dead == 0, "%d reconnecting, %d connected, %d dead", reconnecting, connected, dead);
	CHECK(nvb.disconnect(h) == NV_MSGBROKER_API_OK, "disconnect");
	return failures;
}

static int run_both(char **a)
{
	NvDsMsgApiHandle h;
	NvMsgBrokerClientHandle b;
	int i;

	load_api(a[0]);
	load_nvb(a[1]);
	for (i = 0, h = NULL; !h && i < 5; i++) /* valgrind on a busy machine takes more than the 5 s of one try */
		h = api.connect(a[2], NULL, NULL);
	for (i = 0, b = NULL; !b && i < 5; i++)
		b = nvb.connect(a[2], a[0], NULL, NULL);
	CHECK(h && b && h != b, "not connected");
	if (!h || !b)
		return 1;
	for (i = 0; i < 500; i++) {
		CHECK(api.send_async(h, a[3], (const uint8_t *)"one", 3, on_sent, NULL) == NVDS_MSGAPI_OK, "%d", i);
		CHECK(nvb.send_async(b, message(a[3], "other"), on_broker_sent, NULL) == NV_MSGBROKER_API_OK, "%d", i);
	}
	work_until(h, &answered, 1000);
	CHECK(answered == 1000 && failed_answers == 0, "%d answers, %d failed", answered, failed_answers);
	CHECK(api.disconnect(h) == NVDS_MSGAPI_OK && nvb.disconnect(b) == NV_MSGBROKER_API_OK, "disconnect");
	return failures;
}

static atomic_int others;

static void on_broker_message(NvMsgBrokerErrorType flag, void *msg, int len, char *topic, void *user)
{
	CHECK(flag == NV_MSGBROKER_API_OK && topic && *topic && len > 0 && ((char *)msg)[len] == 0, "flag %d", flag);
	(*(atomic_int *)user)++;
}

static int run_receive(char **a)
{
	char *none = NULL, topic[256], *t = topic;
	NvDsMsgApiHandle h;
	NvMsgBrokerClientHandle b;
	int i;

	load_api(a[0]);
	load_nvb(a[1]);
	for (i = 0, h = NULL; !h && i < 5; i++) /* as in run_both */
		h = api.connect(a[3], NULL, NULL);
	CHECK(h != NULL, "not connected");
	if (!h)
		return 1;
	for (i = 0; i < 3; i++) /* before anybody has subscribed */
		CHECK(api.send(h, a[4], (const uint8_t *)"early", 5) == NVDS_MSGAPI_OK, "send");
	CHECK(api.subscribe(h, &none, 1, on_message, last_payload) == NVDS_MSGAPI_ERR, "a topic that is NULL");
	CHECK(api.subscribe(h, &a[4], 1, on_message, last_payload) == NVDS_MSGAPI_OK, "subscribe");
	wait_until(&received, 3);
	CHECK(received == 3 && !strcmp(last_payload, "early"), "%d messages, the last is %s", received, last_payload);
	CHECK(api.send(h, a[4], (const uint8_t *)"to me", 5) == NVDS_MSGAPI_OK, "send");
	wait_until(&received, 4);
	CHECK(received == 4 && !strcmp(last_payload, "to me"), "%d messages, the last is %s", received, last_payload);
	CHECK(api.disconnect(h) == NVDS_MSGAPI_OK, "disconnect");

	snprintf(topic, sizeof topic, "%s-b", a[4]);
	for (i = 0, b = NULL; !b && i < 5; i++)
		b = nvb.connect(a[3], a[2], NULL, NULL);
	CHECK(b != NULL, "not connected");
	if (!b)
		return 1;
	received = 0;
	for (i = 0; i < 3; i++)
		CHECK(nvb.send_async(b, message(t, "early"), on_broker_sent, NULL) == NV_MSGBROKER_API_OK, "send");
	wait_until(&answered, 3);
	CHECK(nvb.subscribe(NULL, &t, 1, on_broker_message, &received) == NV_MSGBROKER_API_ERR, "no handle");
	CHECK(nvb.subscribe(b, NULL, 1, on_broker_message, &received) == NV_MSGBROKER_API_ERR, "no topics");
	CHECK(nvb.subscribe(b, &none, 1, on_broker_message, &received) == NV_MSGBROKER_API_ERR, "a topic that is NULL");
	CHECK(nvb.subscribe(b, &t, 0, on_broker_message, &received) == NV_MSGBROKER_API_ERR, "zero topics");
	CHECK(nvb.subscribe(b, &t, -1, on_broker_message, &received) == NV_MSGBROKER_API_ERR, "fewer than none");
	CHECK(nvb.subscribe(b, &t, 1, NULL, NULL) == NV_MSGBROKER_API_ERR, "no call back");
	CHECK(nvb.subscribe(b, &t, 1, on_broker_message, &received) == NV_MSGBROKER_API_OK, "subscribe");
	wait_until(&received, 3);
	CHECK(received == 3, "%d messages", received);
	CHECK(nvb.subscribe(b, &t, 1, on_broker_message, &others) == NV_MSGBROKER_API_OK, "a second call back for the topic");
	CHECK(nvb.send_async(b, message(t, "to both"), NULL, NULL) == NV_MSGBROKER_API_OK, "send");
	wait_until(&received, 4);
	wait_until(&others, 1);
	CHECK(received == 4 && others == 1, "%d and %d messages", received, others);
	CHECK(nvb.disconnect(b) == NV_MSGBROKER_API_OK, "disconnect");
	CHECK(nvb.subscribe(b, &t, 1, on_broker_message, &received) == NV_MSGBROKER_API_ERR, "subscribe after the end");
	return failures;
}

static int run_unsupported(char **a)
{
	char *t = (char *)"events";
	NvMsgBrokerClientHandle b;

	load_nvb(a[0]);
	b = nvb.connect(a[2], a[1], NULL, NULL);
	CHECK(b != NULL, "not connected");
	if (!b)
		return 1;
	CHECK(nvb.subscribe(b, &t, 1, on_broker_message, &received) == NV_MSGBROKER_API_NOT_SUPPORTED, "subscribe");
	CHECK(nvb.send_async(b, message(t, "goes on"), on_broker_sent, NULL) == NV_MSGBROKER_API_OK, "send");
	wait_until(&answered, 1);
	CHECK(answered == 1 && failed_answers == 0, "%d answers, %d failed", answered, failed_answers);
	CHECK(nvb.disconnect(b) == NV_MSGBROKER_API_OK, "disconnect");
	return failures;
}

static int run_refused(char **a)
{
	static uint8_t large[3000000];
	NvDsMsgApiHandle h;

	load_api(a[0]);
	h = api.connect(a[1], NULL, a[2]);
	CHECK(h != NULL, "not connected");
	if (!h)
		return 1;
	CHECK(api.send(h, (char *)"nowhere", (const uint8_t *)"x", 1) == NVDS_MSGAPI_UNKNOWN_TOPIC, "a topic that is not there");
	CHECK(api.send(h, (char *)"no name!", (const uint8_t *)"x", 1) == NVDS_MSGAPI_ERR, "a name that no topic has");
	CHECK(api.send(h, (char *)"nowhere", large, sizeof large) == NVDS_MSGAPI_ERR, "a message that is too large");
	CHECK(api.send_async(h, (char *)"nowhere", (const uint8_t *)"x", 1, on_sent, NULL) == NVDS_MSGAPI_OK, "send_async");
	work_until(h, &failed_answers, 1);
	CHECK(answered == 1 && failed_answers == 1, "%d answers, %d failed", answered, failed_answers);
	CHECK(api.disconnect(h) == NVDS_MSGAPI_OK, "disconnect");
	return failures;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **);
	} runs[] = {
		{ "msgapi", 5, run_msgapi }, { "nulls", 3, run_nulls }, { "absent", 2, run_absent }, { "msgbroker", 6, run_msgbroker },
		{ "inside", 4, run_inside }, { "stopping", 3, run_stopping }, { "ends", 3, run_ends }, { "outage", 5, run_outage },
		{ "both", 4, run_both }, { "receive", 5, run_receive }, { "unsupported", 3, run_unsupported }, { "refused", 3, run_refused },
	};
	size_t i;

	for (i = 0; i < sizeof runs / sizeof *runs; i++)
		if (argc == runs[i].args + 2 && !strcmp(argv[1], runs[i].name)) {
			int bad = runs[i].run(argv + 2);

			printf(bad ? "%d failures\n" : "all right\n", bad);
			return bad != 0;
		}
	fprintf(stderr, "usage: see the top of the source\n");
	return 2;
}
