/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory for payloads on their way through librdkafka: many share a block, which is used again when each of
 * them has its report. Letting librdkafka copy each one costs an allocation of that size in one thread and
 * its release in another, which glibc answers with page faults.
 */
#ifndef EW_BLOCKS_H
#define EW_BLOCKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EW_BLOCK_SIZE = 256 << 10, /* and its alignment: a payload's address tells its block */
	EW_BLOCK_LEAST = 384, /* smaller payloads are as cheap inside librdkafka's own allocation */
	EW_BLOCK_MOST = 32 << 10,
	EW_BLOCKS = 256, /* of one producer: a few messages that wait for long may keep as many */
	EW_FREE_BLOCKS = 16 /* kept for later */
};

typedef struct ew_block ew_block;

typedef struct {
	ew_block *current; /* touched by the one goroutine that publishes */
	pthread_mutex_t lock; /* guards what follows */
	ew_block *all[EW_BLOCKS], *free;
	size_t count, free_count;
} ew_blocks;

void ew_blocks_init(ew_blocks *b);
/* When librdkafka has let go of every payload. */
void ew_blocks_destroy(ew_blocks *b);
/* A copy of data in a block; NULL if there is none to be had: it is to be copied by others then. */
void *ew_blocks_copy(ew_blocks *b, const void *data, size_t len);
/* Takes the last copy back, which nobody has seen. */
void ew_blocks_undo(ew_blocks *b, void *copy);
/* A copy is needed no more. By any thread. */
void ew_blocks_release(ew_blocks *b, const void *copy);

#endif
