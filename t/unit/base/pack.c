/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pack.h"

static char directory[] = "/tmp/devserve-pack-XXXXXX";

static void make_directory(void)
{
	cr_assert(mkdtemp(directory));
}

static void remove_directory(void)
{
	file_remove_tree(directory);
}

TestSuite(pack, .init = make_directory, .fini = remove_directory);

static char *put(const char *name, const char *text, size_t size)
{
	char *path = path_join(directory, name);

	cr_assert_eq(file_write(path, text, size, 0644), 0);
	return path;
}

Test(pack, files_come_out_as_they_went_in)
{
	const char *paths[] = { put("a", "one\0more", 8), put("b", "", 0), put("c", "0123456789abcdefg", 17) };
	char *path = path_join(directory, "pack");
	struct pack p;

	cr_assert_eq(pack_write(path, paths, 3), 0);
	cr_assert_eq(pack_read(path, &p), 0);
	cr_assert_eq(p.n, 3);
	cr_assert_eq(p.parts[0].size, 8);
	cr_assert_arr_eq(p.parts[0].bytes, "one\0more", 8);
	cr_assert_eq(p.parts[1].size, 0);
	cr_assert_arr_eq(p.parts[2].bytes, "0123456789abcdefg", 17);
	cr_assert_eq((uintptr_t)p.parts[2].bytes % 16, 0);
	pack_fini(&p);
}

Test(pack, one_that_is_cut_off_or_lies_is_none)
{
	const char *paths[] = { put("a", "0123456789", 10), put("b", "0123456789abcdefghij", 20) };
	char *path = path_join(directory, "pack");
	struct buffer all = BUFFER_NULL;
	struct pack p;

	cr_assert_eq(pack_write(path, paths, 2), 0);
	cr_assert_eq(file_read(path, &all), 0);
	for (size_t n = 0; n < all.size; n++) {
		cr_assert_eq(file_write(path, all.data, n, 0644), 0);
		cr_assert_eq(pack_read(path, &p), -EBADMSG, "%zu bytes", n);
	}
	memset(all.data + 16, 0xff, 8); /* the first one's size */
	cr_assert_eq(file_write(path, all.data, all.size, 0644), 0);
	cr_assert_eq(pack_read(path, &p), -EBADMSG);
	memset(all.data + 8, 0xff, 8); /* how many there are */
	cr_assert_eq(file_write(path, all.data, all.size, 0644), 0);
	cr_assert_eq(pack_read(path, &p), -EBADMSG);
	buffer_fini(&all);
}
