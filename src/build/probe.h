/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Probe
 *
 * Asks the compilers' drivers what they would run, once; later the store knows.
 */

struct probing;
struct queue;
struct store;
struct toolchain;

typedef void (*probed_fn)(void *context);

/*
 * @done comes from the loop, or before this returns if nothing had to be asked; then *@ret
 * is NULL. The toolchain knows everything by then.
 */
void toolchain_probe(struct toolchain *t, struct store *s, struct queue *q, probed_fn done,
		     void *context, struct probing **ret);
/* @done will not come. NULL is fine. Returns NULL. */
struct probing *probing_cancel(struct probing *p);
