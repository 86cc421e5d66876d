/* SPDX-License-Identifier: MIT */

/* y = W x + b; W and b are in model.safetensors, which make_model.py writes. */

#include <devserve/deployment.h>
#include <devserve/ext/weights.h>

enum { N_IN = 3, N_OUT = 2 };

static const float *weight, *bias;

static int create(const struct devserve_host *host, void **self)
{
	(void)self;
	weight = devserve_weight(host, "weight", DEVSERVE_FP32, N_OUT, N_IN);
	bias = devserve_weight(host, "bias", DEVSERVE_FP32, N_OUT);
	return weight && bias ? 0 : -1; /* the host has kept the reason */
}

static int infer(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *y = call->out[0].data;

	for (uint32_t row = 0; row < call->batch; row++, x += N_IN, y += N_OUT)
		for (int o = 0; o < N_OUT; o++) {
			y[o] = bias[o];
			for (int i = 0; i < N_IN; i++)
				y[o] += weight[o * N_IN + i] * x[i];
		}
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "A linear layer.",
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { N_IN } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { N_OUT } }),
	.max_batch_size = 16,
	.create = create,
	.infer = infer,
)
