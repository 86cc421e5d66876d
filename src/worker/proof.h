/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Proof
 *
 * Rehearses the golden cases and recordings of an order (ring/proof.h) on an image that serves
 * nobody, and holds its answers against those that were given.
 */

#include <stdint.h>

struct image;
struct link_shared;

/*
 * Carry out what the server has in its descriptor @fd; a state is a copy of link->load.state's.
 * link->running says while infer() runs which case has it, counted from 1. 0, or -errno: nothing was run. [infer]
 */
int proof_carry_out(struct link_shared *link, uint64_t fd, const struct image *image);
