/* SPDX-License-Identifier: MIT */
#include "worker/work.h"

#include <stddef.h>

#include <devserve/ext/work.h>

#include "worker/image.h"
#include "worker/threads.h"

struct work work_of(const struct image *image, const struct devserve_call *call)
{
	const struct devserve_work_extension *e =
		(const struct devserve_work_extension *)image_extension(image, DEVSERVE_WORK_ID);
	struct devserve_work said = { .flops = 0 };

	if (!e || !e->work)
		return (struct work){ .flops = 0 };
	threads_enter(image->threads);
	e->work(call, &said);
	threads_enter(NULL);
	return (struct work){ .flops = said.flops, .bytes = said.bytes,
			      .dtype = said.dtype ? said.dtype : DEVSERVE_FP32 };
}
