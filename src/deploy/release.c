/* SPDX-License-Identifier: MIT */

/*
 * Release
 *
 * What came to serve, or is about to: files of our own, so that nothing which is changed, trimmed
 * or removed meanwhile is missed by the workers that load it later.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"
#include "state/before.h"

struct replica_image release_image(const struct release *r)
{
	return (struct replica_image){ .path = r->path, .weights = r->weights, .device = r->device, .layout = r->layout_path,
				       .hash = r->image, .cuda = r->signature->cuda };
}

void release_fini(struct release *r)
{
	if (r->path)
		unlink(r->path);
	free(r->path);
	if (r->device)
		unlink(r->device);
	free(r->device);
	if (r->layout_path)
		unlink(r->layout_path);
	free(r->layout_path);
	layout_unref(r->layout);
	free(r->weights);
	free(r->runtime);
	signature_unref(r->signature);
	*r = (struct release){ .path = NULL };
}

/* NULL: there is none, or it isn't known. */
static struct layout *find_layout(const struct deploy *d, struct hash image, struct buffer *ret_text)
{
	if (d->cb.layout)
		d->cb.layout(d->cb.context, image, ret_text);
	return ret_text->size ? layout_parse(ret_text->data, ret_text->size) : NULL;
}

static int keep_layout(struct deployment *d, struct hash image, struct release *ret)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	ret->layout = find_layout(d->deploy, image, &text);
	if (!ret->layout)
		return 0;
	ret->layout_path = xasprintf("%s.layout", ret->path);
	return file_write(ret->layout_path, text.data, text.size, 0600);
}

/*
 * Every mapping gets a path and an inode of its own: the loader knows images by both. Device code
 * is copied as well: the store may drop its own while workers still come.
 */
int release_copy(struct deployment *d, const struct rollout *r, struct release *ret)
{
	_cleanup_free_ char *directory = path_join(d->deploy->generations_dir, d->name);
	static unsigned serial;
	int error = file_make_directories_from(d->deploy->state_dir, directory);

	ret->path = xasprintf("%s/%06u-%u.so", directory, d->last_generation + 1, ++serial);
	if (r->device)
		ret->device = xasprintf("%s/%06u-%u.device", directory, d->last_generation + 1, serial);
	if (error == 0)
		error = file_copy(r->image, ret->path);
	if (error == 0 && r->device)
		error = file_copy(r->device, ret->device);
	if (error == 0 && r->signature->state.size)
		error = keep_layout(d, r->image_hash, ret);
	return error;
}

static struct state_shape shape_of(const struct release *r)
{
	bool is_its = r->layout && r->layout->size == r->signature->state.size; /* as workers see it */

	return (struct state_shape){ r->signature->state.size, r->signature->state.version, is_its ? r->layout : NULL };
}

static void tell_copied(const struct plan *p, bool back, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer more = BUFFER_NULL;

	state_fit_tell(p, back, &more);
	buffer_printf(ret, "the state's members were copied by name%s%s", more.size ? ": " : "", buffer_text(&more));
}

/* That of the first replica; the others' structs have changed together with it. */
static bool is_back(const struct deployment *d, const struct state_shape *to)
{
	_cleanup_free_ char *path = xasprintf("%s/state/%s/0", d->deploy->state_dir, d->name);

	return before_is_of(path, to->layout, to->version);
}

enum state_fit release_fit(const struct deployment *d, const struct release *to, struct buffer *ret)
{
	const struct release *from = &d->current;
	_cleanup_plan_ struct plan plan = PLAN_NULL;
	struct state_shape was, is;
	enum state_fit fit;

	if (!from->signature || !from->signature->state.size || !to->signature->state.size)
		return STATE_SAME;
	was = shape_of(from);
	is = shape_of(to);
	fit = state_fit(&was, &is, to->signature->state.migrates, &plan, ret);
	if (fit == STATE_COPIED)
		tell_copied(&plan, is_back(d, &is), ret);
	else if (fit == STATE_MIGRATED)
		buffer_puts(ret, "the state was made anew by its migrate()");
	else if (fit == STATE_SAME && was.layout && !is.layout)
		buffer_puts(ret, "the state was kept as it was, for size and .version are the same; without debug "
				 "information (-g) nobody looked at its members");
	return fit;
}

enum state_fit release_fit_rollout(const struct deployment *d, const struct rollout *r, struct buffer *why)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL, told = BUFFER_NULL;
	struct release to = { .signature = r->signature };
	enum state_fit fit;

	to.layout = find_layout(d->deploy, r->image_hash, &text);
	fit = release_fit(d, &to, &told);
	if (fit == STATE_MISFIT)
		buffer_puts(why, buffer_text(&told));
	layout_unref(to.layout);
	return fit;
}
