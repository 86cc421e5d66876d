/* SPDX-License-Identifier: MIT */
#include "nvrtc/gpus.h"

#include <stdio.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "cuda/nvml.h"

static void put(struct buffer *b, const char *key, int value)
{
	if (value >= 0)
		json_int(b, key, value);
}

static void put_watts(struct buffer *b, const char *key, int milliwatts)
{
	if (milliwatts >= 0)
		json_double(b, key, milliwatts / 1000.0);
}

static void put_slowdowns(struct buffer *b, uint64_t slowdowns)
{
	json_array(b, "slowed_by");
	for (unsigned i = 0; i < NVML_SLOWDOWNS; i++)
		if ((slowdowns >> i & 1) && nvml_slowdown(i))
			json_string(b, NULL, nvml_slowdown(i));
	json_array_end(b);
}

static void put_processes(struct buffer *b, unsigned index)
{
	struct nvml_process all[256];
	size_t n = nvml_processes(index, all, ARRAY_SIZE(all));

	json_array(b, "processes");
	for (size_t i = 0; i < n; i++) {
		json_object(b, NULL);
		json_int(b, "pid", all[i].pid);
		if (all[i].memory)
			json_uint(b, "memory_bytes", all[i].memory);
		json_object_end(b);
	}
	json_array_end(b);
}

static void put_gpu(struct buffer *b, unsigned index, const struct nvml_gpu *g)
{
	json_object(b, NULL);
	json_string(b, "name", g->name);
	if (g->bus[0])
		json_string(b, "bus", g->bus);
	if (g->memory_total) {
		json_uint(b, "memory_used_bytes", g->memory_used);
		json_uint(b, "memory_total_bytes", g->memory_total);
	}
	put(b, "busy_percent", g->busy);
	put(b, "memory_busy_percent", g->memory_busy);
	put(b, "sm_mhz", g->sm_mhz);
	put(b, "sm_max_mhz", g->sm_max_mhz);
	put(b, "memory_mhz", g->memory_mhz);
	put(b, "memory_max_mhz", g->memory_max_mhz);
	put(b, "celsius", g->celsius);
	put_watts(b, "watts", g->milliwatts);
	put_watts(b, "limit_watts", g->limit_milliwatts);
	put_slowdowns(b, g->slowdowns);
	put_processes(b, index);
	json_object_end(b);
}

int gpus_print(void)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct nvml_gpu g;
	char why[512];

	if (nvml_open(why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	json_object(&b, NULL);
	json_string(&b, "driver", nvml_driver());
	json_array(&b, "gpus");
	for (unsigned i = 0, n = nvml_count(); i < n; i++)
		if (nvml_read(i, &g))
			put_gpu(&b, i, &g);
	json_array_end(&b);
	json_object_end(&b);
	printf("%s\n", buffer_text(&b));
	return 0;
}
