/* SPDX-License-Identifier: MIT */

/* Counts in a state of STATE bytes, or (0) in a variable; every call writes to another page. */

#define STATE 0

#include <devserve/ext/state.h>

#define N_PAGES (STATE ? STATE / 4096 : 16)

struct table {
	struct {
		int32_t count;
		char rest[4092];
	} pages[N_PAGES];
};

#if STATE
DEVSERVE_STATE(struct table, .version = 1)
#else
static struct table table;
#endif

static int infer(const struct devserve_call *call)
{
	static uint32_t n;
#if STATE
	struct table *t = devserve_state(call);
#else
	struct table *t = &table;
#endif

	if (!n) /* all of it is there from the first call on */
		for (uint32_t i = 0; i < N_PAGES; i++)
			t->pages[i].count++;
	*(int32_t *)call->out[0].data = ++t->pages[n++ % N_PAGES].count + *(const int32_t *)call->in[0].data;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
#if STATE
	.extensions = { DEVSERVE_STATE_EXTENSION },
#endif
)
