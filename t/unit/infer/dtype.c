/* SPDX-License-Identifier: MIT */
#include "infer/dtype.h"

#include <criterion/criterion.h>
#include <string.h>

#include <devserve/deployment.h>

Test(dtype, has_the_names_and_sizes_of_the_protocol)
{
	static const struct {
		uint32_t dtype;
		const char *name;
		size_t size;
	} all[] = {
		{ DEVSERVE_BOOL, "BOOL", 1 },     { DEVSERVE_UINT8, "UINT8", 1 },
		{ DEVSERVE_UINT16, "UINT16", 2 }, { DEVSERVE_UINT32, "UINT32", 4 },
		{ DEVSERVE_UINT64, "UINT64", 8 }, { DEVSERVE_INT8, "INT8", 1 },
		{ DEVSERVE_INT16, "INT16", 2 },   { DEVSERVE_INT32, "INT32", 4 },
		{ DEVSERVE_INT64, "INT64", 8 },   { DEVSERVE_FP16, "FP16", 2 },
		{ DEVSERVE_FP32, "FP32", 4 },     { DEVSERVE_FP64, "FP64", 8 },
		{ DEVSERVE_BYTES, "BYTES", 0 },   { DEVSERVE_BF16, "BF16", 2 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		cr_expect_str_eq(dtype_name(all[i].dtype), all[i].name);
		cr_expect_eq(dtype_size(all[i].dtype), all[i].size);
		cr_expect_eq(dtype_from_name(all[i].name, strlen(all[i].name)), all[i].dtype);
	}
}

Test(dtype, knows_nothing_else)
{
	cr_expect_null(dtype_name(0));
	cr_expect_null(dtype_name(15));
	cr_expect_null(dtype_name(UINT32_MAX));
	cr_expect_eq(dtype_size(0), 0);
	cr_expect_eq(dtype_size(15), 0);
	cr_expect_eq(dtype_from_name("", 0), 0);
	cr_expect_eq(dtype_from_name("INT3", 4), 0);
	cr_expect_eq(dtype_from_name("INT32\0", 6), 0);
	cr_expect_eq(dtype_from_name("int32", 5), 0);
	cr_expect_eq(dtype_from_name("STRING", 6), 0);
}
