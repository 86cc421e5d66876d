/* SPDX-License-Identifier: MIT */

/* Answers x, and crashes of a negative one. */

#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	int32_t x = *(const int32_t *)call->in[0].data;

	if (x < 0)
		*(volatile int *)0 = x;
	*(int32_t *)call->out[0].data = x;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
)
