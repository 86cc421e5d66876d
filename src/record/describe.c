/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/buffer.h"
#include "infer/dtype.h"
#include "infer/signature.h"
#include "record/recorder.h"

void recorder_describe(const struct recording *r, const struct signature *s, struct buffer *ret)
{
	for (uint32_t i = 0; i < r->n_in; i++) {
		const struct call_tensor *t = &r->tensors[i];

		buffer_puts(ret, i ? ", " : "");
		if (s && i < s->n_inputs)
			buffer_printf(ret, "%s ", s->inputs[i].name);
		buffer_printf(ret, "%s[", dtype_name(t->dtype));
		for (uint32_t k = 0; k < t->rank; k++)
			buffer_printf(ret, "%s%" PRId64, k ? "," : "", t->shape[k]);
		buffer_putc(ret, ']');
	}
}
