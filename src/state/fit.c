/* SPDX-License-Identifier: MIT */

/*
 * The version is the author's word that the same bytes mean something else. So another version is
 * never copied by name: migrate() or nothing. Where one of the layouts isn't known (an image
 * without debug information, a checkpoint of an older devserve), size and version must do.
 */

#include "state/fit.h"

#include <inttypes.h>
#include <string.h>

static void put_shapes(const struct state_shape *from, const struct state_shape *to, struct buffer *why)
{
	buffer_printf(why,
		      "the state there is has %" PRIu64 " bytes, version %" PRIu32 ", and this image's has %" PRIu64
		      " bytes, version %" PRIu32,
		      from->size, from->version, to->size, to->version);
}

/* What is advised must work: a .migrate_from that isn't told where anything was is none, and nothing is copied then. */
static enum state_fit refuse_version(const struct state_shape *from, const struct state_shape *to, bool known,
				     struct buffer *why)
{
	put_shapes(from, to, why);
	if (known)
		buffer_puts(why, "; write a .migrate_from that makes the new from the old, or leave .version as it is, "
				 "and members are copied by name");
	else
		buffer_puts(why, "; write a .migrate that makes the new from the old (where its members were isn't known "
				 "without debug information of both, -g)");
	if (!known && from->size == to->size)
		buffer_puts(why, ", or leave .version as it is, and the bytes stay as they are");
	return STATE_MISFIT;
}

static enum state_fit refuse_size(const struct state_shape *from, const struct state_shape *to, struct buffer *why)
{
	put_shapes(from, to, why);
	buffer_printf(why,
		      "; without debug information of both (-g) members can't be copied by name: save the struct once "
		      "more as it was, compiled with -g, ask it once, and change it then, or write .version = %" PRIu32
		      " and a .migrate that makes the new from the old",
		      to->version + 1);
	return STATE_MISFIT;
}

static enum state_fit refuse_members(const struct plan *p, struct buffer *why)
{
	buffer_printf(why, "the state can't be kept: %s; write a .migrate_from that makes the new from the old",
		      buffer_text(&p->misfits.text));
	return STATE_MISFIT;
}

enum state_fit state_fit(const struct state_shape *from, const struct state_shape *to, bool migrates,
			 struct plan *ret, struct buffer *why)
{
	bool known = from->layout && to->layout;

	*ret = (struct plan)PLAN_NULL;
	if (known)
		plan_make(from->layout, to->layout, ret);
	if (from->version != to->version)
		return migrates ? STATE_MIGRATED : refuse_version(from, to, known, why);
	if (!known)
		return from->size == to->size ? STATE_SAME : migrates ? STATE_MIGRATED : refuse_size(from, to, why);
	if (ret->misfits.n)
		return migrates ? STATE_MIGRATED : refuse_members(ret, why);
	return ret->in_place ? STATE_SAME : STATE_COPIED;
}

void state_fit_tell(const struct plan *p, bool back, struct buffer *ret)
{
	if (p->added.n)
		buffer_printf(ret, "%s %s %s", buffer_text(&p->added.text), p->added.n > 1 ? "are" : "is",
			      back ? "back, as before the struct had changed" : "new and zero");
	if (p->removed.n)
		buffer_printf(ret, "%s%s %s gone, with what was in %s", p->added.n ? "; " : "",
			      buffer_text(&p->removed.text), p->removed.n > 1 ? "are" : "is",
			      p->removed.n > 1 ? "them" : "it");
}
