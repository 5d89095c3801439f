/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "consumer.h"

enum {
	MESSAGES_AT_ONCE = 128,
	BYTES_AT_ONCE = 1 << 20 /* after so many bytes the rest waits for the next call */
};

/*
 * The messages of all partitions are forwarded to a queue of their own, so that they can be left there
 * while rebalances and errors go on. It wakes whoever waits for the other.
 */
struct ew_consumer {
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;    /* everything but messages */
	rd_kafka_queue_t *messages;
	atomic_int woken; /* by ew_consumer_wake: the first poll of the queue, which does not wait, uses its yield up */
	rd_kafka_event_t *rebalance; /* told and not done */
	ew_rk_message *taken[MESSAGES_AT_ONCE];
	size_t ntaken, shown; /* those from shown on were taken and are still to be shown */
	char *headers;	      /* of the messages shown */
	size_t headers_size;
};

/* By a thread of librdkafka, when the queue of messages is no longer empty. */
static void wake(rd_kafka_t *rk, void *queue)
{
	(void)rk;
	rd_kafka_queue_yield(queue);
}

ew_consumer *ew_consumer_new(rd_kafka_conf_t *conf, char *errstr, size_t size)
{
	ew_consumer *c = calloc(1, sizeof *c);

	if (!c) {
		strncpy(errstr, "out of memory", size);
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_events(conf, EW_EVENT_REBALANCE | EW_EVENT_OFFSET_COMMIT | EW_EVENT_ERROR | EW_EVENT_LOG);
	c->rk = rd_kafka_new(EW_CONSUMER, conf, errstr, size);
	if (!c->rk) {
		rd_kafka_conf_destroy(conf);
		free(c);
		return NULL;
	}
	rd_kafka_poll_set_consumer(c->rk);
	c->queue = rd_kafka_queue_get_consumer(c->rk);
	c->messages = rd_kafka_queue_new(c->rk);
	rd_kafka_set_log_queue(c->rk, c->queue);
	rd_kafka_queue_cb_event_enable(c->messages, wake, c->queue);
	return c;
}

int ew_consumer_subscribe(ew_consumer *c, const char **topics, size_t count)
{
	ew_rk_list *list = rd_kafka_topic_partition_list_new((int)count);
	size_t i;
	int err;

	for (i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, topics[i], -1);
	err = (int)rd_kafka_subscribe(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

static void release_shown(ew_consumer *c)
{
	size_t i;

	for (i = 0; i < c->shown; i++)
		rd_kafka_message_destroy(c->taken[i]);
	memmove(c->taken, c->taken + c->shown, (c->ntaken - c->shown) * sizeof *c->taken);
	c->ntaken -= c->shown;
	c->shown = 0;
}

static char *put_number(char *to, size_t n, int bytes)
{
	for (; bytes > 0; bytes--, n >>= 8)
		*to++ = (char)(n & 255);
	return to;
}

/* Appends the headers of m to c->headers, where used bytes are used already, in the form of adapters.Headers. */
static size_t pack_headers(ew_consumer *c, const ew_rk_message *m, size_t used)
{
	rd_kafka_headers_t *headers = NULL;
	const char *name;
	const void *value;
	size_t i, size;

	if (rd_kafka_message_headers(m, &headers) != 0)
		return used;
	for (i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; i++) {
		size_t n = strlen(name), need;
		char *p;

		if (n > 0xffff)
			n = 0xffff;
		need = used + 2 + n + 4 + size;
		if (need > c->headers_size) {
			p = realloc(c->headers, 2 * need);
			if (!p)
				return used;
			c->headers = p;
			c->headers_size = 2 * need;
		}
		p = put_number(c->headers + used, n, 2);
		memcpy(p, name, n);
		p = put_number(p + n, size, 4);
		if (size)
			memcpy(p, value, size);
		used = need;
	}
	return used;
}

/* Shows up to room of the messages taken. */
static size_t show(ew_consumer *c, size_t room, ew_incoming *out)
{
	size_t i, bytes = 0, used = 0, start;

	for (i = 0; i < c->ntaken && i < room && bytes < BYTES_AT_ONCE; i++) {
		const ew_rk_message *m = c->taken[i];

		memset(&out[i], 0, sizeof out[i]);
		out[i].topic = m->rkt ? rd_kafka_topic_name(m->rkt) : "";
		out[i].partition = m->partition;
		out[i].offset = m->offset;
		out[i].err = (int)m->err;
		if (m->err) {
			out[i].payload = rd_kafka_message_errstr(m);
			out[i].payload_len = out[i].payload ? strlen(out[i].payload) : 0;
			continue;
		}
		out[i].payload = m->payload;
		out[i].payload_len = m->len;
		out[i].key = m->key;
		out[i].key_len = m->key_len;
		out[i].timestamp_ms = rd_kafka_message_timestamp(m, NULL);
		start = used;
		used = pack_headers(c, m, used);
		out[i].headers_len = used - start;
		bytes += m->len + m->key_len + out[i].headers_len;
	}
	c->shown = i;
	/* Only now: the memory may have moved. */
	for (used = 0, i = 0; i < c->shown; i++) {
		out[i].headers = c->headers + used;
		used += out[i].headers_len;
	}
	return c->shown;
}

static void describe(ew_event *out, rd_kafka_event_t *e)
{
	const char *facility, *text = rd_kafka_event_error_string(e);

	out->err = (int)rd_kafka_event_error(e);
	switch (rd_kafka_event_type(e)) {
	case EW_EVENT_REBALANCE:
		out->kind = out->err == EW_ERR_ASSIGN_PARTITIONS ? EW_ASSIGN : EW_REVOKE;
		break;
	case EW_EVENT_OFFSET_COMMIT:
		out->kind = EW_COMMITTED;
		break;
	case EW_EVENT_ERROR:
		out->kind = EW_ERROR;
		out->fatal = rd_kafka_event_error_is_fatal(e);
		break;
	case EW_EVENT_LOG:
		out->kind = EW_LOG;
		if (rd_kafka_event_log(e, &facility, &text, &out->level) == 0)
			strncpy(out->facility, facility, sizeof out->facility - 1);
		break;
	}
	if (text)
		strncpy(out->text, text, sizeof out->text - 1);
}

void ew_consumer_poll(ew_consumer *c, int timeout_ms, size_t room, ew_incoming *messages, ew_event *out)
{
	int waited;

	memset(out, 0, offsetof(ew_event, text));
	memset(out->facility, 0, sizeof out->facility);
	memset(out->text, 0, sizeof out->text);
	release_shown(c);
	for (waited = 0;; waited = 1) {
		rd_kafka_event_t *e = rd_kafka_queue_poll(c->queue, 0);

		if (!e && room > 0) {
			if (c->ntaken == 0) {
				size_t want = room < MESSAGES_AT_ONCE ? room : MESSAGES_AT_ONCE;
				ssize_t n = rd_kafka_consume_batch_queue(c->messages, 0, c->taken, want);

				c->ntaken = n > 0 ? (size_t)n : 0;
			}
			if (c->ntaken > 0) {
				out->kind = EW_MESSAGES;
				out->results = show(c, room, messages);
				return;
			}
		}
		if (!e && !waited && !atomic_exchange(&c->woken, 0))
			e = rd_kafka_queue_poll(c->queue, timeout_ms);
		if (e) {
			describe(out, e);
			if (out->kind == EW_ASSIGN || out->kind == EW_REVOKE)
				c->rebalance = e;
			else
				rd_kafka_event_destroy(e);
			return;
		}
		if (waited)
			return;
	}
}

size_t ew_consumer_partitions(ew_consumer *c, const char **topics, int32_t *partitions, size_t room)
{
	ew_rk_list *list = c->rebalance ? rd_kafka_event_topic_partition_list(c->rebalance) : NULL;
	size_t i;

	for (i = 0; list && i < (size_t)list->cnt && i < room; i++) {
		topics[i] = list->elems[i].topic;
		partitions[i] = list->elems[i].partition;
	}
	return list ? (size_t)list->cnt : 0;
}

static int holds(const ew_rk_list *list, const ew_rk_message *m)
{
	int i;

	for (i = 0; list && i < list->cnt; i++)
		if (list->elems[i].partition == m->partition && m->rkt &&
			strcmp(list->elems[i].topic, rd_kafka_topic_name(m->rkt)) == 0)
			return 1;
	return 0;
}

/*
 * What was taken of these partitions and not shown yet comes again, here or elsewhere, behind what was shown
 * before it: shown now, it would stand in front of that.
 */
static void drop_taken(ew_consumer *c, const ew_rk_list *list)
{
	size_t i, kept = 0;

	for (i = 0; i < c->ntaken; i++)
		if (holds(list, c->taken[i]))
			rd_kafka_message_destroy(c->taken[i]);
		else
			c->taken[kept++] = c->taken[i];
	c->ntaken = kept;
}

int ew_consumer_rebalance(ew_consumer *c)
{
	ew_rk_list *list = rd_kafka_event_topic_partition_list(c->rebalance);
	const char *protocol = rd_kafka_rebalance_protocol(c->rk);
	int cooperative = protocol && strcmp(protocol, "COOPERATIVE") == 0, i;
	int lost = rd_kafka_assignment_lost(c->rk);
	rd_kafka_error_t *error = NULL;

	if ((int)rd_kafka_event_error(c->rebalance) == EW_ERR_ASSIGN_PARTITIONS) {
		for (i = 0; i < list->cnt; i++) {
			rd_kafka_queue_t *q = rd_kafka_queue_get_partition(c->rk, list->elems[i].topic, list->elems[i].partition);

			if (!q)
				continue;
			rd_kafka_queue_forward(q, c->messages);
			rd_kafka_queue_destroy(q);
		}
		if (cooperative)
			error = rd_kafka_incremental_assign(c->rk, list);
		else
			rd_kafka_assign(c->rk, list);
	} else {
		drop_taken(c, list);
		if (cooperative)
			error = rd_kafka_incremental_unassign(c->rk, list);
		else
			rd_kafka_assign(c->rk, NULL);
	}
	if (error)
		rd_kafka_error_destroy(error);
	rd_kafka_event_destroy(c->rebalance);
	c->rebalance = NULL;
	return lost;
}

void ew_consumer_wake(ew_consumer *c)
{
	atomic_store(&c->woken, 1);
	rd_kafka_queue_yield(c->queue);
}

void ew_consumer_store(ew_consumer *c, const char *topic, int32_t partition, int64_t offset)
{
	ew_rk_list *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	rd_kafka_offsets_store(c->rk, list); /* refused for a partition that is no longer ours: as it should be */
	rd_kafka_topic_partition_list_destroy(list);
}

void ew_consumer_close(ew_consumer *c)
{
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, c->queue);

	if (error)
		rd_kafka_error_destroy(error);
}

int ew_consumer_closed(ew_consumer *c) { return rd_kafka_consumer_closed(c->rk); }

void ew_consumer_destroy(ew_consumer *c)
{
	c->shown = c->ntaken;
	release_shown(c);
	if (c->rebalance)
		rd_kafka_event_destroy(c->rebalance);
	rd_kafka_queue_cb_event_enable(c->messages, NULL, NULL);
	rd_kafka_queue_destroy(c->messages);
	rd_kafka_queue_destroy(c->queue);
	rd_kafka_destroy_flags(c->rk, EW_DESTROY_NO_CONSUMER_CLOSE);
	free(c->headers);
	free(c);
}
