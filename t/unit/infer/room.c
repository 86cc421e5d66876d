/* SPDX-License-Identifier: MIT */
#include "infer/room.h"

#include <criterion/criterion.h>
#include <stdint.h>

Test(room, grows_and_keeps_what_is_there)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	cr_assert(room_for(&b, 1));
	cr_expect_str_eq(b.data, "");
	for (size_t i = 0; i < 100000; i++) {
		cr_assert(room_for(&b, 1));
		cr_assert_gt(b.room - b.size, 1);
		buffer_putc(&b, (char)('a' + i % 26));
	}
	for (size_t i = 0; i < 100000; i++)
		cr_assert_eq(b.data[i], (char)('a' + i % 26));
}

Test(room, that_no_machine_has_is_refused_and_harms_nothing)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	cr_expect_not(room_for(&b, SIZE_MAX));
	cr_expect_null(b.data);
	buffer_puts(&b, "text");
	cr_expect_not(room_for(&b, SIZE_MAX));
	cr_expect_not(room_for(&b, SIZE_MAX - 4));
	cr_expect_not(room_for(&b, SIZE_MAX / 2));
	cr_expect_str_eq(b.data, "text");
}

Test(room, of_a_small_buffer_is_kept_for_the_next)
{
	struct buffer b = room_take(), c;
	char *data;

	cr_expect_null(b.data);
	cr_assert(room_for(&b, 100));
	buffer_puts(&b, "old");
	data = b.data;
	room_give(&b);
	cr_expect(!b.data && !b.size && !b.room);
	b = room_take();
	c = room_take();
	cr_expect_eq(b.data, data);
	cr_expect_str_eq(b.data, "");
	cr_expect_null(c.data);
	room_give(&c);
	room_give(&b);
}

Test(room, of_a_large_buffer_is_freed)
{
	struct buffer b = BUFFER_NULL;

	cr_assert(room_for(&b, 1 << 20));
	room_give(&b);
	cr_expect_null(b.data);
	b = room_take();
	cr_expect_null(b.data);
}
