/* SPDX-License-Identifier: MIT */
#include "cli/inference.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/array_text.h"
#include "cli/json_reader.h"
#include "cli/model.h"
#include "infer/dtype.h"

/* The request */

static void put_input(struct buffer *json, const struct model_port *p, const struct array *a)
{
	array_put_json_head(json, p->name, a);
	json_object(json, "parameters");
	json_uint(json, "binary_data_size", a->size);
	json_object_end(json);
	json_object_end(json);
}

static void put_output(struct buffer *json, const char *name)
{
	json_object(json, NULL);
	json_string(json, "name", name);
	json_object(json, "parameters");
	json_bool(json, "binary_data", true);
	json_object_end(json);
	json_object_end(json);
}

static void put_json(struct buffer *json, const struct inference *inf, const struct model *m, const char *only)
{
	json_object(json, NULL);
	json_array(json, "inputs");
	for (size_t i = 0; i < m->n_inputs; i++)
		put_input(json, &m->inputs[i], &inf->inputs[i]);
	json_array_end(json);
	json_array(json, "outputs");
	for (size_t i = 0; i < m->n_outputs; i++)
		if (!only || strcmp(only, m->outputs[i].name) == 0)
			put_output(json, m->outputs[i].name);
	json_array_end(json);
	json_object_end(json);
}

/* The answer */

static bool read_shape(const struct json_reader *r, size_t i, struct array *a)
{
	size_t rank = json_reader_count(r, "/outputs/%zu/shape", i);
	double extent;

	if (rank > DEVSERVE_MAX_RANK)
		return false;
	a->rank = (uint32_t)rank;
	for (size_t k = 0; k < rank; k++) {
		if (!json_reader_number(r, &extent, "/outputs/%zu/shape/%zu", i, k) || extent < 0 || extent > 1e15)
			return false;
		a->shape[k] = (int64_t)extent;
	}
	return true;
}

static bool read_output(const struct json_reader *r, size_t i, const struct buffer *body, size_t *at, struct array *a)
{
	const char *name = json_reader_string(r, "/outputs/%zu/name", i);
	const char *datatype = json_reader_string(r, "/outputs/%zu/datatype", i);
	double size;

	if (!name || !datatype || !read_shape(r, i, a) ||
	    !json_reader_number(r, &size, "/outputs/%zu/parameters/binary_data_size", i) || size < 0 ||
	    size > (double)(body->size - *at))
		return false;
	a->name = xstrdup(name);
	a->dtype = dtype_from_name(datatype, strlen(datatype));
	if (!a->dtype || array_allocate(a, (uint64_t)size) < 0)
		return false;
	memcpy(a->data, body->data + *at, a->size);
	*at += a->size;
	return array_is_whole(a);
}

static bool read_outputs(struct inference *inf, const struct json_reader *r)
{
	size_t n = json_reader_count(r, "/outputs"), at = inf->answer.json_size;

	if (n > DEVSERVE_MAX_TENSORS)
		return false;
	for (; inf->n_outputs < n; inf->n_outputs++)
		if (!read_output(r, inf->n_outputs, &inf->answer.body, &at, &inf->outputs[inf->n_outputs]))
			return false;
	return true;
}

static int read_answer(struct inference *inf, const struct client *c, const char *name, struct buffer *why)
{
	struct json_reader *r = NULL;
	const char *error;
	int status = inf->answer.status;

	if (json_reader_new(buffer_text(&inf->answer.body), inf->answer.json_size, &r) < 0) {
		buffer_printf(why, "what answers at %s is not understood (HTTP %d)", c->url, status);
		return EXIT_FAILURE;
	}
	error = json_reader_string(r, "/error");
	if (status == 200 && read_outputs(inf, r)) {
		json_reader_free(r);
		return 0;
	}
	buffer_printf(why, "%s", name);
	if (inf->answer.generation)
		buffer_printf(why, " (gen %" PRIu32 ")", inf->answer.generation);
	buffer_printf(why, ": %s", error ? error : "the answer is not understood");
	if (inf->answer.stale[0])
		buffer_printf(why, "; this is not the newest save: %s", inf->answer.stale);
	json_reader_free(r);
	return EXIT_FAILURE;
}

int inference_run(struct inference *inf, const struct client *c, const char *name, const struct model *m,
		  const char *only, uint64_t timeout_ms, struct buffer *why)
{
	_cleanup_buffer_ struct buffer path = BUFFER_NULL, body = BUFFER_NULL;
	struct client_request q = { .timeout_ms = timeout_ms, .longest = ARRAY_MAX_BYTES + (1 << 20), .body = &body };
	uint64_t start_ns;
	int r;

	buffer_puts(&path, "/v2/models/");
	client_put_path(&path, name);
	buffer_puts(&path, "/infer");
	q.path = path.data;
	put_json(&body, inf, m, only);
	q.json_size = body.size;
	for (size_t i = 0; i < m->n_inputs; i++)
		buffer_append(&body, inf->inputs[i].data, inf->inputs[i].size);
	start_ns = clock_ns();
	r = client_ask(c, &q, &inf->answer, why);
	inf->took_ns = clock_ns() - start_ns;
	return r == 0 ? read_answer(inf, c, name, why) : r;
}

void inference_fini(struct inference *inf)
{
	for (size_t i = 0; i < DEVSERVE_MAX_TENSORS; i++) {
		array_fini(&inf->inputs[i]);
		array_fini(&inf->outputs[i]);
	}
	buffer_fini(&inf->answer.body);
}
