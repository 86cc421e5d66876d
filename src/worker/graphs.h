/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Graphs
 *
 * What an image's infer() queued, by the shapes of the call, to be launched again instead of
 * calling it: for images that promise that nothing else decides it. Of one image and one generation
 * of its device code; so a swap, a state that another image took over, or another configuration
 * find none.
 */

#include <devserve/deployment.h>

struct device;
struct gpu;
struct graphs;

struct graphs *graphs_new(const struct device *d);
/* Nothing of them is under way. NULL is fine. Returns NULL. */
struct graphs *graphs_free(struct graphs *s);

/* The memory that they use is another from now on: capture them again. NULL is fine. [infer] */
void graphs_forget(struct graphs *s);

/*
 * Queue what @infer queues for the call of the lane: by it, or by the graph of its shapes. What
 * infer() returned, else 0 or a negative errno; the author was told. [infer]
 */
int graphs_infer(struct gpu *g, int (*infer)(const struct devserve_call *call));

/* Until graphs_let_go() nothing is captured, and nothing is being captured; so code may come and go. [control] */
void graphs_hold(void);
void graphs_let_go(void);
