/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Rehearsal
 *
 * Calls that nobody waits for: recorded requests are run on any image that this worker has
 * mapped, with inputs as they lie in the memory of the recordings and outputs in memory of the
 * rehearsal's own, guarded as those of real calls are (worker/guard.h). A state is the caller's
 * business: state_try() gives an image a copy of its own. Beside the worker's own calls, never
 * during one. All [infer].
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/recording.h"

struct devserve_call;
struct image;
struct rehearsal;

enum { REHEARSAL_E_FOREIGN = 1 }; /* the request isn't one that the image declares */

/* Several may be there at a time. NULL: no memory. */
struct rehearsal *rehearsal_new(void);
/* NULL is fine. Returns NULL. */
struct rehearsal *rehearsal_free(struct rehearsal *r);

/*
 * Map the memory at @path ("/proc/PID/fd/N") read-only; munmap() it. 0 or a negative errno. Nothing
 * of it is read here: pages come when they are touched.
 */
int rehearsal_map(const char *path, const char **ret, size_t *ret_size);

/* Recordings lie in these @size bytes from now on: borrowed, and not to be written. */
void rehearsal_attach(struct rehearsal *r, const char *base, size_t size);

/*
 * Outputs are filled with ones (NaN, -1) before each call from now on, so that what infer() leaves
 * out is seen. Costs the writing of them; off at first.
 */
void rehearsal_poison(struct rehearsal *r, bool yes);

/*
 * From now on compute_ns is what a call takes on the GPU, by its own clock and with its caches empty, where
 * the image has its tensors there; they stay there. Off at first.
 */
void rehearsal_time(struct rehearsal *r, bool yes);

/*
 * Run @rec on @image. 0: infer() ran, and rehearsal_call() says how; REHEARSAL_E_FOREIGN: it
 * didn't, with a sentence in rehearsal_call()->error. Writing past an output ends the process as
 * it does when serving.
 */
int rehearsal_run(struct rehearsal *r, const struct image *image, const struct recording *rec);

/* The last one that ran, as the image saw it; until the next. */
const struct devserve_call *rehearsal_view(const struct rehearsal *r);

/* The last one: status, error, compute_ns (infer() alone), shapes; the outputs follow its n_in inputs. */
const struct call *rehearsal_call(const struct rehearsal *r);
/* The bytes of its output @i, until the next one. */
const void *rehearsal_output(const struct rehearsal *r, uint32_t i);
