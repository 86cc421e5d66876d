/* SPDX-License-Identifier: MIT */

/*
 * Sources for the device alone. Their objects are cubins, which the linker never sees: they reach
 * the worker beside the image, in a file of their own, so that an edit of them leaves the image
 * as it is.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/pack.h"
#include "build/driver.h"
#include "build/internal.h"

int device_compile(struct unit *u, job_done_fn done)
{
	struct build *b = u->build;
	const struct compiler *c = &b->builder->toolchain.cuda.nvrtc;
	_cleanup_words_ struct words request = WORDS_NULL;

	words_add_list(&request, u->source, u->object, u->depends, NULL);
	words_printf(&request, "%llu", (unsigned long long)b->builder->time_limit_ms);
	driver_fill(&request, &c->flags, &(struct driver_paths){ u->source, u->object, u->depends, b->own, NULL });
	cuda_device_flags(b->recipe.cflags, &request);
	return warm_start(b->builder->warm, &c->command, &request, done, u, &u->job);
}

static size_t list_cubins(struct build *b, struct words *ret)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++) {
		_cleanup_free_ char *path = NULL;

		if (b->units[i].language != LANGUAGE_DEVICE)
			continue;
		path = store_path(&b->builder->store, "objects", b->units[i].entry.object);
		words_add(ret, path);
	}
	return ret->n;
}

void device_pack(struct build *b)
{
	struct store *s = &b->builder->store;
	_cleanup_words_ struct words cubins = WORDS_NULL;
	_cleanup_free_ char *temporary = NULL;
	int r;

	if (!list_cubins(b, &cubins))
		return;
	temporary = store_temporary(s, ".cubins");
	r = pack_write(temporary, (const char *const *)cubins.at, cubins.n);
	if (r == 0)
		r = store_take(s, "devices", temporary, &b->device_hash);
	if (r < 0)
		build_fail(b, NULL, "cannot write %s/devices: %s", s->root, strerror(-r));
	else
		b->device = store_path(s, "devices", b->device_hash);
}
