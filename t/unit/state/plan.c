/* SPDX-License-Identifier: MIT */
#include "state/plan.h"

#include <math.h>
#include <stdio.h>
#include <sys/mman.h>

#include "support.h"

/* What becomes of the bytes @from, 32 at most, and what is said of it. */
struct outcome {
	unsigned char to[32];
	bool in_place;
	char misfits[256], added[256], removed[256];
};

static struct outcome pass(const char *from_members, const char *to_members, const void *bytes, size_t size)
{
	struct layout *from = layout_of(32, from_members), *to = layout_of(32, to_members);
	unsigned char old[32] = { 0 };
	struct outcome o = { .to = { 0 } };
	struct plan p;

	memcpy(old, bytes, size);
	plan_make(from, to, &p);
	plan_apply(&p, old, o.to);
	o.in_place = p.in_place;
	snprintf(o.misfits, sizeof(o.misfits), "%s", buffer_text(&p.misfits.text));
	snprintf(o.added, sizeof(o.added), "%s", buffer_text(&p.added.text));
	snprintf(o.removed, sizeof(o.removed), "%s", buffer_text(&p.removed.text));
	plan_fini(&p);
	layout_unref(from);
	layout_unref(to);
	return o;
}

static int64_t integer_at(const struct outcome *o, size_t at)
{
	int64_t value;

	memcpy(&value, o->to + at, sizeof(value));
	return value;
}

Test(plan, the_same_is_in_place)
{
	const char *members = "i 64 0 - a\tint64_t\t\nu 8 64 8x1 name[]\tchar\t\n";
	struct outcome o = pass(members, members, "12345678abc", 11);

	cr_expect(o.in_place);
	cr_expect_arr_eq(o.to, "12345678abc", 11);
	cr_expect_str_empty(o.misfits);
}

Test(plan, members_are_found_by_name_and_what_is_new_stays_zero)
{
	struct outcome o = pass("i 64 0 - a\tlong\t\ni 64 64 - gone\tlong\t\n", "i 64 0 - new\tlong\t\ni 64 64 - a\tlong\t\n",
				(int64_t[]){ 7, 8 }, 16);

	cr_expect_not(o.in_place);
	cr_expect_eq(integer_at(&o, 0), 0);
	cr_expect_eq(integer_at(&o, 8), 7);
	cr_expect_str_eq(o.added, "counter.new");
	cr_expect_str_eq(o.removed, "counter.gone");
	cr_expect_str_empty(o.misfits);
}

Test(plan, another_type_name_for_the_same_is_in_place)
{
	cr_expect(pass("i 64 0 - a\tlong\t\n", "i 64 0 - a\tint64_t\t\n", "", 0).in_place);
}

Test(plan, integers_get_wider_with_their_sign)
{
	int32_t four[] = { -2, 3 };
	uint32_t big = 0xfffffffeu;
	struct outcome o = pass("i 32 0 2x4 a[]\tint\t\n", "i 64 0 2x8 a[]\tlong\t\n", four, sizeof(four));

	cr_expect_eq(integer_at(&o, 0), -2);
	cr_expect_eq(integer_at(&o, 8), 3);
	o = pass("u 32 0 - a\tunsigned\t\n", "u 64 0 - a\tuint64_t\t\n", &big, sizeof(big));
	cr_expect_eq(integer_at(&o, 0), 0xfffffffe);
	o = pass("i 32 32 - a\tint\t\n", "i 128 128 - a\t__int128\t\n", (int32_t[]){ 0, -5 }, 8);
	cr_expect_eq(integer_at(&o, 16), -5);
	cr_expect_eq(integer_at(&o, 24), -1);
}

Test(plan, bit_fields_are_moved_and_get_wider)
{
	unsigned char bits = 0x5 | 0x1a << 3; /* a = 5, b = -6 */
	struct outcome o = pass("u 3 0 - a\tint\t\ni 5 3 - b\tint\t\n", "i 7 1 - b\tint\t\nu 32 32 - a\tint\t\n", &bits, 1);

	cr_expect_eq(o.to[0], (-6 & 0x7f) << 1);
	cr_expect_eq(o.to[4], 5);
	o = pass("i 5 3 - b\tint\t\n", "i 128 0 - b\t__int128\t\n", &bits, 1);
	cr_expect_eq(integer_at(&o, 0), -6);
	cr_expect_eq(integer_at(&o, 8), -1);
	o = pass("b 1 2 - a\tbool\t\n", "u 8 8 - a\tuint8_t\t\n", &bits, 1);
	cr_expect_eq(o.to[1], 1);
}

Test(plan, floats_get_wider)
{
	float f[] = { 1.5f, -INFINITY };
	uint16_t half = 0x3e00, bf16 = 0x3fc0; /* 1.5 */
	double d[2], x = 0.1;
	long double e;
	struct outcome o = pass("f 32 0 2x4 a[]\tfloat\t\n", "f 64 0 2x8 a[]\tdouble\t\n", f, sizeof(f));

	memcpy(d, o.to, sizeof(d));
	cr_expect(d[0] == 1.5 && isinf(d[1]) && d[1] < 0);
	o = pass("f 16 0 - a\t_Float16\t\n", "f 64 0 - a\tdouble\t\n", &half, 2);
	memcpy(d, o.to, sizeof(double));
	cr_expect(d[0] == 1.5);
	o = pass("h 16 0 - a\t__bf16\t\n", "f 64 0 - a\tdouble\t\n", &bf16, 2);
	memcpy(d, o.to, sizeof(double));
	cr_expect(d[0] == 1.5);
	o = pass("f 64 0 - a\tdouble\t\n", "x 128 0 - a\tlong double\t\n", &x, 8);
	memcpy(&e, o.to, sizeof(e));
	cr_expect(e == (long double)0.1);
	o = pass("c 32 0 2x4 a\tcomplex float\t\n", "c 64 0 2x8 a\tcomplex double\t\n", f, sizeof(f));
	memcpy(d, o.to, sizeof(d));
	cr_expect(d[0] == 1.5 && isinf(d[1]));
}

Test(plan, arrays_grow_in_every_extent_and_so_do_the_structs_in_them)
{
	struct { char a, b; } old[2] = { { 1, 2 }, { 3, 4 } };
	struct { short b, c, a; } new[3] = { { 0 } };
	struct outcome o = pass("i 8 0 2x2 s[].a\tchar\t\ni 8 8 2x2 s[].b\tchar\t\n",
				"i 16 0 3x6 s[].b\tshort\t\ni 16 16 3x6 s[].c\tshort\t\ni 16 32 3x6 s[].a\tshort\t\n", old,
				sizeof(old));

	memcpy(new, o.to, sizeof(new));
	cr_expect(new[0].a == 1 && new[0].b == 2 && new[1].a == 3 && new[1].b == 4);
	cr_expect(new[2].a == 0 && new[0].c == 0 && new[1].c == 0);
	cr_expect_str_eq(o.added, "counter.s[].c");
	o = pass("i 8 0 2x2,2x1 m[][]\tchar\t\n", "i 8 0 3x3,3x1 m[][]\tchar\t\n", "\1\2\3\4", 4);
	cr_expect_arr_eq(o.to, ((unsigned char[]){ 1, 2, 0, 3, 4, 0, 0, 0, 0 }), 9);
}

/* What is not copied, and how that is said. */
static void misfits(const char *from, const char *to, const char *said)
{
	struct outcome o = pass(from, to, "\377\377\377\377\377\377\377\377", 8);

	cr_expect_str_eq(o.misfits, said);
	cr_expect_eq(integer_at(&o, 0), 0);
	cr_expect_str_empty(o.removed);
}

Test(plan, what_could_lose_a_value_is_a_misfit_with_a_clause)
{
	misfits("i 64 0 - a\tint64_t\t\n", "i 32 0 - a\tint32_t\t\n", "counter.a narrows from int64_t to int32_t");
	misfits("i 64 0 - a\tint64_t\t\n", "u 64 0 - a\tuint64_t\t\n", "counter.a changes its sign from int64_t to uint64_t");
	misfits("u 32 0 - a\tuint32_t\t\n", "i 64 0 - a\tint64_t\t\n", "counter.a changes its sign from uint32_t to int64_t");
	misfits("i 32 0 - a\tint\t\n", "f 64 0 - a\tdouble\t\n", "counter.a changes from int to double");
	misfits("f 64 0 - a\tdouble\t\n", "f 32 0 - a\tfloat\t\n", "counter.a narrows from double to float");
	misfits("f 16 0 - a\t_Float16\t\n", "h 16 0 - a\t__bf16\t\n", "counter.a changes from _Float16 to __bf16");
	misfits("u 8 0 - a\tuint8_t\t\n", "b 8 0 - a\tbool\t\n", "counter.a changes from uint8_t to bool");
	misfits("i 32 0 8x4 a[]\tint\t\n", "i 32 0 4x4 a[]\tint\t\n", "counter.a[] shrinks from 8 to 4 elements");
	misfits("i 8 0 2x2,2x1 m[][]\tchar\t\n", "i 8 0 3x1,1x1 m[][]\tchar\t\n", "counter.m[][] shrinks from 2 to 1 elements");
	misfits("u 7 0 - a\tunsigned\t\n", "u 5 0 - a\tunsigned\t\n",
		"counter.a narrows from unsigned (7 bits) to unsigned (5 bits)");
	misfits("o 64 0 - a\t_Decimal64\t\n", "o 64 0 - a\tother\t\n", "counter.a changes from _Decimal64 to other");
	misfits("v 64 0 - a\tu\tf:f 32 0;i:i 32 0\n", "v 64 0 - a\tu\tf:f 32 0;i:i 16 0\n",
		"counter.a is a union that has changed, and which of its members was written isn't known");
}

Test(plan, a_number_that_has_become_an_array_or_a_struct_is_a_misfit_and_not_a_loss)
{
	misfits("i 32 0 - a\tint\t\n", "i 32 0 2x4 a[]\tint\t\n", "counter.a (int) has become counter.a[] (int[2])");
	misfits("i 32 0 - a\tint\t\n", "i 32 0 - a.x\tint\t\n", "counter.a (int) has become counter.a.x (int)");
	misfits("i 32 0 - a.x.y\tint\t\n", "i 32 0 - a\tint\t\n", "counter.a.x.y (int) has become counter.a (int)");
	misfits("i 32 0 4x4 s[].x\tint\t\n", "i 32 0 - s.x\tint\t\n", "counter.s[].x (int[4]) has become counter.s.x (int)");
	cr_expect_str_eq(pass("i 32 0 - ab\tint\t\n", "i 32 0 - a\tint\t\n", "", 0).removed, "counter.ab");
}

Test(plan, an_enum_may_get_constants_but_not_another_number_for_one)
{
	struct outcome o = pass("u 32 0 - a\tmode\tIDLE=0;BUSY=1\n", "u 32 0 - a\tmode\tIDLE=0;BUSY=1;DONE=2\n", "\1", 1);

	cr_expect(o.in_place && o.to[0] == 1);
	o = pass("u 32 0 - a\tmode\tIDLE=0;BUSY=1\n", "i 32 0 - a\tmode\tNONE=-1;IDLE=0;BUSY=1\n", "\1", 1);
	cr_expect_str_empty(o.misfits);
	misfits("u 32 0 - a\tmode\tIDLE=0;BUSY=1\n", "u 32 0 - a\tmode\tIDLE=0;WAITING=1;BUSY=2\n",
		"counter.a was written when BUSY was 1, which is 2 now");
}

Test(plan, a_union_may_get_members)
{
	struct outcome o = pass("v 32 0 - a\tu\tf:f 32 0;i:i 32 0\n", "v 64 64 - a\tu\tf:f 32 0;d:f 64 0;i:i 32 0\n", "\1\2\3\4", 4);

	cr_expect_str_empty(o.misfits);
	cr_expect_arr_eq(o.to + 8, "\1\2\3\4\0\0\0\0", 8);
}

Test(plan, two_members_of_one_name_stay_only_where_they_are)
{
	const char *two = "i 32 0 - a\tint\t\ni 32 32 - a\tint\t\n";

	cr_expect(pass(two, two, "", 0).in_place);
	misfits(two, "i 32 0 - a\tint\t\ni 32 64 - a\tint\t\n", "counter has two members of the same name");
}

Test(plan, many_names_are_counted)
{
	struct outcome o = pass("", "i 8 0 - a\tc\t\ni 8 8 - b\tc\t\ni 8 16 - c\tc\t\ni 8 24 - d\tc\t\ni 8 32 - e\tc\t\ni 8 40 - f\tc\t\n",
				"", 0);

	cr_expect_str_eq(o.added, "counter.a, counter.b, counter.c, counter.d and 2 more");
}

/* Pages of @state that are in memory. */
static size_t pages_of(void *state, size_t size)
{
	unsigned char there[(8 << 20) / 4096];
	size_t n = 0;

	cr_assert(mincore(state, size, there) == 0);
	for (size_t i = 0; i < size / 4096; i++)
		n += there[i] & 1;
	return n;
}

static void *mapped(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	cr_assert(at != MAP_FAILED);
	madvise(at, size, MADV_NOHUGEPAGE);
	return at;
}

Test(plan, pages_of_a_large_state_that_nobody_wrote_cost_nothing_afterwards_either)
{
	struct layout *from = layout_of(8 << 20, "i 8 0 4194304x1 a[]\tchar\t\ni 16 33554432 2097152x2 b[]\tshort\t\n");
	struct layout *to = layout_of(8 << 20, "i 16 0 2097152x2 b[]\tshort\t\ni 8 33554432 4194304x1 a[]\tchar\t\n");
	char *old = mapped(8 << 20), *new = mapped(8 << 20);
	struct plan p;

	old[5000] = 1;
	old[(4 << 20) + 9001] = 2;
	plan_make(from, to, &p);
	plan_apply(&p, old, new);
	cr_expect(new[(4 << 20) + 5000] == 1 && new[9001] == 2);
	cr_expect_eq(pages_of(new, 8 << 20), 2);
	plan_fini(&p);
	layout_unref(from);
	layout_unref(to);
}
