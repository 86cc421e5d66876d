/* SPDX-License-Identifier: MIT */
#include "deploy/internal.h"

#include <string.h>

#include "ring/crash.h"

/* The worker's word, compared and nothing else. */
bool crash_is_in(const struct crash *c, const char *path)
{
	for (uint32_t i = 0; i < c->n_frames; i++) {
		uint64_t module = c->frames[i].module;

		if (module < c->n_modules && strstr(c->modules[module].path, "/generations/"))
			return strcmp(c->modules[module].path, path) == 0;
	}
	return false;
}

void crash_tell_call(struct deployment *d, uint32_t generation, const char *call, const struct replica_end *end)
{
	struct deploy *deploy = d->deploy;

	if ((end->cause != REPLICA_CRASHED && end->cause != REPLICA_TIMEOUT) || deploy->closing)
		return;
	deploy->cb.crashed(deploy->cb.context, &(struct deploy_crash){ .name = d->name,
								      .generation = generation,
								      .pid = end->pid,
								      .how = end->how,
								      .call = call,
								      .crash = end->crash,
								      .report = end->report });
}

void crash_tell(struct deployment *d, uint32_t generation, const struct batch *b,
		const struct replica_end *end)
{
	_cleanup_buffer_ struct buffer call = BUFFER_NULL;

	if (b)
		batch_describe(b, &call);
	crash_tell_call(d, generation, b ? call.data : NULL, end);
}
