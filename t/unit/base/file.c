/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/memory.h"

static char top[] = "/tmp/file-XXXXXX";

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(top));
}

static void tear_down(void)
{
	file_remove_tree(top);
}

TestSuite(file, .init = set_up, .fini = tear_down, .timeout = 10);

Test(file, is_read_whole)
{
	struct buffer b = BUFFER_NULL;
	char *path = path_join(top, "a");

	cr_assert_eq(file_write(path, "text", 4, 0644), 0);
	cr_expect_eq(file_read(path, &b), 0);
	cr_expect_eq(file_read_any(path, &b), 0);
	cr_expect_str_eq(buffer_text(&b), "texttext");
	buffer_fini(&b);
	free(path);
}

Test(file, that_a_kernel_makes_up_is_read_as_well)
{
	struct buffer b = BUFFER_NULL;

	cr_expect_eq(file_read("/proc/self/status", &b), 0);
	cr_expect_gt(b.size, 0);
	buffer_fini(&b);
}

Test(file, that_is_a_pipe_is_not_waited_for)
{
	struct buffer b = BUFFER_NULL;
	char *path = path_join(top, "pipe");

	cr_assert_eq(mkfifo(path, 0644), 0);
	cr_expect_eq(file_read(path, &b), -EINVAL);
	free(path);
}

Test(file, that_is_none_is_refused)
{
	struct buffer b = BUFFER_NULL;
	char *path = path_join(top, "nowhere");

	cr_expect_eq(file_read("/dev/null", &b), -EINVAL);
	cr_expect_eq(file_read_any("/dev/null", &b), 0);
	cr_expect_eq(file_read(top, &b), -EISDIR);
	cr_expect_eq(file_read(path, &b), -ENOENT);
	buffer_fini(&b);
	free(path);
}
