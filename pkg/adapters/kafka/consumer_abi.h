/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The part of librdkafka's public C ABI that the consumer calls; included by rdkafka_abi.h, which says how. */
#ifndef EW_CONSUMER_ABI_H
#define EW_CONSUMER_ABI_H

#include <sys/types.h>

#ifdef EW_RDKAFKA_CHECK
typedef rd_kafka_topic_partition_list_t ew_rk_list;
#else
typedef struct {
	char *topic;
	int32_t partition;
	int64_t offset;
	void *metadata;
	size_t metadata_size;
	void *opaque;
	int err;
	void *reserved;
} ew_rk_partition;

typedef struct {
	int cnt;
	int size;
	ew_rk_partition *elems;
} ew_rk_list;
#endif

enum {
	EW_CONSUMER = 1,
	EW_DESTROY_NO_CONSUMER_CLOSE = 0x8,
	EW_EVENT_REBALANCE = 0x10,
	EW_EVENT_OFFSET_COMMIT = 0x20,
	EW_ERR_MAX_POLL_EXCEEDED = -147,
	EW_ERR_NO_OFFSET = -168,
	EW_ERR_PARTITION_EOF = -191,
	EW_ERR_ASSIGN_PARTITIONS = -175,
	EW_ERR_REVOKE_PARTITIONS = -174,
	EW_ERR_GROUP_AUTHORIZATION_FAILED = 30
};

void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_poll_set_consumer(rd_kafka_t *rk);
rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *rk);
rd_kafka_queue_t *rd_kafka_queue_get_partition(rd_kafka_t *rk, const char *topic, int32_t partition);
rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *rk);
void rd_kafka_queue_forward(rd_kafka_queue_t *src, rd_kafka_queue_t *dst);
ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t *queue, int timeout_ms, ew_rk_message **messages, size_t size);
void rd_kafka_message_destroy(ew_rk_message *message);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_message_headers(const ew_rk_message *message, rd_kafka_headers_t **headers);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_header_get_all(const rd_kafka_headers_t *headers, size_t index, const char **name,
	const void **value, size_t *size);
const char *rd_kafka_message_errstr(const ew_rk_message *message);

EW_ENUM(rd_kafka_resp_err_t) rd_kafka_subscribe(rd_kafka_t *rk, const ew_rk_list *topics);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_assign(rd_kafka_t *rk, const ew_rk_list *partitions);
rd_kafka_error_t *rd_kafka_incremental_assign(rd_kafka_t *rk, const ew_rk_list *partitions);
rd_kafka_error_t *rd_kafka_incremental_unassign(rd_kafka_t *rk, const ew_rk_list *partitions);
const char *rd_kafka_rebalance_protocol(rd_kafka_t *rk);
EW_ENUM(rd_kafka_resp_err_t) rd_kafka_offsets_store(rd_kafka_t *rk, ew_rk_list *offsets);
rd_kafka_error_t *rd_kafka_consumer_close_queue(rd_kafka_t *rk, rd_kafka_queue_t *queue);
int rd_kafka_consumer_closed(rd_kafka_t *rk);
int rd_kafka_assignment_lost(rd_kafka_t *rk);
ew_rk_list *rd_kafka_event_topic_partition_list(rd_kafka_event_t *event);
void rd_kafka_error_destroy(rd_kafka_error_t *error);

ew_rk_list *rd_kafka_topic_partition_list_new(int size);
void rd_kafka_topic_partition_list_destroy(ew_rk_list *list);
#ifdef EW_RDKAFKA_CHECK
rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_add(ew_rk_list *list, const char *topic, int32_t partition);
#else
ew_rk_partition *rd_kafka_topic_partition_list_add(ew_rk_list *list, const char *topic, int32_t partition);
#endif

#ifdef EW_RDKAFKA_CHECK
EW_SAME(EW_CONSUMER, RD_KAFKA_CONSUMER);
EW_SAME(EW_DESTROY_NO_CONSUMER_CLOSE, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
EW_SAME(EW_EVENT_REBALANCE, RD_KAFKA_EVENT_REBALANCE);
EW_SAME(EW_EVENT_OFFSET_COMMIT, RD_KAFKA_EVENT_OFFSET_COMMIT);
EW_SAME(EW_ERR_MAX_POLL_EXCEEDED, RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED);
EW_SAME(EW_ERR_NO_OFFSET, RD_KAFKA_RESP_ERR__NO_OFFSET);
EW_SAME(EW_ERR_PARTITION_EOF, RD_KAFKA_RESP_ERR__PARTITION_EOF);
EW_SAME(EW_ERR_ASSIGN_PARTITIONS, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
EW_SAME(EW_ERR_REVOKE_PARTITIONS, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
EW_SAME(EW_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
/* The layouts of the structures above. */
EW_SAME(8, offsetof(rd_kafka_topic_partition_t, partition));
EW_SAME(16, offsetof(rd_kafka_topic_partition_t, offset));
EW_SAME(48, offsetof(rd_kafka_topic_partition_t, err));
EW_SAME(64, sizeof(rd_kafka_topic_partition_t));
EW_SAME(8, offsetof(rd_kafka_topic_partition_list_t, elems));
#else
_Static_assert(offsetof(ew_rk_partition, offset) == 16 && sizeof(ew_rk_partition) == 64 && offsetof(ew_rk_list, elems) == 8,
	"rd_kafka_topic_partition_t has this layout on 64-bit machines");
#endif

#endif
