/* SPDX-License-Identifier: MIT */
#include "cli/gpus.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/capture.h"
#include "cli/json_reader.h"

#define TIMEOUT_MS 5000
#define GIB ((double)(1 << 30))

struct json_reader *gpus_ask(struct buffer *why)
{
	_cleanup_free_ char *helper = path_of_helper("devserve-cuda");
	_cleanup_buffer_ struct buffer said = BUFFER_NULL;
	struct json_reader *r = NULL;

	if (helper && capture((const char *const[]){ helper, "gpus", NULL }, "", TIMEOUT_MS, &said) == 0 &&
	    json_reader_new(buffer_text(&said), said.size, &r) == 0)
		return r;
	buffer_append(why, buffer_text(&said), strcspn(buffer_text(&said), "\n"));
	return NULL;
}

static bool number(const struct json_reader *r, size_t i, const char *key, double *ret)
{
	return json_reader_number(r, ret, "/gpus/%zu/%s", i, key);
}

/* ", LABEL 1410 of 1980 UNIT"; nothing where it isn't known. */
static void put(const struct json_reader *r, size_t i, const char *label, const char *key, const char *of,
		const char *unit, struct buffer *ret)
{
	double now, most;

	if (!number(r, i, key, &now))
		return;
	buffer_printf(ret, ", %s%.0f", label, now);
	if (of && number(r, i, of, &most))
		buffer_printf(ret, " of %.0f", most);
	buffer_puts(ret, unit);
}

static void put_slowdowns(const struct json_reader *r, size_t i, struct buffer *ret)
{
	size_t n = json_reader_count(r, "/gpus/%zu/slowed_by", i);

	for (size_t j = 0; j < n; j++) {
		const char *what = json_reader_string(r, "/gpus/%zu/slowed_by/%zu", i, j);

		buffer_printf(ret, "%s%s", j ? ", " : " (", what ? what : "?");
	}
	if (n)
		buffer_putc(ret, ')');
}

void gpus_describe(const struct json_reader *gpus, size_t i, struct buffer *ret)
{
	const char *name = json_reader_string(gpus, "/gpus/%zu/name", i);
	double used, total;

	buffer_puts(ret, name ? name : "a GPU");
	if (number(gpus, i, "memory_used_bytes", &used) && number(gpus, i, "memory_total_bytes", &total))
		buffer_printf(ret, ", %.1f of %.1f GiB used", used / GIB, total / GIB);
	put(gpus, i, "busy ", "busy_percent", NULL, " %", ret);
	put(gpus, i, "SM ", "sm_mhz", "sm_max_mhz", " MHz", ret);
	put_slowdowns(gpus, i, ret);
	put(gpus, i, "memory ", "memory_mhz", "memory_max_mhz", " MHz", ret);
	put(gpus, i, "", "celsius", NULL, " °C", ret);
	put(gpus, i, "", "watts", "limit_watts", " W", ret);
}

static bool is_of(const struct json_reader *status, size_t i, double pid)
{
	double one;

	for (size_t j = 0, n = json_reader_count(status, "/deployments/%zu/workers", i); j < n; j++)
		if (json_reader_number(status, &one, "/deployments/%zu/workers/%zu/pid", i, j) && one == pid)
			return true;
	return json_reader_number(status, &one, "/deployments/%zu/spare_pid", i) && one == pid;
}

static uint64_t memory_on(const struct json_reader *gpus, size_t gpu, const struct json_reader *status, size_t i)
{
	uint64_t sum = 0;

	for (size_t j = 0, n = json_reader_count(gpus, "/gpus/%zu/processes", gpu); j < n; j++) {
		double pid, bytes;

		if (json_reader_number(gpus, &pid, "/gpus/%zu/processes/%zu/pid", gpu, j) && is_of(status, i, pid) &&
		    json_reader_number(gpus, &bytes, "/gpus/%zu/processes/%zu/memory_bytes", gpu, j))
			sum += (uint64_t)bytes;
	}
	return sum;
}

uint64_t gpus_memory(const struct json_reader *gpus, const struct json_reader *status, size_t i)
{
	size_t n = gpus ? json_reader_count(gpus, "/gpus") : 0;
	uint64_t sum = 0;

	for (size_t gpu = 0; gpu < n; gpu++)
		sum += memory_on(gpus, gpu, status, i);
	return sum;
}

static void put_deployments(const struct json_reader *gpus, size_t gpu, const struct json_reader *status,
			    struct buffer *json)
{
	json_array(json, "deployments");
	for (size_t i = 0, n = json_reader_count(status, "/deployments"); i < n; i++) {
		uint64_t bytes = memory_on(gpus, gpu, status, i);

		if (!bytes)
			continue;
		json_object(json, NULL);
		json_string(json, "name", json_reader_string(status, "/deployments/%zu/name", i));
		json_uint(json, "memory_bytes", bytes);
		json_object_end(json);
	}
	json_array_end(json);
}

/* The object that ends @json is open again. */
static void reopen(struct buffer *json)
{
	char *end = memrchr(json->data, '}', json->size);

	json->size = (size_t)(end - json->data);
	*end = '\0';
}

void gpus_add(const struct json_reader *gpus, const struct json_reader *status, struct buffer *json)
{
	size_t n = gpus ? json_reader_count(gpus, "/gpus") : 0;

	if (!n)
		return;
	reopen(json);
	json_array(json, "gpus");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *text = json_reader_text(gpus, "/gpus/%zu", i);
		_cleanup_buffer_ struct buffer one = BUFFER_NULL;

		buffer_puts(&one, text);
		reopen(&one);
		put_deployments(gpus, i, status, &one);
		json_object_end(&one);
		json_raw(json, NULL, one.data);
	}
	json_array_end(json);
	json_object_end(json);
}
