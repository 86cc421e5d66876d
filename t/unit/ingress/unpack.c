/* SPDX-License-Identifier: MIT */

/* What pack.c makes unpack.c reads, and neither what is cut off nor what is spoiled. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ingress/pack.h"
#include "ingress/unpack.h"

static void pack_into(enum coding c, const char *bytes, size_t size, struct buffer *ret)
{
	struct pack *p = pack_new(c, 1);

	pack_add(p, bytes, size / 2, false, ret);
	pack_add(p, bytes + size / 2, size - size / 2, true, ret);
	pack_free(p);
}

/* In pieces of @piece bytes into rooms of @room. Returns the last result. */
static int unpack_pieces(struct unpack *u, const struct buffer *packed, size_t piece, size_t room,
			 struct buffer *ret)
{
	size_t at = 0;
	int r = UNPACK_MORE;

	while (at < packed->size && r != UNPACK_BAD) {
		size_t left = packed->size - at < piece ? packed->size - at : piece;
		const char *bytes = packed->data + at;

		at += left;
		do {
			char to[512];
			size_t n = 999;

			r = unpack_step(u, &bytes, &left, to, room, &n);
			cr_assert(n <= room);
			cr_assert(r != UNPACK_MORE || left == 0);
			buffer_append(ret, to, n);
		} while (r == UNPACK_FULL);
	}
	return r;
}

static void fill(struct buffer *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buffer_putc(b, (char)(i * i >> 7));
}

Test(unpack, gives_back_what_was_packed_in_pieces_of_any_size)
{
	static const size_t sizes[] = { 1, 2, 7, 64, 512 };
	_cleanup_buffer_ struct buffer plain = BUFFER_NULL;

	fill(&plain, 5000);
	for (enum coding c = CODING_GZIP; c < CODINGS; c++) {
		_cleanup_buffer_ struct buffer packed = BUFFER_NULL;
		struct unpack *u = unpack_new(c);

		pack_into(c, plain.data, plain.size, &packed);
		for (size_t i = 0; i < 25; i++) {
			_cleanup_buffer_ struct buffer got = BUFFER_NULL;

			cr_assert_eq(unpack_pieces(u, &packed, sizes[i / 5], sizes[i % 5], &got), UNPACK_MORE);
			cr_assert(unpack_is_whole(u));
			cr_assert(got.size == plain.size && memcmp(got.data, plain.data, got.size) == 0);
			unpack_reset(u, c);
		}
		unpack_free(u);
	}
}

Test(unpack, may_turn_to_the_other_coding)
{
	_cleanup_buffer_ struct buffer gzip = BUFFER_NULL, deflate = BUFFER_NULL, got = BUFFER_NULL;
	struct unpack *u = unpack_new(CODING_GZIP);

	pack_into(CODING_GZIP, "a", 1, &gzip);
	pack_into(CODING_DEFLATE, "b", 1, &deflate);
	unpack_pieces(u, &gzip, 99, 99, &got);
	unpack_reset(u, CODING_DEFLATE);
	unpack_pieces(u, &deflate, 99, 99, &got);
	unpack_reset(u, CODING_GZIP);
	unpack_pieces(u, &gzip, 99, 99, &got);
	cr_assert_str_eq(buffer_text(&got), "aba");
	unpack_free(u);
}

Test(unpack, isnt_whole_before_the_last_byte)
{
	for (enum coding c = CODING_GZIP; c < CODINGS; c++) {
		_cleanup_buffer_ struct buffer packed = BUFFER_NULL;
		size_t whole;

		pack_into(c, "some text", 9, &packed);
		whole = packed.size;
		for (packed.size = 1; packed.size < whole; packed.size++) {
			_cleanup_buffer_ struct buffer got = BUFFER_NULL;
			struct unpack *u = unpack_new(c);

			cr_assert_eq(unpack_pieces(u, &packed, 99, 99, &got), UNPACK_MORE);
			cr_assert_not(unpack_is_whole(u));
			unpack_free(u);
		}
	}
}

Test(unpack, sees_every_spoiled_byte_or_gives_back_the_same)
{
	for (enum coding c = CODING_GZIP; c < CODINGS; c++) {
		_cleanup_buffer_ struct buffer packed = BUFFER_NULL;

		pack_into(c, "some text, some text", 20, &packed);
		for (size_t at = 0; at < packed.size; at++) {
			_cleanup_buffer_ struct buffer got = BUFFER_NULL;
			struct unpack *u = unpack_new(c);

			packed.data[at] ^= 0x40;
			if (unpack_pieces(u, &packed, 99, 99, &got) == UNPACK_MORE && unpack_is_whole(u))
				cr_expect_str_eq(buffer_text(&got), "some text, some text", "byte %zu", at);
			packed.data[at] ^= 0x40;
			unpack_free(u);
		}
	}
}

Test(unpack, reads_members_of_gzip_one_behind_the_other)
{
	_cleanup_buffer_ struct buffer packed = BUFFER_NULL, got = BUFFER_NULL;
	struct unpack *u = unpack_new(CODING_GZIP);

	pack_into(CODING_GZIP, "one ", 4, &packed);
	pack_into(CODING_GZIP, "", 0, &packed);
	pack_into(CODING_GZIP, "two", 3, &packed);
	cr_assert_eq(unpack_pieces(u, &packed, 1, 99, &got), UNPACK_MORE);
	cr_assert(unpack_is_whole(u));
	cr_assert_str_eq(buffer_text(&got), "one two");
	unpack_free(u);
}

static void refuses(enum coding c, const char *before, size_t size, enum coding behind)
{
	_cleanup_buffer_ struct buffer packed = BUFFER_NULL, got = BUFFER_NULL;
	struct unpack *u = unpack_new(c);

	if (behind != CODING_IDENTITY)
		pack_into(behind, "text", 4, &packed);
	buffer_append(&packed, before, size);
	cr_expect_eq(unpack_pieces(u, &packed, 1, 99, &got), UNPACK_BAD);
	unpack_free(u);
}

Test(unpack, refuses_what_is_something_else)
{
	refuses(CODING_GZIP, "{\"inputs\":[]}", 13, CODING_IDENTITY);
	refuses(CODING_DEFLATE, "{\"inputs\":[]}", 13, CODING_IDENTITY);
	refuses(CODING_GZIP, "", 0, CODING_DEFLATE);
	refuses(CODING_DEFLATE, "", 0, CODING_GZIP);
	refuses(CODING_DEFLATE, "\x4b\x4c\x04\x00", 4, CODING_IDENTITY); /* raw */
	refuses(CODING_GZIP, "xx", 2, CODING_GZIP);
	refuses(CODING_DEFLATE, "x", 1, CODING_DEFLATE);
}
