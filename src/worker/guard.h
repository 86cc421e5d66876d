/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Guard
 *
 * Memory in which infer() computes, made so that a byte written past an output is noticed.
 * Up to GUARD_MAX bytes an output is private memory that ends where a page begins which
 * nobody may touch, and is copied to its place afterwards; a larger one is its place itself.
 * Behind either, up to a 64-byte boundary, lies a canary. Inputs are memory
 * that can only be read. What a fault on any of this means, guard_explain() tells.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

#define GUARD_MAX UINT64_C(32768)

struct guard;

/* Names and shapes are read from @view when there is something to tell. */
struct guard *guard_new(const struct devserve_call *view);
struct guard *guard_free(struct guard *g); /* NULL is fine. Returns NULL. */

/* Inputs lie in these @size bytes, which are mapped read-only. */
void guard_set_inputs(struct guard *g, const char *inputs, size_t size);

/*
 * A call is viewed, none of its outputs has memory yet; … it has ended. guard_explain() speaks of
 * the guard whose call began last. [infer]
 */
void guard_begin(struct guard *g);
void guard_end(struct guard *g);

/* The @size bytes of input @index, which lie at @data: as infer() may see them. NULL: no memory. [infer] */
void *guard_input(struct guard *g, uint32_t index, void *data, uint64_t size);

/*
 * Where to compute the @size bytes of output @index that belong to @place, which has room for
 * one more, up to the next multiple of 64. Again with no more bytes: the same memory. [infer]
 */
void *guard_output(struct guard *g, uint32_t index, void *place, uint64_t size);

/* Whether anything was written past an output: @ret becomes "wrote 3 bytes past NAME FP32[8,16]". [infer] */
bool guard_is_damaged(const struct guard *g, char *ret, size_t size);

/* "wrote 3 bytes past NAME FP32[8,16]" */
void guard_tell_past(const struct devserve_tensor *output, unsigned n, char *ret, size_t size);

/* Bring the outputs to their places. [infer] */
void guard_collect(const struct guard *g);

/*
 * "; if it was output "Y": that has no memory until devserve_make(), …": of the first that has none yet, where the
 * call runs. Of a signal handler.
 */
void guard_put_unmade(char *ret, size_t size);

/* Whether memory of the call lies at @address, and what touching it meant. Of a signal handler. */
bool guard_explain(uintptr_t address, bool is_write, char *ret, size_t size);
