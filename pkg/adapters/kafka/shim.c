/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

#include "blocks.h"
#include "headers.h"
#include "second.h"
#include "shim.h"

enum {
	MAX_TOPIC = 249, /* Kafka's own limit */
	CACHED_TOPICS = 64,
	MESSAGES_AT_ONCE = 256,
	FAILED_TOPICS = 1024 /* further ones stay nameless */
};

typedef struct {
	rd_kafka_topic_t *rkt;
	size_t len;
	char name[MAX_TOPIC + 1];
} cached_topic;

struct ew_producer {
	rd_kafka_t *rk;
	uint64_t room; /* queue.buffering.max.kbytes, in bytes */
	ew_second second; /* made by the goroutine that polls, looked at by others */
	rd_kafka_queue_t *queue;
	int events; /* the eventfd */
	rd_kafka_event_t *event; /* taken from the queue and not used up */
	/* Producing: touched by the one goroutine that publishes. */
	cached_topic topics[CACHED_TOPICS];
	size_t used, next, last, seen;
	ew_session session;
	ew_blocks blocks; /* also let go of by the goroutine that polls */
	/* Polling: the topics of failed messages, numbered, since a handle may be gone by then. */
	char *failed_topics[FAILED_TOPICS];
	int32_t nfailed_topics;
	char acknowledged[FAILED_TOPICS]; /* topics that have taken messages, by the same number … */
	const rd_kafka_topic_t *last_acknowledged; /* … and whose handle needs no search */
};

_Static_assert(sizeof(void *) == 8, "a sequence number travels in a pointer");

static uint64_t queue_room(const rd_kafka_conf_t *conf)
{
	char text[32];
	size_t size = sizeof text;

	if (rd_kafka_conf_get(conf, "queue.buffering.max.kbytes", text, &size) != EW_CONF_OK)
		return UINT64_MAX;
	return strtoull(text, NULL, 10) * 1024;
}

ew_producer *ew_producer_new(rd_kafka_conf_t *conf, char *errstr, size_t size)
{
	static const uint64_t one = 1;
	ew_producer *p = calloc(1, sizeof *p);

	if (!p || (p->events = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
		if (p)
			snprintf(errstr, size, "cannot make an eventfd: %s; close files, or raise the limit (ulimit -n)",
				strerror(errno));
		else
			snprintf(errstr, size, "out of memory");
		free(p);
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	p->room = queue_room(conf);
	ew_blocks_init(&p->blocks);
	ew_second_prepare(&p->second, conf);
	rd_kafka_conf_set_events(conf, EW_EVENT_DR | EW_EVENT_ERROR | EW_EVENT_LOG | EW_EVENT_STATS);
	p->rk = rd_kafka_new(EW_PRODUCER, conf, errstr, size);
	if (!p->rk) {
		rd_kafka_conf_destroy(conf);
		ew_second_destroy(&p->second);
		ew_blocks_destroy(&p->blocks);
		close(p->events);
		free(p);
		return NULL;
	}
	p->queue = rd_kafka_queue_get_main(p->rk);
	rd_kafka_set_log_queue(p->rk, NULL); /* NULL: the main queue */
	rd_kafka_queue_io_event_enable(p->queue, p->events, &one, sizeof one);
	return p;
}

void ew_producer_destroy(ew_producer *p)
{
	size_t i;

	if (p->event)
		rd_kafka_event_destroy(p->event);
	for (i = 0; i < p->used; i++)
		rd_kafka_topic_destroy(p->topics[i].rkt);
	for (i = 0; i < (size_t)p->nfailed_topics; i++)
		free(p->failed_topics[i]);
	ew_second_destroy(&p->second);
	rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(p->queue);
	rd_kafka_destroy(p->rk);
	ew_blocks_destroy(&p->blocks);
	free(p);
}

/* Kafka's rule; a broker may take longer to say so, or only say that there is no such topic. */
static int valid_topic(const char *name, size_t len)
{
	size_t i;

	if (len == 0 || len > MAX_TOPIC || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return 0;
	for (i = 0; i < len; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '_' || c == '-'))
			return 0;
	}
	return 1;
}

/* A handle costs a search under librdkafka's global lock, so the last few are kept. */
static rd_kafka_topic_t *topic_handle(ew_producer *p, const char *name, size_t len)
{
	cached_topic *t;
	size_t i;

	if (p->used) {
		t = &p->topics[p->last];
		if (t->len == len && memcmp(t->name, name, len) == 0)
			return t->rkt;
	}
	for (i = 0; i < p->used; i++) {
		t = &p->topics[i];
		if (t->len == len && memcmp(t->name, name, len) == 0) {
			p->last = i;
			return t->rkt;
		}
	}
	if (!valid_topic(name, len))
		return NULL;
	i = p->used;
	if (i == CACHED_TOPICS) {
		i = p->next;
		p->next = (p->next + 1) % CACHED_TOPICS;
	}
	t = &p->topics[i];
	{
		char z[MAX_TOPIC + 1];
		rd_kafka_topic_t *rkt;

		memcpy(z, name, len);
		z[len] = 0;
		rkt = rd_kafka_topic_new(p->rk, z, NULL);
		if (!rkt)
			return NULL;
		if (i < p->used)
			rd_kafka_topic_destroy(t->rkt);
		else
			p->used++;
		t->rkt = rkt;
		t->len = len;
		memcpy(t->name, z, len + 1);
	}
	p->last = i;
	p->seen++;
	return t->rkt;
}

static int produce(ew_producer *p, rd_kafka_topic_t *rkt, const char *data, const ew_record *r)
{
	rd_kafka_headers_t *headers = ew_headers_of(&p->session, data, r);
	void *copy = ew_blocks_copy(&p->blocks, data + r->payload, r->payload_len);
	int err = (int)rd_kafka_producev(p->rk,
		EW_VTYPE_RKT, rkt,
		EW_VTYPE_MSGFLAGS, copy ? 0 : (int)EW_MSG_F_COPY,
		EW_VTYPE_VALUE, copy ? copy : (void *)(data + r->payload), (size_t)r->payload_len,
		EW_VTYPE_KEY, r->key_len ? (void *)(data + r->key) : NULL, (size_t)r->key_len,
		EW_VTYPE_TIMESTAMP, r->timestamp_ms,
		EW_VTYPE_OPAQUE, (void *)(uintptr_t)(copy ? r->seq | EW_BLOCK_BIT : r->seq),
		/* Without headers the list ends here. With them: they are librdkafka's if it takes the message. */
		headers ? EW_VTYPE_HEADERS : EW_VTYPE_END, headers,
		EW_VTYPE_END);

	if (err && copy)
		ew_blocks_undo(&p->blocks, copy);
	if (err && headers)
		rd_kafka_headers_destroy(headers);
	return err;
}

size_t ew_produce(ew_producer *p, const char *data, const ew_record *records, size_t from, size_t count,
	ew_result *failed, size_t *nfailed, int *stop, size_t *topics)
{
	size_t i, bad = 0;

	*stop = 0;
	for (i = from; i < count; i++) {
		const ew_record *r = &records[i];
		rd_kafka_topic_t *rkt = topic_handle(p, data + r->topic, r->topic_len);
		int err = EW_ERR_TOPIC_EXCEPTION;

		if (rkt)
			err = produce(p, rkt, data, r);
		if (err == 0)
			continue;
		if (err == EW_ERR_QUEUE_FULL && r->payload_len > p->room)
			err = EW_ERR_MSG_SIZE_TOO_LARGE; /* it would wait for room that can never be */
		if (err == EW_ERR_QUEUE_FULL || err == EW_ERR_FATAL) {
			*stop = err;
			break;
		}
		failed[bad].seq = r->seq;
		failed[bad].topic = -1;
		failed[bad].err = err;
		failed[bad].size = (uint64_t)r->payload_len + r->key_len;
		failed[bad].second = EW_FIRST_TRY;
		failed[bad].vanished = 0;
		bad++;
	}
	*nfailed = bad;
	*topics = p->seen;
	return i - from;
}

static void copy_text(char *dst, size_t size, const char *src)
{
	size_t n;

	if (!src)
		src = "";
	n = strlen(src);
	if (n >= size)
		n = size - 1;
	memcpy(dst, src, n);
	dst[n] = 0;
}

static int32_t topic_number(ew_producer *p, const rd_kafka_topic_t *rkt)
{
	const char *name = rkt ? rd_kafka_topic_name(rkt) : NULL;
	int32_t i;

	if (!name)
		return -1;
	for (i = p->nfailed_topics - 1; i >= 0; i--)
		if (strcmp(p->failed_topics[i], name) == 0)
			return i;
	if (p->nfailed_topics == FAILED_TOPICS)
		return -1;
	p->failed_topics[p->nfailed_topics] = strdup(name);
	return p->failed_topics[p->nfailed_topics] ? p->nfailed_topics++ : -1;
}

static void note_acknowledged(ew_producer *p, const rd_kafka_topic_t *rkt)
{
	int32_t n = rkt == p->last_acknowledged ? -1 : topic_number(p, rkt);

	if (n < 0)
		return;
	p->acknowledged[n] = 1;
	p->last_acknowledged = rkt;
}

int ew_has_taken(const ew_producer *p, const char *topic)
{
	int32_t i;

	for (i = 0; i < p->nfailed_topics; i++)
		if (strcmp(p->failed_topics[i], topic) == 0)
			return p->acknowledged[i];
	return 0;
}

static int no_topic(int err)
{
	return err == EW_ERR_UNKNOWN_TOPIC || err == EW_ERR_UNKNOWN_TOPIC_OR_PART || err == EW_ERR_UNKNOWN_PARTITION;
}

/*
 * The topic has taken messages and is gone. A partition that goes while a request is under way leaves the
 * messages of the request with EW_ERR_DESTROY, which is nobody's verdict on them.
 */
static int vanished(const ew_producer *p, const ew_result *r)
{
	return r->err == EW_ERR_DESTROY || (r->topic >= 0 && no_topic(r->err) && p->acknowledged[r->topic]);
}

/* Moves reports out of the current event; the event is let go when it is used up. */
static size_t take_results(ew_producer *p, ew_result *results, size_t room)
{
	const ew_rk_message *messages[MESSAGES_AT_ONCE];
	size_t done = 0;

	while (done < room) {
		size_t want = room - done < MESSAGES_AT_ONCE ? room - done : MESSAGES_AT_ONCE;
		size_t i, kept = 0, n = rd_kafka_event_message_array(p->event, messages, want);

		for (i = 0; i < n; i++) {
			ew_result *r = &results[done + kept];
			uint64_t opaque = (uint64_t)(uintptr_t)messages[i]->opaque;

			int again = messages[i]->err && ew_second_send(&p->second, messages[i], p->events);

			if (opaque & EW_BLOCK_BIT)
				ew_blocks_release(&p->blocks, messages[i]->payload);
			if (again)
				continue;
			kept++;
			r->seq = opaque & ~(EW_SECOND_BIT | EW_TOO_LARGE_BIT | EW_BLOCK_BIT);
			r->second = EW_FIRST_TRY;
			if (opaque & EW_SECOND_BIT)
				r->second = opaque & EW_TOO_LARGE_BIT ? EW_BATCH_TOO_LARGE : EW_SECOND_TRY;
			r->err = messages[i]->err;
			r->topic = r->err || r->second == EW_BATCH_TOO_LARGE ? topic_number(p, messages[i]->rkt) : -1;
			r->vanished = vanished(p, r);
			if (!r->err)
				note_acknowledged(p, messages[i]->rkt);
			r->size = messages[i]->len + messages[i]->key_len;
		}
		done += kept;
		if (n < want) {
			rd_kafka_event_destroy(p->event);
			p->event = NULL;
			break;
		}
	}
	return done;
}

static void list_unknown_topics(rd_kafka_event_t *e, ew_event *out)
{
	const rd_kafka_DescribeTopics_result_t *res = rd_kafka_event_DescribeTopics_result(e);
	size_t i, count = 0, used = 0;
	const rd_kafka_TopicDescription_t **topics = rd_kafka_DescribeTopics_result_topics(res, &count);

	for (i = 0; i < count; i++) {
		const rd_kafka_error_t *err = rd_kafka_TopicDescription_error(topics[i]);
		const char *name = rd_kafka_TopicDescription_name(topics[i]);
		size_t n = strlen(name);

		if (!err || (int)rd_kafka_error_code(err) != EW_ERR_UNKNOWN_TOPIC_OR_PART ||
			used + n + 2 > sizeof out->text)
			continue;
		memcpy(out->text + used, name, n);
		out->text[used + n] = '\n';
		used += n + 1;
		out->unknown++;
	}
	out->text[used] = 0;
}

/* What comes to either queue after the look at it can be read at the eventfd. */
static void next_event(ew_producer *p)
{
	if (!p->event && p->second.queue)
		p->event = rd_kafka_queue_poll(p->second.queue, 0);
	if (!p->event)
		p->event = rd_kafka_queue_poll(p->queue, 0);
}

int ew_events(const ew_producer *p) { return p->events; }

void ew_poll(ew_producer *p, ew_result *results, size_t capacity, ew_event *out)
{
	const char *fac, *str;

	out->kind = EW_NOTHING;
	out->err = out->fatal = out->level = out->up = 0;
	out->results = out->unknown = 0;
	out->facility[0] = out->text[0] = 0;
	for (;;) {
		next_event(p);
		if (!p->event)
			break;
		if (rd_kafka_event_type(p->event) != EW_EVENT_DR)
			break;
		out->results += take_results(p, results + out->results, capacity - out->results);
		if (out->results == capacity)
			break;
	}
	if (out->results) { /* whatever came after the reports is told next time */
		out->kind = EW_RESULTS;
		return;
	}
	if (!p->event)
		return;
	out->kind = EW_OTHER; /* unless it is one of these */
	switch (rd_kafka_event_type(p->event)) {
	case EW_EVENT_ERROR:
		out->kind = EW_ERROR;
		out->err = (int)rd_kafka_event_error(p->event);
		out->fatal = rd_kafka_event_error_is_fatal(p->event);
		copy_text(out->text, sizeof out->text, rd_kafka_event_error_string(p->event));
		break;
	case EW_EVENT_LOG:
		out->kind = EW_LOG;
		if (rd_kafka_event_log(p->event, &fac, &str, &out->level) == 0) {
			copy_text(out->facility, sizeof out->facility, fac);
			copy_text(out->text, sizeof out->text, str);
		}
		break;
	case EW_EVENT_STATS:
		out->kind = EW_STATS;
		str = rd_kafka_event_stats(p->event);
		out->up = str && strstr(str, "\"state\":\"UP\"") != NULL;
		break;
	case EW_EVENT_DESCRIBETOPICS_RESULT:
		out->kind = EW_TOPICS;
		out->err = (int)rd_kafka_event_error(p->event);
		if (!out->err)
			list_unknown_topics(p->event, out);
		break;
	}
	rd_kafka_event_destroy(p->event);
	p->event = NULL;
}

static rd_kafka_AdminOptions_t *admin_options(ew_producer *p, int op, int timeout_ms)
{
	char errstr[128];
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(p->rk, op);

	if (options)
		rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, errstr, sizeof errstr);
	return options;
}

int ew_connect(ew_producer *p, int timeout_ms)
{
	const struct rd_kafka_metadata *metadata = NULL;

	if (rd_kafka_metadata(p->rk, 0, NULL, &metadata, timeout_ms) != 0)
		return 0;
	rd_kafka_metadata_destroy(metadata);
	return 1;
}

int ew_describe_topics(ew_producer *p, const char **names, size_t count, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options = admin_options(p, EW_ADMIN_OP_DESCRIBETOPICS, timeout_ms);
	rd_kafka_TopicCollection_t *topics;

	if (!options)
		return -1;
	topics = rd_kafka_TopicCollection_of_topic_names(names, count);
	rd_kafka_DescribeTopics(p->rk, topics, options, p->queue);
	rd_kafka_TopicCollection_destroy(topics);
	rd_kafka_AdminOptions_destroy(options);
	return 0;
}

void ew_purge(ew_producer *p)
{
	rd_kafka_t *alone = p->second.rk;

	rd_kafka_purge(p->rk, EW_PURGE_F_QUEUE | EW_PURGE_F_INFLIGHT);
	if (alone)
		rd_kafka_purge(alone, EW_PURGE_F_QUEUE | EW_PURGE_F_INFLIGHT);
}

int ew_fatal(ew_producer *p, char *errstr, size_t size)
{
	rd_kafka_t *alone = p->second.rk;
	int err = (int)rd_kafka_fatal_error(p->rk, errstr, size);

	return err || !alone ? err : (int)rd_kafka_fatal_error(alone, errstr, size);
}

int ew_test_fatal(ew_producer *p, int second, const char *reason)
{
	return (int)rd_kafka_test_fatal_error(second ? p->second.rk : p->rk, EW_ERR_INVALID_RECORD, reason);
}

const char *ew_topic_name(ew_producer *p, int32_t topic)
{
	return topic >= 0 && topic < p->nfailed_topics ? p->failed_topics[topic] : "";
}
