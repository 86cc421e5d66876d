/* SPDX-License-Identifier: MIT */
#ifndef DEVSERVE_EXT_CHECK_H
#define DEVSERVE_EXT_CHECK_H

/*
 * Check, "devserve.check/1"
 *
 * What an image must show before it may serve. It runs in the trial only: in a process that
 * serves nobody, after create() and before anything is swapped. An error refuses the image;
 * what served before goes on.
 *
 *	static int check(const struct devserve_host *host, void *self)
 *	{
 *		if (kernel(2) != 4) {
 *			devserve_log(host, DEVSERVE_ERROR, "2 × 2 is %d", kernel(2));
 *			return -1;
 *		}
 *		return 0;
 *	}
 *
 *	DEVSERVE_CHECK(check)
 *
 *	DEVSERVE_DEPLOYMENT(
 *		…
 *		.extensions = { DEVSERVE_CHECK_EXTENSION },
 *	)
 */

#include <devserve/deployment.h>

#define DEVSERVE_CHECK_ID "devserve.check/1"

#ifdef __cplusplus
extern "C" {
#endif

struct devserve_check_extension {
	struct devserve_extension extension;
	/*
	 * @self is what create() left. 0, or a negative errno; the last line logged as
	 * DEVSERVE_ERROR is the sentence that goes with it. A state (ext/state.h) is there as
	 * a copy. [control]
	 */
	int (*check)(const struct devserve_host *host, void *self);
};

#ifdef __cplusplus
} /* extern "C" */
#endif

/* @function is the image's check. Once, at file scope. */
#define DEVSERVE_CHECK(function)                                                              \
	static DEVSERVE_CONSTANT struct devserve_check_extension devserve_check_table = {     \
		.extension = { DEVSERVE_CHECK_ID, sizeof(struct devserve_check_extension), 0 }, \
		.check = (function),                                                          \
	};

/* For `.extensions = { … }`. */
#define DEVSERVE_CHECK_EXTENSION &devserve_check_table.extension

#endif
