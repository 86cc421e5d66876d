/* SPDX-License-Identifier: MIT */
#include "state/before.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "state/checkpoint.h"
#include "state/layout.h"
#include "state/plan.h"

char *before_path(const char *path)
{
	return xasprintf("%s.before", path);
}

static bool open_that_of(const char *path, const struct layout *layout, uint32_t version, struct checkpoint *ret)
{
	_cleanup_free_ char *before = before_path(path);
	struct layout *there;
	bool same;

	if (!layout || checkpoint_open(before, ret, (char[1]){ 0 }, 1) != 0)
		return false;
	there = checkpoint_layout(ret);
	same = there && ret->version == version && layout_same_text(layout, there);
	layout_unref(there);
	if (!same)
		checkpoint_close(ret);
	return same;
}

bool before_is_of(const char *path, const struct layout *layout, uint32_t version)
{
	struct checkpoint c;

	if (!open_that_of(path, layout, version, &c))
		return false;
	checkpoint_close(&c);
	return true;
}

/* Those of @layout that @other hasn't: the others are copied from what is newer. */
static struct layout *members_without(const struct layout *layout, const struct layout *other)
{
	struct layout *l = layout_new(layout->name, layout->size);

	for (size_t i = 0; i < layout->n_members; i++)
		if (!layout_find(other, layout->members[i].name))
			layout_add(l, &layout->members[i]);
	return l;
}

static int restore(struct checkpoint *c, const struct layout *from, const struct layout *to, void *ret)
{
	struct layout *missing = members_without(to, from);
	_cleanup_free_ void *old = malloc(c->size);
	_cleanup_plan_ struct plan plan = PLAN_NULL;
	int r = old ? checkpoint_read(c, old) : -ENOMEM;

	plan_make(missing, to, &plan);
	if (r == 0)
		plan_apply(&plan, old, ret);
	layout_unref(missing);
	return r;
}

int before_restore(const char *path, const struct layout *from, const struct layout *to, uint32_t version, void *ret)
{
	struct checkpoint c;
	int r;

	if (!from || !open_that_of(path, to, version, &c))
		return 0;
	r = restore(&c, from, to, ret);
	checkpoint_close(&c);
	return r;
}
