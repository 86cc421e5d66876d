/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Measure
 *
 * Times two images against each other on recorded requests (ring/measurement.h). For a worker that
 * serves nobody, and is killed afterwards: it leaves the images as they are.
 */

#include <stdint.h>

struct link_shared;

/* Carry out what the server has in its descriptor @fd. 0, or -errno: there is no report. [infer] */
int measure_carry_out(const struct link_shared *link, uint64_t fd);
