/* SPDX-License-Identifier: MIT */

/*
 * Sum and difference of sixteen integers: the model that the clients' own examples call.
 * Everything a deployment needs is here: infer(), and what it takes and gives.
 *
 * A batch only makes the tensors longer ([batch, 16]), and devserve_count() counts all of
 * it: no loop over rows. The count is taken before the loop because a store to `sum` might
 * change it, for all that the compiler knows; in the loop's condition it would be asked for
 * anew each time, and the loop would not become SIMD.
 */

#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	const int32_t *a = call->in[0].data, *b = call->in[1].data;
	int32_t *sum = call->out[0].data, *difference = call->out[1].data;

	for (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i++) {
		sum[i] = (int32_t)((uint32_t)a[i] + (uint32_t)b[i]);
		difference[i] = (int32_t)((uint32_t)a[i] - (uint32_t)b[i]);
	}
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "Sum and difference of two vectors of 16 integers.",
	.inputs = DEVSERVE_TENSORS({ "INPUT0", DEVSERVE_INT32, { 16 } },
				   { "INPUT1", DEVSERVE_INT32, { 16 } }),
	.outputs = DEVSERVE_TENSORS({ "OUTPUT0", DEVSERVE_INT32, { 16 } },
				    { "OUTPUT1", DEVSERVE_INT32, { 16 } }),
	.max_batch_size = 8,
	.infer = infer,
)
