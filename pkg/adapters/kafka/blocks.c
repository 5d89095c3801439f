/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "blocks.h"

struct ew_block {
	ew_block *next; /* in the free list */
	size_t slot, used;
	uint32_t copies; /* made in it so far; of the publisher */
	_Atomic uint32_t needed; /* copies that are still needed; more than that while it is being filled */
};

enum { HEAD = 64, FILLING = 1 << 30 };

_Static_assert(sizeof(ew_block) <= HEAD, "the first payload stands behind the head");
_Static_assert((EW_BLOCK_SIZE - HEAD) / EW_BLOCK_LEAST < FILLING, "copies of a block can be counted");

void ew_blocks_init(ew_blocks *b)
{
	pthread_mutex_init(&b->lock, NULL);
}

void ew_blocks_destroy(ew_blocks *b)
{
	size_t i;

	for (i = 0; i < EW_BLOCKS; i++)
		free(b->all[i]);
	pthread_mutex_destroy(&b->lock);
}

static ew_block *take(ew_blocks *b)
{
	ew_block *k;
	size_t slot;

	pthread_mutex_lock(&b->lock);
	k = b->free;
	if (k) {
		b->free = k->next;
		b->free_count--;
	} else if (b->count < EW_BLOCKS && (k = aligned_alloc(EW_BLOCK_SIZE, EW_BLOCK_SIZE))) {
		for (slot = 0; b->all[slot]; slot++)
			;
		b->all[slot] = k;
		b->count++;
		k->slot = slot;
	}
	pthread_mutex_unlock(&b->lock);
	if (k) {
		k->used = HEAD;
		k->copies = 0;
		atomic_store_explicit(&k->needed, FILLING, memory_order_relaxed);
	}
	return k;
}

static void give_back(ew_blocks *b, ew_block *k)
{
	pthread_mutex_lock(&b->lock);
	if (b->free_count < EW_FREE_BLOCKS) {
		k->next = b->free;
		b->free = k;
		b->free_count++;
		k = NULL;
	} else {
		b->all[k->slot] = NULL;
		b->count--;
	}
	pthread_mutex_unlock(&b->lock);
	free(k);
}

static void needs_less(ew_blocks *b, ew_block *k, uint32_t by)
{
	if (atomic_fetch_sub_explicit(&k->needed, by, memory_order_acq_rel) == by)
		give_back(b, k);
}

void *ew_blocks_copy(ew_blocks *b, const void *data, size_t len)
{
	ew_block *k = b->current;
	void *copy;

	if (len < EW_BLOCK_LEAST || len > EW_BLOCK_MOST)
		return NULL;
	if (!k || len > EW_BLOCK_SIZE - k->used) {
		b->current = NULL;
		if (k)
			needs_less(b, k, FILLING - k->copies);
		if (!(k = b->current = take(b)))
			return NULL;
	}
	copy = (char *)k + k->used;
	memcpy(copy, data, len);
	k->used += (len + 15) & ~(size_t)15;
	if (k->used > EW_BLOCK_SIZE)
		k->used = EW_BLOCK_SIZE;
	k->copies++;
	return copy;
}

void ew_blocks_undo(ew_blocks *b, void *copy)
{
	b->current->used = (size_t)((char *)copy - (char *)b->current);
	b->current->copies--;
}

void ew_blocks_release(ew_blocks *b, const void *copy)
{
	needs_less(b, (ew_block *)((uintptr_t)copy & ~(uintptr_t)(EW_BLOCK_SIZE - 1)), 1);
}
