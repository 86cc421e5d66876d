/* SPDX-License-Identifier: MIT */
#include "infer/dtype.h"

#include <string.h>

#include <devserve/deployment.h>

#include "base/memory.h"

static const struct {
	const char *name;
	size_t size;
} dtypes[] = {
	[DEVSERVE_BOOL] = { "BOOL", 1 },     [DEVSERVE_UINT8] = { "UINT8", 1 },
	[DEVSERVE_UINT16] = { "UINT16", 2 }, [DEVSERVE_UINT32] = { "UINT32", 4 },
	[DEVSERVE_UINT64] = { "UINT64", 8 }, [DEVSERVE_INT8] = { "INT8", 1 },
	[DEVSERVE_INT16] = { "INT16", 2 },   [DEVSERVE_INT32] = { "INT32", 4 },
	[DEVSERVE_INT64] = { "INT64", 8 },   [DEVSERVE_FP16] = { "FP16", 2 },
	[DEVSERVE_FP32] = { "FP32", 4 },     [DEVSERVE_FP64] = { "FP64", 8 },
	[DEVSERVE_BYTES] = { "BYTES", 0 },   [DEVSERVE_BF16] = { "BF16", 2 },
};

const char *dtype_name(uint32_t dtype)
{
	return dtype < ARRAY_SIZE(dtypes) ? dtypes[dtype].name : NULL;
}

uint32_t dtype_from_name(const char *name, size_t size)
{
	for (uint32_t i = DEVSERVE_BOOL; i < ARRAY_SIZE(dtypes); i++)
		if (strlen(dtypes[i].name) == size && memcmp(dtypes[i].name, name, size) == 0)
			return i;
	return 0;
}

size_t dtype_size(uint32_t dtype)
{
	return dtype < ARRAY_SIZE(dtypes) ? dtypes[dtype].size : 0;
}

bool dtype_in_json(uint32_t dtype)
{
	return dtype != DEVSERVE_FP16 && dtype != DEVSERVE_BF16;
}
