/* SPDX-License-Identifier: MIT */
#ifndef DEVSERVE_EXT_REFERENCE_H
#define DEVSERVE_EXT_REFERENCE_H

/*
 * Reference, "devserve.reference/1"
 *
 * The same answer with more digits, however slowly. Two right sums of the same floats differ by
 * the order in which they were taken, often by more than any fixed tolerance. So where an image
 * that is to serve answers a recorded request otherwise than it was answered, and offers this,
 * both answers are measured against it: the error may be twice what it was, and no more.
 *
 *	static int reference(const struct devserve_call *call)
 *	{
 *		const float *x = call->in[0].data;
 *		double *y = call->out[0].data;
 *
 *		*y = 0;
 *		for (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i++)
 *			*y += x[i];
 *		return 0;
 *	}
 *
 *	DEVSERVE_REFERENCE(reference)
 *
 *	DEVSERVE_DEPLOYMENT(
 *		…
 *		.extensions = { DEVSERVE_REFERENCE_EXTENSION },
 *	)
 */

#include <devserve/deployment.h>

#define DEVSERVE_REFERENCE_ID "devserve.reference/1"

#ifdef __cplusplus
extern "C" {
#endif

struct devserve_reference_extension {
	struct devserve_extension extension;
	/*
	 * Compute call->out from call->in, in double precision. Each output that is declared as FP16,
	 * BF16, FP32 or FP64 is an FP64 of the shape that infer() gave it, zeroed; all others have
	 * no data and are left alone. All tensors are on the host. Where a state is kept
	 * (ext/state.h) it isn't for this function. An error says that there is no reference for this call.
	 * In the trial only. [infer]
	 */
	int (*reference)(const struct devserve_call *call);
};

#ifdef __cplusplus
} /* extern "C" */
#endif

/* @function is the image's reference. Once, at file scope. */
#define DEVSERVE_REFERENCE(function)                                                                  \
	static DEVSERVE_CONSTANT struct devserve_reference_extension devserve_reference_table = {     \
		.extension = { DEVSERVE_REFERENCE_ID, sizeof(struct devserve_reference_extension), 0 }, \
		.reference = (function),                                                              \
	};

/* For `.extensions = { … }`. */
#define DEVSERVE_REFERENCE_EXTENSION &devserve_reference_table.extension

#endif
