/* SPDX-License-Identifier: MIT */

/* The sum of two vectors of any size: nearly nothing but moving bytes. */

#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	const float *a = call->in[0].data, *b = call->in[1].data;
	size_t n = devserve_count(&call->in[0]);
	float *sum = call->out[0].data;

	if (devserve_count(&call->in[1]) != n)
		return devserve_refuse(call, "A and B differ in size");
	for (size_t i = 0; i < n; i++)
		sum[i] = a[i] + b[i];
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "The sum of two vectors of any size.",
	.inputs = DEVSERVE_TENSORS({ "A", DEVSERVE_FP32, { -1 } }, { "B", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "SUM", DEVSERVE_FP32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
)
