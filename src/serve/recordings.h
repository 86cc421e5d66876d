/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Recordings
 *
 * What the recorders have, for those who ask:
 *
 *	GET  /-/recordings?deployment=NAME  a list, the newest of each shape first; with limit=N of N,
 *	                                    with counts=1 of those that were answered as is right now
 *	                                    with "unrecorded" where calls were too large to be kept
 *	GET  /-/recording?id=ID             one: the same JSON on a line, then the bytes of its inputs and
 *	                                    outputs, one after the other
 *	POST /-/keep?id=ID                  keep one as a case of the image that serves (serve/cases.h); with
 *	                                    once=1 for the asker, who removes it
 */

#include <stdint.h>

struct buffer;
struct exchange;

/* That a call of @bytes was too large for the recorder, what that means, and what mends it. A clause. */
void recordings_put_advice(uint64_t bytes, struct buffer *ret);

/* @context: struct plugins. */
void recordings_list(void *context, struct exchange *x);
void recordings_get(void *context, struct exchange *x);
void recordings_keep(void *context, struct exchange *x);
