/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Protocol libraries of others: shared objects that export DeepStream's nvds_msgapi_* functions, opened at
 * run time. What a library reports, from whichever of its threads, waits here until Go collects it.
 */
#ifndef EW_NVDS_H
#define EW_NVDS_H

#include <stddef.h>
#include <stdint.h>

/* The same layout as adapters.Record in Go, which the Go side asserts. */
typedef struct {
	uint64_t seq;
	int64_t timestamp_ms;
	uint64_t session, number;
	uint32_t topic, topic_len, key, key_len, payload, payload_len, headers, headers_len;
} ewn_record;

/* What the library said of a message: an NvDsMsgApiErrorType. */
typedef struct {
	uint64_t seq;
	int32_t err;
	int32_t unused;
} ewn_result;

enum { EWN_OK = 0, EWN_ERR = 1, EWN_UNKNOWN_TOPIC = 2 }; /* NvDsMsgApiErrorType */
enum { EWN_SUCCESS = 0, EWN_DISCONNECT = 1, EWN_SERVICE_DOWN = 2, EWN_NO_EVENT = -1 }; /* NvDsMsgApiEventType */

typedef struct ewn_lib ewn_lib;
typedef struct ewn_conn ewn_conn;

/* Opens the library and looks its functions up. NULL: err says why. A library is never closed again. */
ewn_lib *ewn_open(const char *path, char *err, size_t size);
const char *ewn_protocol(const ewn_lib *l); /* "" when it does not tell */
const char *ewn_version(const ewn_lib *l);  /* "" when it does not tell */
int ewn_can_subscribe(const ewn_lib *l);

/* capacity is how many messages may be without an answer, at most 1 << 24. NULL: no memory. */
ewn_conn *ewn_new(ewn_lib *l, size_t capacity);
void ewn_free(ewn_conn *c);

/* Waits for the server as long as the library does. 1 when connected. Empty texts are passed as NULL. */
int ewn_connect(ewn_conn *c, const char *conn_str, const char *config);
/* Not beside ewn_work or ewn_send. */
void ewn_disconnect(ewn_conn *c);

/*
 * Sends records from index from on and returns how many were taken. *err is 0, or what the library said of
 * the first that it did not take. It stops without an error when there is no room.
 */
size_t ewn_send(ewn_conn *c, const char *data, const ewn_record *records, size_t from, size_t count, int *err);

/*
 * Lets the library work if work is set, waits up to wait_ms for something to be reported, and collects
 * answers. *event is the last connection event, or EWN_NO_EVENT; *pending how many answers are still due.
 */
size_t ewn_work(ewn_conn *c, int work, int wait_ms, ewn_result *out, size_t capacity, int *event, size_t *pending);
/* Ends a wait of ewn_work and of the library's threads that deliver messages, now and from now on. */
void ewn_stop(ewn_conn *c);
/* Ends one wait of ewn_work. */
void ewn_poke(ewn_conn *c);

/* A message that was received. */
typedef struct ewn_message {
	struct ewn_message *next;
	int32_t err;
	uint32_t topic_len;
	uint64_t size;
	char data[]; /* topic, payload */
} ewn_message;

/* EWN_OK when the library has agreed. window bounds what waits to be collected and acknowledged. */
int ewn_subscribe(ewn_conn *c, char **topics, int count, size_t window);
/* Waits up to wait_ms for messages and takes all of them; to be freed one by one with free(). */
ewn_message *ewn_receive(ewn_conn *c, int wait_ms);
/* Ends one wait of ewn_receive. */
void ewn_rouse(ewn_conn *c);
/* That many messages were acknowledged. */
void ewn_ack(ewn_conn *c, size_t n);

#endif
