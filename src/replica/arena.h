/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Arena
 *
 * The memory of a deployment's tensors: one sealed memfd that the server and its workers
 * map. It outlives workers. A buddy allocator whose books are private to the server: a
 * worker can spoil the content of a tensor, never the allocator. Blocks are reused last in,
 * first out, because warm memory takes data three times as fast as fresh memory.
 *
 * Loop's thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "infer/memory.h"

/* What all arenas together may hand out, and requests take beside. */
struct arena_budget {
	uint64_t limit, used; /* bytes */
	/* Asked to give back what it can do without, before somebody gets nothing. NULL: nobody can. */
	void (*press)(void *context);
	void *context;
};

struct arena {
	struct infer_memory memory; /* first: what ingress sees */
	struct arena_budget *budget; /* borrowed: outlives us */
	int fd;
	char *base;
	uint64_t size;              /* a power of two */
	struct arena_books *books;
	bool dirty;                 /* a large block was released since the last trim */
	bool keeps;                 /* its pages: a GPU's driver may have pinned them (cuda/pinned.h) */
};

/* An arena that could hold the whole budget; pages come when they are touched. 0 or -errno. */
int arena_init(struct arena *a, const char *name, struct arena_budget *budget);
void arena_fini(struct arena *a);

/* Bytes that a large block may have at most; the rest is for small ones. */
uint64_t arena_most(const struct arena_budget *b);

/* The block's offset, never 0, 64-byte aligned; 0: no memory. */
uint64_t arena_reserve(struct arena *a, uint64_t size);
void arena_release(struct arena *a, uint64_t offset);

/* Usable bytes of the block at @offset: at least what was asked for. */
uint64_t arena_block_size(const struct arena *a, uint64_t offset);

/* Give the pages of free blocks back to the system, unless it `keeps` them. For when nothing happens. */
void arena_trim(struct arena *a);
