/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of librdkafka's public C ABI that this package calls.
 *
 * librdkafka keeps this ABI stable within a soname (librdkafka.so.1), so the declarations are written
 * down here instead of included: in a plain Go program the header lives in the folder of another Go
 * module, which is on no include path. That they agree with the real header is compiled, not believed:
 * with -DEW_RDKAFKA_CHECK this file includes librdkafka/rdkafka.h first, so that every prototype is a
 * redeclaration and every number a static assertion (scripts/build-rdkafka and TestABI do that).
 */
#ifndef EW_RDKAFKA_ABI_H
#define EW_RDKAFKA_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef EW_RDKAFKA_CHECK
#include <librdkafka/rdkafka.h>
#define EW_ENUM(real) real
#define EW_SAME(ours, real) _Static_assert((long)(ours) == (long)(real), #ours " differs from " #real)
typedef rd_kafka_message_t ew_rk_message;
#else
/* Enumerations travel as int. */
#define EW_ENUM(real) int
typedef struct {
	int err;
	struct rd_kafka_topic_s *rkt;
	int32_t partition;
	void *payload;
	size_t len;
	void *key;
	size_t key_len;
	int64_t offset;
	void *opaque;
} ew_rk_message;
#endif

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_topic_conf_s rd_kafka_topic_conf_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_op_s rd_kafka_event_t;
typedef struct rd_kafka_error_s rd_kafka_error_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;
typedef struct rd_kafka_AdminOptions_s rd_kafka_AdminOptions_t;
typedef struct rd_kafka_TopicCollection_s rd_kafka_TopicCollection_t;
typedef struct rd_kafka_TopicDescription_s rd_kafka_TopicDescription_t;
typedef rd_kafka_event_t rd_kafka_DescribeTopics_result_t;

/* rd_kafka_resp_err_t; negative ones are local to the library. */
enum {
	EW_ERR_DESTROY = -197,
	EW_ERR_TRANSPORT = -195,
	EW_ERR_RESOLVE = -193,
	EW_ERR_MSG_TIMED_OUT = -192,
	EW_ERR_UNKNOWN_PARTITION = -190,
	EW_ERR_UNKNOWN_TOPIC = -188,
	EW_ERR_ALL_BROKERS_DOWN = -187,
	EW_ERR_INVALID_ARG = -186,
	EW_ERR_TIMED_OUT = -185,
	EW_ERR_QUEUE_FULL = -184,
	EW_ERR_SSL = -181,
	EW_ERR_AUTHENTICATION = -169,
	EW_ERR_PURGE_QUEUE = -152,
	EW_ERR_PURGE_INFLIGHT = -151,
	EW_ERR_FATAL = -150,
	EW_ERR_INVALID_DIFFERENT_RECORD = -138,
	EW_ERR_INVALID_MSG = 2,
	EW_ERR_UNKNOWN_TOPIC_OR_PART = 3,
	EW_ERR_INVALID_MSG_SIZE = 4,
	EW_ERR_MSG_SIZE_TOO_LARGE = 10,
	EW_ERR_TOPIC_EXCEPTION = 17,
	EW_ERR_RECORD_LIST_TOO_LARGE = 18,
	EW_ERR_NOT_ENOUGH_REPLICAS = 19,
	EW_ERR_TOPIC_AUTHORIZATION_FAILED = 29,
	EW_ERR_CLUSTER_AUTHORIZATION_FAILED = 31,
	EW_ERR_INVALID_TIMESTAMP = 32,
	EW_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
	EW_ERR_POLICY_VIOLATION = 44,
	EW_ERR_SASL_AUTHENTICATION_FAILED = 58,
	EW_ERR_INVALID_RECORD = 87
};

enum {
	EW_EVENT_DR = 0x1,
	EW_EVENT_LOG = 0x4,
	EW_EVENT_ERROR = 0x8,
	EW_EVENT_STATS = 0x40,
	EW_EVENT_DESCRIBETOPICS_RESULT = 0x100000
};

enum {
	EW_CONF_UNKNOWN = -2,
	EW_CONF_INVALID = -1,
	EW_CONF_OK = 0,

	EW_PRODUCER = 0,
	EW_MSG_F_COPY = 0x2,
	EW_PURGE_F_QUEUE = 0x1,
	EW_PURGE_F_INFLIGHT = 0x2,
	EW_ADMIN_OP_DESCRIBETOPICS = 19
};

/* rd_kafka_vtype_t: the tags of rd_kafka_producev's arguments. */
enum {
	EW_VTYPE_END = 0,
	EW_VTYPE_TOPIC = 1,
	EW_VTYPE_RKT = 2,
	EW_VTYPE_VALUE = 4,
	EW_VTYPE_KEY = 5,
	EW_VTYPE_OPAQUE = 6,
	EW_VTYPE_MSGFLAGS = 7,
	EW_VTYPE_TIMESTAMP = 8,
	EW_VTYPE_HEADER = 9,
	EW_VTYPE_HEADERS = 10
};

const char *rd_kafka_version_str(void);
const char *rd_kafka_err2str(EW_ENUM(rd_kafka_resp_err_t) err);
const char *rd_kafka_err2name(EW_ENUM(rd_kafka_resp_err_t) err);

rd_kafka_conf_t *rd_kafka_conf_new(void);
rd_kafka_conf_t *rd_kafka_conf_dup(const rd_kafka_conf_t *conf);
void rd_kafka_conf_destroy(rd_kafka_conf_t *conf);
EW_ENUM(rd_kafka_conf_res_t) rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, char *errstr, size_t size);
EW_ENUM(rd_kafka_conf_res_t) rd_kafka_conf_get(const rd_kafka_conf_t *conf, const char *name, char *dest, size_t *size);
const char **rd_kafka_conf_dump(rd_kafka_conf_t *conf, size_t *count);
void rd_kafka_conf_dump_free(const char **dump, size_t count);
rd_kafka_topic_conf_t *rd_kafka_topic_conf_new(void);
void rd_kafka_topic_conf_destroy(rd_kafka_topic_conf_t *conf);
const char **rd_kafka_topic_conf_dump(rd_kafka_topic_conf_t *conf, size_t *count);
void rd_kafka_conf_set_events(rd_kafka_conf_t *conf, int events);

rd_kafka_t *rd_kafka_new(EW_ENUM(rd_kafka_type_t) type, rd_kafka_conf_t *conf, char *errstr, size_t size);
void rd_kafka_destroy(rd_kafka_t *rk);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_set_log_queue(rd_kafka_t *rk, rd_kafka_queue_t *queue);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_fatal_error(rd_kafka_t *rk, char *errstr, size_t size);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_test_fatal_error(rd_kafka_t *rk, EW_ENUM(rd_kafka_resp_err_t) err, const char *reason);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_purge(rd_kafka_t *rk, int flags);

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *rk, const char *topic, rd_kafka_topic_conf_t *conf);
void rd_kafka_topic_destroy(rd_kafka_topic_t *rkt);
const char *rd_kafka_topic_name(const rd_kafka_topic_t *rkt);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_producev(rd_kafka_t *rk, ...);

rd_kafka_queue_t *rd_kafka_queue_get_main(rd_kafka_t *rk);
void rd_kafka_queue_destroy(rd_kafka_queue_t *queue);
rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms);
void rd_kafka_queue_yield(rd_kafka_queue_t *queue);
void rd_kafka_queue_io_event_enable(rd_kafka_queue_t *queue, int fd, const void *payload, size_t size);
void rd_kafka_queue_cb_event_enable(rd_kafka_queue_t *queue, void (*call)(rd_kafka_t *rk, void *opaque), void *opaque);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_message_detach_headers(ew_rk_message *message, rd_kafka_headers_t **headers);
rd_kafka_headers_t *rd_kafka_headers_new(size_t count);
void rd_kafka_headers_destroy(rd_kafka_headers_t *headers);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_header_add(rd_kafka_headers_t *headers, const char *name, ssize_t name_len, const void *value,
	ssize_t value_len);
int64_t rd_kafka_message_timestamp(const ew_rk_message *message, EW_ENUM(rd_kafka_timestamp_type_t) *type);

int rd_kafka_event_type(const rd_kafka_event_t *event);
size_t rd_kafka_event_message_array(rd_kafka_event_t *event, const ew_rk_message **messages, size_t size);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_event_error(rd_kafka_event_t *event);
const char *rd_kafka_event_error_string(rd_kafka_event_t *event);
int rd_kafka_event_error_is_fatal(rd_kafka_event_t *event);
int rd_kafka_event_log(rd_kafka_event_t *event, const char **fac, const char **str, int *level);
const char *rd_kafka_event_stats(rd_kafka_event_t *event);
void rd_kafka_event_destroy(rd_kafka_event_t *event);

struct rd_kafka_metadata;
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_metadata(rd_kafka_t *rk, int all_topics, rd_kafka_topic_t *only,
	const struct rd_kafka_metadata **metadata, int timeout_ms);
void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata);

rd_kafka_AdminOptions_t *rd_kafka_AdminOptions_new(rd_kafka_t *rk, EW_ENUM(rd_kafka_admin_op_t) op);
void rd_kafka_AdminOptions_destroy(rd_kafka_AdminOptions_t *options);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_AdminOptions_set_request_timeout(rd_kafka_AdminOptions_t *options, int timeout_ms, char *errstr, size_t size);
rd_kafka_TopicCollection_t *rd_kafka_TopicCollection_of_topic_names(const char **topics, size_t count);
void rd_kafka_TopicCollection_destroy(rd_kafka_TopicCollection_t *topics);
void rd_kafka_DescribeTopics(rd_kafka_t *rk, const rd_kafka_TopicCollection_t *topics, const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);
const rd_kafka_DescribeTopics_result_t *rd_kafka_event_DescribeTopics_result(rd_kafka_event_t *event);
const rd_kafka_TopicDescription_t **rd_kafka_DescribeTopics_result_topics(const rd_kafka_DescribeTopics_result_t *result, size_t *count);
const char *rd_kafka_TopicDescription_name(const rd_kafka_TopicDescription_t *description);
const rd_kafka_error_t *rd_kafka_TopicDescription_error(const rd_kafka_TopicDescription_t *description);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_error_code(const rd_kafka_error_t *error);

#ifdef EW_RDKAFKA_CHECK
EW_SAME(EW_ERR_DESTROY, RD_KAFKA_RESP_ERR__DESTROY);
EW_SAME(EW_ERR_TRANSPORT, RD_KAFKA_RESP_ERR__TRANSPORT);
EW_SAME(EW_ERR_RESOLVE, RD_KAFKA_RESP_ERR__RESOLVE);
EW_SAME(EW_ERR_MSG_TIMED_OUT, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
EW_SAME(EW_ERR_UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
EW_SAME(EW_ERR_UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
EW_SAME(EW_ERR_ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
EW_SAME(EW_ERR_INVALID_ARG, RD_KAFKA_RESP_ERR__INVALID_ARG);
EW_SAME(EW_ERR_TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT);
EW_SAME(EW_ERR_QUEUE_FULL, RD_KAFKA_RESP_ERR__QUEUE_FULL);
EW_SAME(EW_ERR_SSL, RD_KAFKA_RESP_ERR__SSL);
EW_SAME(EW_ERR_AUTHENTICATION, RD_KAFKA_RESP_ERR__AUTHENTICATION);
EW_SAME(EW_ERR_PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_QUEUE);
EW_SAME(EW_ERR_PURGE_INFLIGHT, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT);
EW_SAME(EW_ERR_FATAL, RD_KAFKA_RESP_ERR__FATAL);
EW_SAME(EW_ERR_INVALID_DIFFERENT_RECORD, RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD);
EW_SAME(EW_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR_INVALID_MSG);
EW_SAME(EW_ERR_INVALID_MSG_SIZE, RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE);
EW_SAME(EW_ERR_INVALID_TIMESTAMP, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
EW_SAME(EW_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
EW_SAME(EW_VTYPE_TOPIC, RD_KAFKA_VTYPE_TOPIC);
EW_SAME(EW_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
EW_SAME(EW_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
EW_SAME(EW_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
EW_SAME(EW_ERR_RECORD_LIST_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE);
EW_SAME(EW_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
EW_SAME(EW_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
EW_SAME(EW_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
EW_SAME(EW_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_POLICY_VIOLATION);
EW_SAME(EW_ERR_SASL_AUTHENTICATION_FAILED, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED);
EW_SAME(EW_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_RECORD);
EW_SAME(EW_EVENT_DR, RD_KAFKA_EVENT_DR);
EW_SAME(EW_EVENT_LOG, RD_KAFKA_EVENT_LOG);
EW_SAME(EW_EVENT_ERROR, RD_KAFKA_EVENT_ERROR);
EW_SAME(EW_EVENT_STATS, RD_KAFKA_EVENT_STATS);
EW_SAME(EW_EVENT_DESCRIBETOPICS_RESULT, RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT);
EW_SAME(EW_CONF_UNKNOWN, RD_KAFKA_CONF_UNKNOWN);
EW_SAME(EW_CONF_INVALID, RD_KAFKA_CONF_INVALID);
EW_SAME(EW_CONF_OK, RD_KAFKA_CONF_OK);
EW_SAME(EW_PRODUCER, RD_KAFKA_PRODUCER);
EW_SAME(EW_MSG_F_COPY, RD_KAFKA_MSG_F_COPY);
EW_SAME(EW_PURGE_F_QUEUE, RD_KAFKA_PURGE_F_QUEUE);
EW_SAME(EW_PURGE_F_INFLIGHT, RD_KAFKA_PURGE_F_INFLIGHT);
EW_SAME(EW_ADMIN_OP_DESCRIBETOPICS, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
EW_SAME(EW_VTYPE_END, RD_KAFKA_VTYPE_END);
EW_SAME(EW_VTYPE_RKT, RD_KAFKA_VTYPE_RKT);
EW_SAME(EW_VTYPE_VALUE, RD_KAFKA_VTYPE_VALUE);
EW_SAME(EW_VTYPE_KEY, RD_KAFKA_VTYPE_KEY);
EW_SAME(EW_VTYPE_OPAQUE, RD_KAFKA_VTYPE_OPAQUE);
EW_SAME(EW_VTYPE_MSGFLAGS, RD_KAFKA_VTYPE_MSGFLAGS);
EW_SAME(EW_VTYPE_TIMESTAMP, RD_KAFKA_VTYPE_TIMESTAMP);
EW_SAME(EW_VTYPE_HEADER, RD_KAFKA_VTYPE_HEADER);
EW_SAME(EW_VTYPE_HEADERS, RD_KAFKA_VTYPE_HEADERS);
/* The layout of the structure above, which is not in force here. */
EW_SAME(0, offsetof(rd_kafka_message_t, err));
EW_SAME(sizeof(int), sizeof(((rd_kafka_message_t *)0)->err));
EW_SAME(8, offsetof(rd_kafka_message_t, rkt));
EW_SAME(64, offsetof(rd_kafka_message_t, _private));
EW_SAME(72, sizeof(rd_kafka_message_t));
#else
_Static_assert(offsetof(ew_rk_message, rkt) == 8 && offsetof(ew_rk_message, opaque) == 64 &&
	sizeof(ew_rk_message) == 72, "rd_kafka_message_t has this layout on 64-bit machines");
#endif

#include "consumer_abi.h"

#endif
