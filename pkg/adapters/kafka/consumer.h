/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Receiving across the language border: one call brings many messages. No thread of librdkafka enters Go. */
#ifndef EW_CONSUMER_H
#define EW_CONSUMER_H

#include "shim.h"

/* One message; what it points to is valid until the next ew_consumer_poll. */
typedef struct {
	const char *topic; /* ends in NUL */
	const char *payload, *key, *headers;
	size_t payload_len, key_len, headers_len; /* headers in the form of adapters.Headers */
	int64_t offset, timestamp_ms;
	int32_t partition;
	int32_t err; /* not 0: no message but a complaint, and payload is its text */
} ew_incoming;

/* Besides those of shim.h. A rebalance waits until ew_consumer_rebalance. */
enum { EW_MESSAGES = 100, EW_ASSIGN, EW_REVOKE, EW_COMMITTED };

typedef struct ew_consumer ew_consumer;

/* Takes conf over, also when it fails: then NULL is returned and errstr says why. */
ew_consumer *ew_consumer_new(rd_kafka_conf_t *conf, char *errstr, size_t size);
/* Topics that begin with ^ are regular expressions. An rd_kafka_resp_err_t. */
int ew_consumer_subscribe(ew_consumer *c, const char **topics, size_t count);

/*
 * Waits up to timeout_ms for something to report. At most room messages are taken, and of those that are
 * large fewer; what is not taken stays with librdkafka, which reads no more when it has enough.
 */
void ew_consumer_poll(ew_consumer *c, int timeout_ms, size_t room, ew_incoming *messages, ew_event *out);
/* The partitions of the rebalance that ew_consumer_poll has told. */
size_t ew_consumer_partitions(ew_consumer *c, const char **topics, int32_t *partitions, size_t room);
/* Lets the rebalance happen. 1: the server no longer knew this member of the group. */
int ew_consumer_rebalance(ew_consumer *c);
/* Ends the wait of ew_consumer_poll, or that of its next call. */
void ew_consumer_wake(ew_consumer *c);

/* Everything of a partition before offset has been dealt with; the next commit says so. */
void ew_consumer_store(ew_consumer *c, const char *topic, int32_t partition, int64_t offset);

/* Begins to commit and to leave the group; ew_consumer_poll goes on until ew_consumer_closed. */
void ew_consumer_close(ew_consumer *c);
int ew_consumer_closed(ew_consumer *c);
void ew_consumer_destroy(ew_consumer *c);

#endif
