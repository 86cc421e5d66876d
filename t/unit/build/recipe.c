/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"

static char *top;

static void make_top(void)
{
	top = xstrdup("/tmp/recipe-XXXXXX");
	cr_assert_not_null(mkdtemp(top));
}

static void remove_top(void)
{
	file_remove_tree(top);
	free(top);
}

TestSuite(recipe, .init = make_top, .fini = remove_top);

static void put(const char *name)
{
	char *path = path_join(top, name), *directory = xstrndup(path, (size_t)(path_name(path) - path) - 1);

	cr_assert_eq(file_make_directories(directory), 0);
	cr_assert_eq(file_write(path, "x", 1, 0644), 0);
	free(directory);
	free(path);
}

/* Scans @name below the top and compares the sources, relative to it, '|' between them. */
static void check(const char *name, const char *expected)
{
	char *path = *name ? path_join(top, name) : xstrdup(top);
	struct buffer joined = BUFFER_NULL;
	struct recipe r;

	cr_assert_eq(recipe_scan("n", path, &r), 0);
	for (size_t i = 0; i < r.n_sources; i++)
		buffer_printf(&joined, "%s%s", i ? "|" : "", r.sources[i] + strlen(top) + 1);
	cr_assert_str_eq(buffer_text(&joined), expected, "%s", buffer_text(&joined));
	buffer_fini(&joined);
	cr_assert_str_eq(r.path, path);
	cr_assert_str_eq(r.name, "n");
	recipe_fini(&r);
	free(path);
}

Test(recipe, sources_are_known_by_their_suffix)
{
	static const char *const names[] = { "a.c", "b.cc", "c.cpp", "d.cxx", "e.S", "f.cu",
					     "g.h", "h.s", "i.o", "j.C", "k", "l.c.txt", "m.CU" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put(names[i]);
	check("", "a.c|b.cc|c.cpp|d.cxx|e.S|f.cu");
}

Test(recipe, directories_are_read_to_the_bottom_in_order)
{
	put("z.c");
	put("a/b/c/d.c");
	put("a/z.c");
	put("a.c");
	check("", "a.c|a/b/c/d.c|a/z.c|z.c");
}

Test(recipe, what_editors_leave_is_ignored)
{
	put("a.c");
	put(".a.c.swp");
	put(".#a.c");
	put("#a.c#");
	put("#b.c");
	put("a.c~");
	put("4913");
	put(".git/x.c");
	put(".c");
	check("", "a.c");
}

Test(recipe, links)
{
	char *loop = path_join(top, "d/up"), *file = path_join(top, "d/link.c"),
	     *gone = path_join(top, "d/gone.c"), *linked = path_join(top, "e");

	put("a.c");
	put("d/b.c");
	cr_assert_eq(symlink("..", loop), 0);
	cr_assert_eq(symlink("../a.c", file), 0);
	cr_assert_eq(symlink("nowhere", gone), 0);
	cr_assert_eq(symlink("d", linked), 0);
	check("d", "d/b.c|d/link.c");
	check("e", "e/b.c|e/link.c");
	check("", "a.c|d/b.c|d/link.c");
	free(loop), free(file), free(gone), free(linked);
}

Test(recipe, a_file_is_its_own_source)
{
	put("a.cu");
	put("b.h");
	check("a.cu", "a.cu");
}

Test(recipe, without_a_source_there_is_none)
{
	struct recipe r;
	char *header, *nothing = path_join(top, "nothing");

	put("b.h");
	header = path_join(top, "b.h");
	cr_assert_eq(recipe_scan("n", top, &r), -ENOENT);
	cr_assert_eq(recipe_scan("n", header, &r), -ENOENT);
	cr_assert_eq(recipe_scan("n", nothing, &r), -ENOENT);
	free(header);
	free(nothing);
}

Test(recipe, a_directory_called_like_a_source_is_a_directory)
{
	put("x.c/y.c");
	check("", "x.c/y.c");
}

Test(recipe, weights_are_listed_beside_and_not_built)
{
	struct recipe r;

	put("b.safetensors");
	put("a.c");
	put("d/a.safetensors");
	check("", "a.c");
	cr_assert_eq(recipe_scan("n", top, &r), 0);
	cr_expect_str_eq(r.weights[0] + strlen(top), "/b.safetensors");
	cr_expect_str_eq(r.weights[1] + strlen(top), "/d/a.safetensors");
	cr_expect_null(r.weights[2]);
	recipe_fini(&r);
}
