/* SPDX-License-Identifier: MIT */
#ifndef DEVSERVE_EXT_WORK_H
#define DEVSERVE_EXT_WORK_H

/*
 * Work, "devserve.work/1"
 *
 * How much there is to do in a call, whoever does it how: operations, and bytes that have to come
 * or go. With it a time becomes a rate, and a rate a share of what the machine can do
 * (`devserve doctor --calibrate` measures that): what is left to win is known, and on which side.
 *
 *	static void work(const struct devserve_call *call, struct devserve_work *ret)
 *	{
 *		double m = devserve_dim(&call->in[0], -2), k = devserve_dim(&call->in[0], -1);
 *		double n = devserve_dim(&call->in[1], -1);
 *
 *		ret->flops = 2 * m * n * k;
 *		ret->bytes = 4 * (m * k + k * n + m * n);
 *	}
 *
 *	DEVSERVE_WORK(work)
 *
 *	DEVSERVE_DEPLOYMENT(
 *		…
 *		.extensions = { DEVSERVE_WORK_EXTENSION },
 *	)
 */

#include <devserve/deployment.h>

#define DEVSERVE_WORK_ID "devserve.work/1"

#ifdef __cplusplus
extern "C" {
#endif

struct devserve_work {
	double flops;   /* operations; a multiplication with an addition is two. 0: not stated */
	double bytes;   /* read and written at least: inputs, outputs, weights, each once. 0: not stated */
	uint32_t dtype; /* that the operations are done in: enum devserve_dtype. 0: DEVSERVE_FP32 */
	uint32_t reserved DEVSERVE_ABSENT; /* 0 */
};

struct devserve_work_extension {
	struct devserve_extension extension;
	/*
	 * Say in @ret (zeroed) what @call has to do. It has run: outputs have their shapes. Look at
	 * shapes, or at the data if the work depends on them and it isn't on a GPU, and change
	 * nothing. Only in a worker that compares two generations. [infer]
	 */
	void (*work)(const struct devserve_call *call, struct devserve_work *ret);
};

#ifdef __cplusplus
} /* extern "C" */
#endif

/* @function states the image's work. Once, at file scope. */
#define DEVSERVE_WORK(function)                                                              \
	static DEVSERVE_CONSTANT struct devserve_work_extension devserve_work_table = {      \
		.extension = { DEVSERVE_WORK_ID, sizeof(struct devserve_work_extension), 0 }, \
		.work = (function),                                                          \
	};

/* For `.extensions = { … }`. */
#define DEVSERVE_WORK_EXTENSION &devserve_work_table.extension

#endif
