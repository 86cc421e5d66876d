/* SPDX-License-Identifier: MIT */
#include "watcher/watches.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotifytools.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static struct watches w;
static char root[] = "/tmp/watches.XXXXXX";

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(chdir(root), 0);
	cr_assert_eq(watches_init(&w), 0);
}

static void tear_down(void)
{
	watches_fini(&w);
	file_remove_tree(root);
}

static int add(const char *name)
{
	_cleanup_free_ char *path = path_join(root, name);

	return watches_add(&w, path);
}

static bool have(const char *name)
{
	_cleanup_free_ char *path = path_join(root, name);

	return watches_have(&w, path);
}

static void drop(const char *name)
{
	_cleanup_free_ char *path = path_join(root, name);

	watches_drop(&w, path);
}

/* Reads events until one has @mask, and says what it is about. */
static char *path_of_event(uint32_t mask)
{
	static char bytes[4096] __attribute__((aligned(8)));
	ssize_t size = read(w.fd, bytes, sizeof(bytes));

	for (ssize_t at = 0; at < size;) {
		struct inotify_event *event = (void *)(bytes + at);

		if (event->mask & mask)
			return watches_path(&w, event);
		at += (ssize_t)sizeof(*event) + event->len;
	}
	return NULL;
}

TestSuite(watches, .init = set_up, .fini = tear_down);

Test(watches, the_descriptor_is_ours_alone_and_never_blocks)
{
	char byte;

	cr_expect_eq(fcntl(w.fd, F_GETFD), FD_CLOEXEC);
	cr_expect_eq(read(w.fd, &byte, 1), -1);
	cr_expect_eq(errno, EAGAIN);
}

Test(watches, a_directory_is_added_once)
{
	mkdir("a", 0700);
	cr_expect_eq(add("a"), 0);
	cr_expect_eq(add("a"), WATCHES_E_KNOWN);
	cr_expect_eq(add("b"), -ENOENT);
	close(creat("file", 0600));
	cr_expect_eq(add("file"), -ENOTDIR);
	cr_expect(have("a") && !have("b") && !have("file"));
	cr_expect_eq(inotifytools_get_num_watches(), 1);
}

Test(watches, deleted_directories_leave_nothing_behind)
{
	for (int i = 0; i < 100; i++) {
		mkdir("a", 0700);
		mkdir("a/b", 0700);
		cr_assert_eq(add("a"), 0);
		cr_assert_eq(add("a/b"), 0);
		rmdir("a/b");
		rmdir("a");
		drop("a");
	}
	cr_expect_eq(w.n_entries, 0);
	cr_expect_eq(inotifytools_get_num_watches(), 0);
}

Test(watches, dropping_takes_what_is_below_and_not_what_sorts_beside)
{
	const char *names[] = { "a", "a/b", "a/b/c", "a-b", "a.b", "ab" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		mkdir(names[i], 0700);
		cr_assert_eq(add(names[i]), 0);
	}
	drop("a");
	cr_expect(!have("a") && !have("a/b") && !have("a/b/c"));
	cr_expect(have("a-b") && have("a.b") && have("ab"));
	cr_expect_eq(inotifytools_get_num_watches(), 3);
}

Test(watches, a_moved_directory_loses_its_old_name_with_all_below)
{
	_cleanup_free_ char *path = NULL, *expected = path_join(root, "b/k.c");

	mkdir("a", 0700);
	mkdir("a/sub", 0700);
	add("a");
	add("a/sub");
	rename("a", "b");
	cr_expect_eq(add("b"), 0);
	cr_expect(have("b") && !have("a") && !have("a/sub"));
	cr_expect_eq(inotifytools_get_num_watches(), 1);

	close(creat("b/k.c", 0600));
	path = path_of_event(IN_CLOSE_WRITE);
	cr_expect_str_eq(path, expected);
}

Test(watches, another_directory_of_the_same_name_takes_the_place)
{
	mkdir("a", 0700);
	add("a");
	rename("a", "away");
	mkdir("a", 0700);
	cr_expect_eq(add("a"), 0);
	cr_expect_eq(inotifytools_get_num_watches(), 1);
	close(creat("away/k.c", 0600));
	cr_expect_null(path_of_event(IN_CLOSE_WRITE));
}
