/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "nvrtc/headers.h"

static bool has(const struct headers *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->names[i], name) == 0)
			return true;
	return false;
}

static void put(const char *directory, const char *name)
{
	_cleanup_free_ char *path = path_join(directory, name);

	cr_assert_eq(file_write(path, "\n", 1, 0644), 0);
}

Test(headers, an_author_s_own_come_first)
{
	char own[] = "/tmp/devserve-headers-XXXXXX", other[] = "/tmp/devserve-headers-XXXXXX", third[] = "/tmp/devserve-headers-XXXXXX";
	_cleanup_free_ char *source = NULL, *joined = NULL;
	struct headers h;

	cr_assert(mkdtemp(own) && mkdtemp(other) && mkdtemp(third));
	put(own, "math.h");
	put(other, "cmath");
	put(third, "limits.h");
	source = path_join(own, "k.cu");
	joined = xasprintf("-I%s", third);
	headers_choose(&h, source, (const char *[]){ "-lineinfo", "-I", other, joined, "-I" }, 5);
	cr_expect(has(&h, "stdint.h") && has(&h, "stdio.h") && has(&h, "climits"));
	cr_expect_not(has(&h, "math.h"));
	cr_expect_not(has(&h, "cmath"));
	cr_expect_not(has(&h, "limits.h"));
	headers_choose(&h, source, NULL, 0);
	cr_expect(has(&h, "cmath") && has(&h, "limits.h"));
	file_remove_tree(own);
	file_remove_tree(other);
	file_remove_tree(third);
}

Test(headers, those_of_others_do_not)
{
	char system[] = "/tmp/devserve-headers-XXXXXX";
	_cleanup_free_ char *option = NULL;
	struct headers h;

	cr_assert(mkdtemp(system));
	put(system, "stdint.h");
	option = xasprintf("--include-path=%s", system);
	headers_choose(&h, "/nowhere/k.cu", (const char *[]){ option }, 1);
	cr_expect(has(&h, "stdint.h"));
	file_remove_tree(system);
}
