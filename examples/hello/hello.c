/* SPDX-License-Identifier: MIT */
#include <devserve/deployment.h>

/* Y = 2 X. Change the 2 while devserve runs, save, and ask again. */
static int infer(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *y = call->out[0].data;

	for (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i++)
		y[i] = 2 * x[i];
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "Doubles numbers.",
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
)
