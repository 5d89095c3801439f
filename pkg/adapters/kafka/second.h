/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The second producer, which sends the messages of refused batches once more, each alone. */
#ifndef EW_SECOND_H
#define EW_SECOND_H

#include <stdatomic.h>

#include "rdkafka_abi.h"

/* The upper bits of a message's opaque; the rest is its sequence number. */
#define EW_SECOND_BIT ((uint64_t)1 << 63)
#define EW_TOO_LARGE_BIT ((uint64_t)1 << 62) /* its batch was too large */
#define EW_BLOCK_BIT ((uint64_t)1 << 61) /* its payload is in a block of ours */

typedef struct {
	_Atomic(rd_kafka_t *) rk; /* NULL until it is needed */
	rd_kafka_queue_t *queue;
	rd_kafka_conf_t *conf; /* until it is made */
} ew_second;

/* Keeps a copy of the first producer's configuration. */
void ew_second_prepare(ew_second *s, const rd_kafka_conf_t *conf);
/* Sends m, whose report says that it failed, alone; its own report then arrives in s->queue, and is told at
 * the eventfd events. Zero: m is not to be sent again, its report is final. */
int ew_second_send(ew_second *s, const ew_rk_message *m, int events);
void ew_second_destroy(ew_second *s);

#endif
