/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "second.h"

enum { FIRST_ATTEMPT_MS = 20 };

/* The same configuration, but for one message in a batch and a queue that what comes back always fits in:
 * its length is bounded by what the caller keeps under way. State and errors are the first producer's. */
void ew_second_prepare(ew_second *s, const rd_kafka_conf_t *conf)
{
	static const char *const options[][2] = {{"batch.num.messages", "1"}, {"linger.ms", "0"},
		{"statistics.interval.ms", "0"}, {"queue.buffering.max.messages", "0"},
		{"queue.buffering.max.kbytes", "2147483647"}};
	rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
	char errstr[128];
	size_t i;

	for (i = 0; copy && i < sizeof options / sizeof *options; i++)
		if (rd_kafka_conf_set(copy, options[i][0], options[i][1], errstr, sizeof errstr) != EW_CONF_OK) {
			rd_kafka_conf_destroy(copy);
			return;
		}
	if (copy)
		rd_kafka_conf_set_events(copy, EW_EVENT_DR | EW_EVENT_LOG);
	s->conf = copy;
}

/* The errors with which a broker refuses a batch as a whole, and has taken nothing of it. */
static int concerns_batch(int err)
{
	switch (err) {
	case EW_ERR_INVALID_DIFFERENT_RECORD:
	case EW_ERR_INVALID_MSG:
	case EW_ERR_INVALID_MSG_SIZE:
	case EW_ERR_MSG_SIZE_TOO_LARGE:
	case EW_ERR_RECORD_LIST_TOO_LARGE:
	case EW_ERR_INVALID_TIMESTAMP:
	case EW_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
	case EW_ERR_POLICY_VIOLATION:
	case EW_ERR_INVALID_RECORD:
		return 1;
	}
	return 0;
}

/*
 * The second producer's queue is polled by itself and not forwarded to the first one's: librdkafka would
 * settle the accounts of the messages with the producer that is polled.
 */
static rd_kafka_t *second_producer(ew_second *s, int events)
{
	static const uint64_t one = 1;
	const struct rd_kafka_metadata *metadata = NULL;
	char errstr[128];
	rd_kafka_t *rk = s->rk;

	if (rk || !s->conf)
		return rk;
	rk = rd_kafka_new(EW_PRODUCER, s->conf, errstr, sizeof errstr);
	if (!rk)
		rd_kafka_conf_destroy(s->conf);
	s->conf = NULL;
	if (!rk)
		return NULL;
	rd_kafka_set_log_queue(rk, NULL);
	s->queue = rd_kafka_queue_get_main(rk);
	rd_kafka_queue_io_event_enable(s->queue, events, &one, sizeof one);
	s->rk = rk;
	/* The question makes it connect now rather than with its next timer, a second later. */
	if (rd_kafka_metadata(rk, 0, NULL, &metadata, FIRST_ATTEMPT_MS) == 0)
		rd_kafka_metadata_destroy(metadata);
	return rk;
}

int ew_second_send(ew_second *s, const ew_rk_message *m, int events)
{
	uint64_t opaque = (uint64_t)(uintptr_t)m->opaque;
	const char *topic = m->rkt ? rd_kafka_topic_name(m->rkt) : NULL;
	ew_rk_message *open = (ew_rk_message *)m;
	rd_kafka_headers_t *headers = NULL;
	rd_kafka_t *rk;
	int err = (int)m->err, sent;
	int64_t timestamp;

	if ((opaque & EW_SECOND_BIT) || !concerns_batch(err) || !topic || !(rk = second_producer(s, events)))
		return 0;
	/* A failed message shows no timestamp. The event that holds it is ours, and so is it. */
	open->err = 0;
	timestamp = rd_kafka_message_timestamp(open, NULL);
	open->err = err;
	opaque = (opaque & ~EW_BLOCK_BIT) | EW_SECOND_BIT;
	if (err == EW_ERR_MSG_SIZE_TOO_LARGE || err == EW_ERR_RECORD_LIST_TOO_LARGE)
		opaque |= EW_TOO_LARGE_BIT;
	if (rd_kafka_message_detach_headers(open, &headers) != 0)
		headers = NULL;
	sent = rd_kafka_producev(rk,
		EW_VTYPE_TOPIC, topic,
		EW_VTYPE_MSGFLAGS, (int)EW_MSG_F_COPY,
		EW_VTYPE_VALUE, m->payload, m->len,
		EW_VTYPE_KEY, m->key_len ? m->key : NULL, m->key_len,
		EW_VTYPE_TIMESTAMP, timestamp > 0 ? timestamp : (int64_t)0,
		EW_VTYPE_OPAQUE, (void *)(uintptr_t)opaque,
		/* Without headers the list ends here. With them: they are librdkafka's if it takes the message. */
		headers ? EW_VTYPE_HEADERS : EW_VTYPE_END, headers,
		EW_VTYPE_END) == 0;
	if (!sent && headers)
		rd_kafka_headers_destroy(headers);
	return sent;
}

void ew_second_destroy(ew_second *s)
{
	if (s->conf)
		rd_kafka_conf_destroy(s->conf);
	if (!s->rk)
		return;
	rd_kafka_queue_io_event_enable(s->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(s->queue);
	rd_kafka_destroy(s->rk);
}
