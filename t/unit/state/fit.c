/* SPDX-License-Identifier: MIT */
#include "state/fit.h"

#include "support.h"

static struct buffer why;

static enum state_fit fit(struct state_shape from, struct state_shape to, bool migrates)
{
	_cleanup_plan_ struct plan plan = PLAN_NULL;

	buffer_reset(&why);
	return state_fit(&from, &to, migrates, &plan, &why);
}

Test(fit, without_layouts_size_and_version_decide)
{
	struct state_shape one = { 8, 1, NULL }, larger = { 16, 1, NULL }, two = { 8, 2, NULL };

	cr_expect_eq(fit(one, one, false), STATE_SAME);
	cr_expect_eq(fit(one, one, true), STATE_SAME);
	cr_expect_eq(fit(one, larger, true), STATE_MIGRATED);
	cr_expect_eq(fit(one, larger, false), STATE_MISFIT);
	cr_expect(strstr(why.data, "without debug information of both (-g)") && strstr(why.data, "write .version = 2"), "%s",
		  why.data);
	cr_expect_eq(fit(one, two, false), STATE_MISFIT);
	cr_expect(strstr(why.data, "8 bytes, version 1, and this image's has 8 bytes, version 2; write a .migrate that"), "%s",
		  why.data);
	cr_expect(strstr(why.data, "the bytes stay as they are"), "%s", why.data);
	cr_expect_eq(fit(larger, two, false), STATE_MISFIT);
	cr_expect_not(strstr(why.data, "leave .version"), "%s", why.data);
}

Test(fit, one_unknown_layout_is_as_two)
{
	struct layout *l = layout_of(8, "i 64 0 - a\tlong\t\n");

	cr_expect_eq(fit((struct state_shape){ 8, 1, l }, (struct state_shape){ 8, 1, NULL }, false), STATE_SAME);
	cr_expect_eq(fit((struct state_shape){ 8, 1, NULL }, (struct state_shape){ 16, 1, l }, false), STATE_MISFIT);
	layout_unref(l);
}

Test(fit, layouts_decide_where_they_are_known)
{
	struct layout *a = layout_of(8, "i 64 0 - a\tlong\t\n"), *b = layout_of(16, "i 64 0 - b\tlong\t\ni 64 64 - a\tlong\t\n");
	struct layout *c = layout_of(8, "f 64 0 - a\tdouble\t\n");
	struct state_shape was = { 8, 1, a };

	cr_expect_eq(fit(was, was, true), STATE_SAME);
	cr_expect_eq(fit(was, (struct state_shape){ 16, 1, b }, false), STATE_COPIED);
	cr_expect_eq(fit(was, (struct state_shape){ 16, 1, b }, true), STATE_COPIED, "what can be copied is not migrated");
	cr_expect_eq(fit(was, (struct state_shape){ 8, 1, c }, true), STATE_MIGRATED);
	cr_expect_eq(fit(was, (struct state_shape){ 8, 1, c }, false), STATE_MISFIT);
	cr_expect_str_eq(why.data, "the state can't be kept: counter.a changes from long to double; write a .migrate_from that "
				   "makes the new from the old");
	layout_unref(a);
	layout_unref(b);
	layout_unref(c);
}

Test(fit, another_version_is_never_copied_by_name)
{
	struct layout *l = layout_of(8, "i 64 0 - a\tlong\t\n");
	struct state_shape one = { 8, 1, l }, two = { 8, 2, l };

	cr_expect_eq(fit(one, two, true), STATE_MIGRATED);
	cr_expect_eq(fit(one, two, false), STATE_MISFIT);
	cr_expect(strstr(why.data, "write a .migrate_from"), "%s", why.data);
	cr_expect_eq(fit(two, one, false), STATE_MISFIT);
	layout_unref(l);
}

Test(fit, what_is_new_and_what_is_lost_is_told)
{
	struct layout *a = layout_of(8, "i 64 0 - a\tlong\t\n"), *b = layout_of(16, "i 64 0 - b\tlong\t\ni 64 64 - c\tlong\t\n");
	_cleanup_plan_ struct plan plan = PLAN_NULL;
	_cleanup_buffer_ struct buffer told = BUFFER_NULL;

	plan_make(a, b, &plan);
	state_fit_tell(&plan, false, &told);
	cr_expect_str_eq(told.data, "counter.b, counter.c are new and zero; counter.a is gone, with what was in it");
	layout_unref(a);
	layout_unref(b);
}
