/* SPDX-License-Identifier: MIT */

/*
 * The mean of all numbers that were ever sent. The struct is devserve's: it is there in every
 * call, zero the first time, and stays through saves, crashes and restarts.
 */

#include <devserve/ext/state.h>

struct mean {
	int64_t count;
	double sum;
};

DEVSERVE_STATE(struct mean, .version = 1)

static int infer(const struct devserve_call *call)
{
	const double *x = call->in[0].data;
	int64_t *count = call->out[0].data;
	double *mean = call->out[1].data;
	struct mean *m = devserve_state(call);

	for (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i++) {
		m->sum += x[i];
		m->count++;
	}
	if (!m->count)
		return devserve_refuse(call, "there is no mean of no numbers");
	*count = m->count;
	*mean = m->sum / (double)m->count;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "The mean of all numbers so far.",
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP64, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "COUNT", DEVSERVE_INT64, { 1 } }, { "MEAN", DEVSERVE_FP64, { 1 } }),
	.infer = infer,
	.extensions = { DEVSERVE_STATE_EXTENSION },
)
