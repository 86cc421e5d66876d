/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sanitizer
 *
 * A worker that started with a sanitizer's runtime library (replica/sanitizer.h) hides nothing
 * from it: each tensor of a call is a block of the heap, as large as the tensor and freed after
 * the call, and what lies behind a state is poisoned. The library knows blocks by where they were
 * allocated, which is here; so the name of the tensor is told as well.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

/* Once, before any plugin's code. What a plugin starts gets the environment that devserve has. */
void sanitizer_init(void);

bool sanitizer_is_on(void);

/* Of the runtime library, by the name __asan_on_error, as it begins to report. */
#pragma GCC visibility push(default)
void sanitizer_on_error(void);
#pragma GCC visibility pop

/* Nobody may touch what is left of the page behind @at + @size; … may again. Nothing where it isn't on. */
void sanitizer_poison_behind(const void *at, uint64_t size);
void sanitizer_unpoison_behind(const void *at, uint64_t size);

struct block {
	char *at; /* NULL: none */
	uint64_t size;
	const void *origin; /* of an input */
};

/* The tensors of one call, and what was those of the one before: freed, and still known by name. */
struct blocks {
	const struct devserve_call *view; /* names and shapes */
	struct block in[DEVSERVE_MAX_TENSORS], out[DEVSERVE_MAX_TENSORS];
	struct block gone_in[DEVSERVE_MAX_TENSORS], gone_out[DEVSERVE_MAX_TENSORS];
};

void blocks_begin(struct blocks *b, const struct devserve_call *view);
/* A copy of the input @index at @data. NULL: no memory. */
void *blocks_input(struct blocks *b, uint32_t index, const void *data, uint64_t size);
/* For the output @index; again with no more bytes: the same. NULL: no memory. */
void *blocks_output(struct blocks *b, uint32_t index, uint64_t size);
/* The index of an input that isn't any more what it was; -1: none. */
int blocks_changed_input(const struct blocks *b);
void blocks_end(struct blocks *b);
