/* SPDX-License-Identifier: MIT */

/*
 * A counter that outlives its code: change a line, save, and the count goes on
 * where it was. It also goes on after a crash, kill -9, and a restart of devserve.
 *
 * The struct belongs to devserve, which hands it to every generation. It holds numbers, no
 * pointers: what they point to would be gone after a swap. Change it as you like: members are
 * found again by their names, and what could lose a value is refused.
 */

#include <devserve/ext/state.h>

struct counter {
	int64_t count; /* zero the first time */
};

DEVSERVE_STATE(struct counter, .version = 1)

static int infer(const struct devserve_call *call)
{
	const int64_t *delta = call->in[0].data;
	int64_t *count = call->out[0].data;
	struct counter *counter = devserve_state(call);

	if (__builtin_add_overflow(counter->count, *delta, count))
		return devserve_refuse(call, "%lld more is more than a count can be", (long long)*delta);
	counter->count = *count; /* a client that is told this finds it again, whatever happens */
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "Adds to a count that survives swaps and crashes.",
	.inputs = DEVSERVE_TENSORS({ "DELTA", DEVSERVE_INT64, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "COUNT", DEVSERVE_INT64, { 1 } }),
	.infer = infer,
	.extensions = { DEVSERVE_STATE_EXTENSION },
)
