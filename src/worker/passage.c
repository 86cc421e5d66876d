/* SPDX-License-Identifier: MIT */
#include "worker/passage.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <devserve/ext/state.h>

#include "state/address.h"
#include "state/before.h"
#include "state/checkpoint.h"
#include "worker/image.h"
#include "worker/migration.h"
#include "worker/symbol.h"

static const struct devserve_state_extension *declared(const struct image *image)
{
	return (const struct devserve_state_extension *)image_extension(image, DEVSERVE_STATE_ID);
}

static int say(char *sentence, size_t size, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int say(char *sentence, size_t size, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, size, format, args);
	va_end(args);
	return error;
}

static int new_memory(const struct image *image, void *wanted, struct state_memory *ret, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	int r = state_memory_new(e->size, e->version, image->layout, wanted, ret);

	if (r == 0)
		return 0;
	return say(sentence, size, r, "no memory for a state of %llu bytes: %s",
		   (unsigned long long)e->size, strerror(r));
}

static bool has_migrate_from(const struct devserve_state_extension *e)
{
	return e->extension.struct_size >= offsetof(struct devserve_state_extension, migrate_from) + sizeof(void *) &&
	       e->migrate_from;
}

void passage_fini(struct passage *p)
{
	plan_fini(&p->plan);
	buffer_fini(&p->why);
}

void passage_find(const struct state_memory *from, const struct image *image, const char *path, struct passage *ret)
{
	const struct devserve_state_extension *e = declared(image);
	const struct state_shape was = { from->size, from->version, from->layout };
	const struct state_shape is = { e->size, e->version, image->layout };

	*ret = (struct passage){ .why = BUFFER_NULL, .path = path };
	ret->how = state_fit(&was, &is, e->migrate || has_migrate_from(e), &ret->plan, &ret->why);
}

static int migrate(const struct devserve_state_extension *e, const struct plan *plan, const struct state_memory *from,
		   void *ret)
{
	if (!has_migrate_from(e))
		return e->migrate(from->at, from->size, from->version, ret);
	plan_apply(plan, from->at, ret);
	return migrate_from(e, from->at, from->version, from->size, from->layout, ret);
}

static int copy_by_name(const struct passage *p, const struct image *image, const struct state_memory *from,
			struct state_memory *ret)
{
	int r = p->path[0] ? before_restore(p->path, from->layout, image->layout, ret->version, ret->at) : 0;

	plan_apply(&p->plan, from->at, ret->at);
	return r;
}

int passage_go(const struct passage *p, const struct image *image, const struct state_memory *from, void *wanted,
		struct state_memory *ret, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	int r;

	if (p->how == STATE_MISFIT)
		return say(sentence, size, EPROTO, "%s", buffer_text(&p->why));
	r = new_memory(image, wanted, ret, sentence, size);
	if (r != 0)
		return r;
	if (p->how == STATE_COPIED)
		r = copy_by_name(p, image, from, ret);
	else
		r = migrate(e, &p->plan, from, ret->at);
	if (r == 0)
		return 0;
	state_memory_free(ret);
	if (p->how == STATE_COPIED)
		return say(sentence, size, -r, "cannot read %s.before: %s", p->path, strerror(-r));
	return say(sentence, size, r < 0 ? -r : EPROTO, "migrate() from version %u returned %d (%s)",
		   from->version, r, strerror(r < 0 ? -r : r));
}

static int read_into(struct checkpoint *c, struct layout *layout, void *wanted, struct state_memory *ret)
{
	int r = state_memory_new(c->size, c->version, layout, wanted, ret);

	if (r != 0)
		return r;
	r = -checkpoint_read(c, ret->at);
	if (r != 0)
		state_memory_free(ret);
	return r;
}

static int take_over(const struct image *image, struct checkpoint *c, const char *path, void *wanted,
		     struct state_memory *ret, char *sentence, size_t size)
{
	struct state_memory old = { .size = c->size, .version = c->version, .layout = checkpoint_layout(c) };
	_cleanup_passage_ struct passage p;
	struct layout *layout = old.layout;
	bool same;
	int r;

	passage_find(&old, image, path, &p);
	same = p.how == STATE_SAME;
	r = read_into(c, same && image->layout ? image->layout : layout, same ? wanted : NULL, &old);
	layout_unref(layout);
	if (r != 0)
		return say(sentence, size, r, "cannot read the checkpoint of the state: %s", strerror(r));
	if (same)
		*ret = old;
	else
		r = passage_go(&p, image, &old, wanted, ret, sentence, size);
	if (!same)
		state_memory_free(&old);
	if (r != 0)
		return r;
	ret->image_low = c->image_low;
	ret->image_high = c->image_high;
	ret->generation = c->generation;
	ret->how = p.how;
	return 0;
}

int passage_from_checkpoint(const struct image *image, const char *path, void *wanted, struct state_memory *ret, char *sentence,
		size_t size)
{
	struct checkpoint c;
	int r = path[0] ? checkpoint_open(path, &c, sentence, size) : -ENOENT;

	if (r == 0) {
		r = take_over(image, &c, path, wanted, ret, sentence, size);
		checkpoint_close(&c);
		return r;
	}
	if (r == -ENOENT || r == CHECKPOINT_E_FOREIGN)
		return new_memory(image, wanted, ret, r < 0 ? sentence : (char[1]){ 0 }, r < 0 ? size : 1);
	return say(sentence, size, -r, "cannot open %s: %s", path, strerror(-r));
}

bool passage_left_address(const struct state_memory *m, const char *image, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer member = BUFFER_NULL, what = BUFFER_NULL;
	uint64_t address;

	if (!address_find(m->layout, m->at, m->size, m->image_low, m->image_high, &member, &address))
		return false;
	if (image && symbol_describe(image, address - m->image_low, &what))
		buffer_printf(ret, "%s holds the address of %s in the image of generation %u", member.data, what.data,
			      m->generation);
	else
		buffer_printf(ret, "%s holds an address in the image of generation %u", member.data, m->generation);
	return true;
}
