/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a plugin says of the work of a call (<devserve/ext/work.h>), with the times of a verdict: as
 * rates, and as shares of what the machine can do, where that was measured (peaks/peaks.h).
 */

struct buffer;
struct deploy_verdict;

/* "; 58.2 GFLOP/s, 50 % of the peak; 3.1 GB/s, 12 % of L2's", of the input that takes longest; or nothing. */
void work_text(struct buffer *b, const struct deploy_verdict *v);

/* A member `work` of input @i; none where nothing is stated. */
void work_json(struct buffer *b, const struct deploy_verdict *v, unsigned i);
