/* SPDX-License-Identifier: MIT */

/* Computes for X rounds (1,000,000: some milliseconds) and moves next to nothing. */

#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	uint32_t rounds = *(const uint32_t *)call->in[0].data, y = rounds;

	for (uint32_t i = 0; i < rounds; i++)
		y = y * 1664525 + 1013904223;
	*(uint32_t *)call->out[0].data = y;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_UINT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_UINT32, { 1 } }),
	.infer = infer,
)
