/* SPDX-License-Identifier: MIT */
#include "array/case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array/array.h"
#include "base/buffer.h"
#include "base/file.h"

static char directory[] = "/tmp/case-XXXXXX";
static char *path;
static struct buffer why;

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	path = path_join(directory, "golden/first");
}

static void teardown(void)
{
	file_remove_tree(directory);
	free(path);
	buffer_fini(&why);
}

TestSuite(case, .init = setup, .fini = teardown);

/* Name and bytes are borrowed. */
static struct array array_of(const char *name, uint32_t dtype, int64_t extent, const void *bytes, uint64_t size)
{
	return (struct array){ .name = (char *)name, .dtype = dtype, .rank = 1, .shape = { extent },
			       .data = (unsigned char *)bytes, .size = size };
}

static void read_back(const char *side, const char *name, uint32_t dtype, const void *bytes, uint64_t size)
{
	struct array a = { .name = (char *)name };

	cr_assert_eq(case_read(path, side, dtype, &a, &why), 0, "%s", buffer_text(&why));
	cr_assert_eq(a.dtype, dtype);
	cr_assert_eq(a.size, size);
	cr_expect_arr_eq(a.data, bytes, size);
	free(a.data);
}

Test(case, is_read_as_it_was_written)
{
	static const float x[] = { 1, 2, 3 };
	static const uint16_t y[] = { 0x3f80, 0x4049 };
	static const char z[] = "\3\0\0\0one\2\0\0\0zw";
	const struct array in[] = { array_of("X", DEVSERVE_FP32, 3, x, sizeof(x)) };
	const struct array out[] = { array_of("Y", DEVSERVE_BF16, 2, y, sizeof(y)),
				     array_of("Z", DEVSERVE_BYTES, 2, z, sizeof(z) - 1) };
	struct buffer json = BUFFER_NULL;

	cr_assert_eq(case_write(path, in, 1, out, 2, "{}", &why), 0, "%s", buffer_text(&why));
	read_back("in", "X", DEVSERVE_FP32, x, sizeof(x));
	read_back("out", "Y", DEVSERVE_BF16, y, sizeof(y));
	read_back("out", "Z", DEVSERVE_BYTES, z, sizeof(z) - 1);
	free(path);
	path = path_join(directory, "golden/first/case.json");
	cr_assert_eq(file_read(path, &json), 0);
	cr_expect_str_eq(json.data, "{}");
	buffer_fini(&json);
}

Test(case, does_not_take_the_place_of_another)
{
	static const float x[] = { 1 }, other[] = { 2 };
	const struct array a = array_of("X", DEVSERVE_FP32, 1, x, 4), b = array_of("X", DEVSERVE_FP32, 1, other, 4);

	cr_assert_eq(case_write(path, &a, 1, &a, 1, NULL, &why), 0);
	cr_expect_eq(case_write(path, &b, 1, &b, 1, NULL, &why), -EEXIST);
	cr_expect(why.size);
	read_back("in", "X", DEVSERVE_FP32, x, 4);
}

Test(case, leaves_nothing_where_one_tensor_cannot_be_written)
{
	static const char nul[] = "\1\0\0\0\0";
	static const float x[] = { 1 };
	const struct array in = array_of("X", DEVSERVE_FP32, 1, x, 4), out = array_of("Y", DEVSERVE_BYTES, 1, nul, 5);

	cr_expect_eq(case_write(path, &in, 1, &out, 1, NULL, &why), -EINVAL);
	cr_expect(why.size);
	free(path);
	path = path_join(directory, "golden");
	cr_expect_eq(rmdir(path), 0, "something was left");
}

Test(case, a_name_never_leads_out_of_it)
{
	static const struct {
		const char *name, *file;
	} names[] = {
		{ "X", "D/in/X.npy" },
		{ "../../x", "D/in/%2E.%2F..%2Fx.npy" },
		{ "a/b", "D/in/a%2Fb.npy" },
		{ "a%2Fb", "D/in/a%252Fb.npy" },
		{ "scale.0", "D/in/scale.0.npy" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *file = case_path("D", CASE_IN, names[i].name);

		cr_expect_str_eq(file, names[i].file);
		free(file);
	}
}

Test(case, says_which_file_is_not_what_the_deployment_wants)
{
	static const double x[] = { 1 };
	const struct array in = array_of("X", DEVSERVE_FP64, 1, x, 8);
	struct array a = { .name = (char *)"X" };

	cr_assert_eq(case_write(path, &in, 1, NULL, 0, NULL, &why), 0);
	cr_expect_eq(case_read(path, "in", DEVSERVE_FP32, &a, &why), -EINVAL);
	cr_expect(strstr(buffer_text(&why), "in/X.npy holds FP64; the deployment has FP32"));
	free(a.data);
	a.data = NULL;
	a.name = (char *)"W";
	cr_expect_eq(case_read(path, "in", DEVSERVE_FP32, &a, &why), -ENOENT);
}
