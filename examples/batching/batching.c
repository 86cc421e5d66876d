/* SPDX-License-Identifier: MIT */

/*
 * The sum of each row, and how many rows this call had. Rows of several requests that wait at
 * the same time arrive together. The queue delay is far too long for anything but a look at it.
 */

#include <devserve/deployment.h>

static float sum_of(const float *x, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i];
	return sum;
}

static int infer(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *sum = call->out[0].data;
	int32_t *batch = call->out[1].data;
	size_t n = (size_t)devserve_dim(&call->in[0], -1);

	for (uint32_t row = 0; row < call->batch; row++) {
		sum[row] = sum_of(x + row * n, n);
		batch[row] = (int32_t)call->batch;
	}
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "The sum of each row.",
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { 4 } }),
	.outputs = DEVSERVE_TENSORS({ "SUM", DEVSERVE_FP32, { 1 } }, { "BATCH", DEVSERVE_INT32, { 1 } }),
	.max_batch_size = 4,
	.max_queue_delay_microseconds = 2000000,
	.infer = infer,
)
