/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches across the language border: one call produces a batch, one call collects many reports. */
#ifndef EW_SHIM_H
#define EW_SHIM_H

#include "rdkafka_abi.h"

/* The same layout as adapters.Record in Go, which the Go side asserts. */
typedef struct {
	uint64_t seq;
	int64_t timestamp_ms;
	uint64_t session, number;
	uint32_t topic, topic_len, key, key_len, payload, payload_len, headers, headers_len;
} ew_record;

/* The final word on one message: err is a rd_kafka_resp_err_t, size counts key and payload in bytes. */
typedef struct {
	uint64_t seq;
	int32_t err;
	int32_t topic; /* of a failed message, or one whose batch was too large: a number for ew_topic_name; else -1 */
	uint64_t size;
	int32_t second; /* EW_FIRST_TRY … */
	int32_t vanished; /* 1: it failed because its topic, which has taken messages before, is gone, or its partition */
} ew_result;

/*
 * The broker refuses batches, not messages: one bad record takes its neighbours with it. So the messages
 * of a refused batch are sent once more, each alone, through a second producer that is made when it is
 * first needed; only the second refusal is final. EW_BATCH_TOO_LARGE: the first one was about the size.
 */
enum { EW_FIRST_TRY = 0, EW_SECOND_TRY, EW_BATCH_TOO_LARGE };

/* EW_NOTHING: there is nothing more. EW_OTHER: an event that says nothing. */
enum { EW_NOTHING = 0, EW_OTHER, EW_RESULTS, EW_ERROR, EW_LOG, EW_STATS, EW_TOPICS };

/* Names and texts are cut to what fits and always end in NUL. */
typedef struct {
	int kind; /* EW_NOTHING … */
	int err;
	int fatal;
	int level; /* syslog level of a log line */
	int up;    /* EW_STATS: there is a connection that can be used */
	size_t results;
	size_t unknown; /* EW_TOPICS: how many of the topics asked for do not exist … */
	char facility[64];
	char text[4096]; /* … and their names, one a line */
} ew_event;

typedef struct ew_producer ew_producer;

/* Takes conf over, also when it fails: then NULL is returned and errstr says why. */
ew_producer *ew_producer_new(rd_kafka_conf_t *conf, char *errstr, size_t size);
void ew_producer_destroy(ew_producer *p);
/* Whether the topic has taken messages of this producer. For the goroutine that polls. */
int ew_has_taken(const ew_producer *p, const char *topic);
/*
 * An eventfd that can be read when there is something to report after a poll that had nothing. To be read before the
 * next poll, not after it. The caller closes it, after ew_producer_destroy.
 */
int ew_events(const ew_producer *p);

/*
 * Produces records from index from on and returns how many were taken. Messages that are refused for
 * good count as taken and are listed in failed, which has room for count - from. *stop is 0, or the
 * error for which the rest was left: EW_ERR_QUEUE_FULL or EW_ERR_FATAL. *topics grows with each topic
 * that this producer had not seen.
 */
size_t ew_produce(ew_producer *p, const char *data, const ew_record *records, size_t from, size_t count,
	ew_result *failed, size_t *nfailed, int *stop, size_t *topics);

/* Describes in event what is next to report. It does not wait. */
void ew_poll(ew_producer *p, ew_result *results, size_t capacity, ew_event *event);

/*
 * Makes librdkafka connect now rather than with its next timer, and waits at most timeout_ms. One
 * is returned when the cluster has answered by then.
 */
int ew_connect(ew_producer *p, int timeout_ms);
/* Asks the cluster, without waiting; the answer is an event. Zero on success. */
int ew_describe_topics(ew_producer *p, const char **names, size_t count, int timeout_ms);

/* Gives up all messages; their reports say EW_ERR_PURGE_QUEUE or EW_ERR_PURGE_INFLIGHT. */
void ew_purge(ew_producer *p);
/* The reason for which either producer is lost, or 0. */
int ew_fatal(ew_producer *p, char *errstr, size_t size);
/* second chooses the second producer, which must exist. */
int ew_test_fatal(ew_producer *p, int second, const char *reason);
/* By the goroutine that polls. The name lives as long as p. */
const char *ew_topic_name(ew_producer *p, int32_t topic);

#endif
