/* SPDX-License-Identifier: MIT */
#include "cli/recorded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "infer/dtype.h"

void recorded_call_fini(struct recorded_call *c)
{
	for (size_t i = 0; i < c->n_in; i++)
		array_fini(&c->in[i]);
	for (size_t i = 0; i < c->n_out; i++)
		array_fini(&c->out[i]);
	free(c->weights);
}

/* Tensor @i, whose bytes are the next ones. False: it isn't one. */
static bool read_tensor(const struct json_reader *r, const char *side, size_t i, const char **at, const char *end,
			struct array *a)
{
	const char *name = json_reader_string(r, "/%s/%zu/name", side, i);
	const char *type = json_reader_string(r, "/%s/%zu/datatype", side, i);
	size_t rank = json_reader_count(r, "/%s/%zu/shape", side, i);
	double number = -1;

	a->name = xstrdup(name ? name : "");
	if (!name || !type || rank > DEVSERVE_MAX_RANK || !json_reader_number(r, &number, "/%s/%zu/bytes", side, i) ||
	    number < 0 || number > (double)(end - *at) || array_allocate(a, (uint64_t)number) < 0)
		return false;
	a->dtype = dtype_from_name(type, strlen(type));
	a->rank = (uint32_t)rank;
	for (size_t k = 0; k < rank; k++) {
		if (!json_reader_number(r, &number, "/%s/%zu/shape/%zu", side, i, k) || number < 0)
			return false;
		a->shape[k] = (int64_t)number;
	}
	memcpy(a->data, *at, a->size);
	*at += a->size;
	return array_is_whole(a);
}

static bool read_side(const struct json_reader *r, const char *side, const char **at, const char *end,
		      struct array *arrays, size_t *ret_n)
{
	size_t n = json_reader_count(r, "/%s", side);

	for (size_t i = 0; i < n; i++) {
		if (i == DEVSERVE_MAX_TENSORS)
			return false;
		++*ret_n;
		if (!read_tensor(r, side, i, at, end, &arrays[i]))
			return false;
	}
	return true;
}

static bool read_answer(const struct buffer *body, struct recorded_call *ret)
{
	const char *text = buffer_text(body), *end = text + body->size;
	const char *line = memchr(text, '\n', body->size), *at = line + 1;
	struct json_reader *r = NULL;
	const char *weights;
	bool good;

	if (!line || json_reader_new(text, (size_t)(line - text), &r) < 0)
		return false;
	good = read_side(r, "inputs", &at, end, ret->in, &ret->n_in) &&
	       read_side(r, "outputs", &at, end, ret->out, &ret->n_out);
	weights = json_reader_string(r, "/weights");
	ret->weights = weights ? xstrdup(weights) : NULL;
	json_reader_free(r);
	return good;
}

static void refuse(const struct client *c, const struct client_answer *a, struct buffer *why)
{
	struct json_reader *r = NULL;
	const char *error = NULL;

	if (json_reader_new(buffer_text(&a->body), a->body.size, &r) == 0)
		error = json_reader_string(r, "/error");
	if (error)
		buffer_puts(why, error);
	else
		buffer_printf(why, "the answer of %s is not understood (HTTP %d)", c->url, a->status);
	json_reader_free(r);
}

int recorded_ask(const struct client *c, uint64_t id, uint64_t timeout_ms, struct recorded_call *ret,
		 struct buffer *why)
{
	_cleanup_free_ char *path = xasprintf("/-/recording?id=%" PRIu64, id);
	struct client_answer a = CLIENT_ANSWER_NULL;
	int r = client_ask(c, &(struct client_request){ .path = path, .timeout_ms = timeout_ms,
							.longest = ARRAY_MAX_BYTES }, &a, why);

	if (r == 0 && (a.status != 200 || !read_answer(&a.body, ret))) {
		refuse(c, &a, why);
		r = EXIT_FAILURE;
	}
	buffer_fini(&a.body);
	return r;
}
