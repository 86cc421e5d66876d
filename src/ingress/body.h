/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Body
 *
 * Of a request, on its way into the exchange: unpacked if it is packed, counted against what
 * is allowed, and put where it belongs. Any of these may answer the exchange.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingress/coding.h"

struct exchange;

/* It comes in @c, which is known. */
void body_begin(struct exchange *x, enum coding c);

/*
 * Take @size bytes of it; returns how many. Fewer where unpacking them would take longer than
 * a turn may; then body_is_behind(), and the next call goes on, with the bytes that are left
 * or with none.
 */
size_t body_take(struct exchange *x, const char *bytes, size_t size);
bool body_is_behind(const struct exchange *x);

/* Where its next bytes belong, if it is received in place; _filled(): they are there. */
bool body_room(struct exchange *x, void **ret, size_t *ret_size);
void body_filled(struct exchange *x, size_t size);

/* All has come: run what was asked for. */
void body_end(struct exchange *x);

/* 413: @size bytes would be too many. */
void body_refuse_size(struct exchange *x, uint64_t size);
uint64_t body_max(const struct exchange *x);
