/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/cuda.h"

static char *top; /* the toolkit, with a name that looks like a pattern */
static struct utsname machine;

static void put(const char *directory, const char *name)
{
	_cleanup_free_ char *where = path_join(top, directory), *path = path_join(where, name);

	cr_assert_eq(file_make_directories(where), 0);
	cr_assert_eq(file_write(path, "#!/bin/sh\n", 10, 0755), 0);
}

static void set_up(void)
{
	char directory[] = "/tmp/devserve-cuda-XXXXXX";

	uname(&machine);
	cr_assert_not_null(mkdtemp(directory));
	top = xasprintf("%s/[9]*?", directory);
	put("bin", "nvcc");
	unsetenv("NVCC");
	setenv("CUDA_HOME", top, 1);
}

static void tear_down(void)
{
	*strrchr(top, '/') = '\0';
	file_remove_tree(top);
	free(top);
}

TestSuite(cuda, .init = set_up, .fini = tear_down);

/* @library: below the toolkit; NULL: none */
static void check(const char *library)
{
	_cleanup_free_ char *expected = library ? path_join(top, library) : NULL;
	struct cuda c = { .root = NULL };

	cuda_find(&c);
	cr_assert_not_null(c.root);
	cr_expect_str_eq(c.root, top);
	if (expected)
		cr_expect(c.library && strcmp(c.library, expected) == 0, "%s", c.library ? c.library : "none");
	else
		cr_expect_null(c.library);
	cuda_fini(&c);
}

Test(cuda, the_newest_nvrtc_is_taken)
{
	put("lib64", "libnvrtc.so.9");
	put("lib64", "libnvrtc.so.alt");
	put("lib64", "libnvrtc-builtins.so.14");
	put("lib64", "libnvrtc.so_of_mine");
	check("lib64/libnvrtc.so.9");
	put("lib64", "libnvrtc.so.13");
	put("lib64", "libnvrtc.so.9.2.148");
	check("lib64/libnvrtc.so.13");
	put("lib64", "libnvrtc.so.13.0.88");
	check("lib64/libnvrtc.so.13.0.88");
}

Test(cuda, the_libraries_are_this_machine_s)
{
	static const char *const forms[] = { "targets/%s-linux/lib", "lib/%s-linux-gnu" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const char *name = strstr(forms[i], "%s");
		_cleanup_free_ char *ours = xasprintf("%.*s%s%s", (int)(name - forms[i]), forms[i], machine.machine, name + 2);
		_cleanup_free_ char *other = xasprintf("%.*szz80%s", (int)(name - forms[i]), forms[i], name + 2);
		_cleanup_free_ char *library = path_join(ours, "libnvrtc.so.13"), *path = path_join(top, library);

		put(other, "libnvrtc.so.13");
		check(NULL);
		put(ours, "libnvrtc.so.13");
		check(library);
		unlink(path);
	}
}
