/* SPDX-License-Identifier: MIT */
#include "cli/model.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "array/array.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "cli/names.h"
#include "infer/dtype.h"

/* Asking */

static bool read_port(const struct json_reader *r, const char *list, size_t i, struct model_port *ret)
{
	const char *name = json_reader_string(r, "/%s/%zu/name", list, i);
	const char *datatype = json_reader_string(r, "/%s/%zu/datatype", list, i);
	size_t rank = json_reader_count(r, "/%s/%zu/shape", list, i);
	double extent;

	if (!name || !datatype || rank > DEVSERVE_MAX_RANK)
		return false;
	ret->dtype = dtype_from_name(datatype, strlen(datatype));
	ret->rank = (uint32_t)rank;
	for (size_t k = 0; k < rank; k++) {
		if (!json_reader_number(r, &extent, "/%s/%zu/shape/%zu", list, i, k) || extent < -1 ||
		    extent > 1e15)
			return false;
		ret->shape[k] = (int64_t)extent;
	}
	ret->name = xstrdup(name);
	return ret->dtype != 0;
}

static bool read_ports(const struct json_reader *r, const char *list, struct model_port *ports,
		       size_t *ret_n)
{
	size_t n = json_reader_count(r, "/%s", list);

	if (n > DEVSERVE_MAX_TENSORS)
		return false;
	for (*ret_n = 0; *ret_n < n; ++*ret_n)
		if (!read_port(r, list, *ret_n, &ports[*ret_n]))
			return false;
	return true;
}

static int read_metadata(const struct client *c, const struct json_reader *r, int status, const char *name,
			 struct model *ret, struct buffer *why)
{
	const char *error = json_reader_string(r, "/error");

	if (status == 404) {
		names_refuse(c, name, why);
		return EXIT_FAILURE;
	}
	if (status != 200 || !read_ports(r, "inputs", ret->inputs, &ret->n_inputs) ||
	    !read_ports(r, "outputs", ret->outputs, &ret->n_outputs)) {
		buffer_printf(why, "%s: ", name);
		if (error)
			buffer_puts(why, error);
		else
			buffer_printf(why, "what answers at %s is not understood (HTTP %d)", c->url, status);
		return EXIT_FAILURE;
	}
	return 0;
}

int model_ask(const struct client *c, const char *name, uint64_t timeout_ms, struct model *ret,
	      struct buffer *why)
{
	_cleanup_buffer_ struct buffer body = BUFFER_NULL, path = BUFFER_NULL;
	struct json_reader *reader = NULL;
	int status, r;

	buffer_puts(&path, "/v2/models/");
	client_put_path(&path, name);
	r = client_get(c, path.data, timeout_ms, &status, &body, why);
	if (r != 0)
		return r;
	if (json_reader_new(buffer_text(&body), body.size, &reader) < 0) {
		buffer_printf(why, "what answers at %s is not devserve (HTTP %d)", c->url, status);
		return EXIT_FAILURE;
	}
	r = read_metadata(c, reader, status, name, ret, why);
	json_reader_free(reader);
	return r;
}

void model_fini(struct model *m)
{
	for (size_t i = 0; i < DEVSERVE_MAX_TENSORS; i++) {
		free(m->inputs[i].name);
		free(m->outputs[i].name);
	}
	*m = (struct model)MODEL_NULL;
}

/* Names */

static const struct model_port *find(const struct model_port *ports, size_t n, const char *kind,
				     const char *name, struct buffer *why)
{
	struct suggestion s = { .word = name };

	for (size_t i = 0; i < n; i++) {
		if (strcmp(ports[i].name, name) == 0)
			return &ports[i];
		suggestion_consider(&s, ports[i].name);
	}
	buffer_printf(why, "there is no %s '%s'", kind, name);
	if (s.best)
		buffer_printf(why, "; did you mean '%s'?", s.best);
	for (size_t i = 0; i < n && !s.best; i++)
		buffer_printf(why, "%s%s", i ? ", " : "; there are: ", ports[i].name);
	return NULL;
}

const struct model_port *model_input(const struct model *m, const char *name, struct buffer *why)
{
	return find(m->inputs, m->n_inputs, "input", name, why);
}

const struct model_port *model_output(const struct model *m, const char *name, struct buffer *why)
{
	return find(m->outputs, m->n_outputs, "output", name, why);
}

void model_put_inputs(const struct model *m, struct buffer *ret)
{
	for (size_t i = 0; i < m->n_inputs; i++) {
		buffer_printf(ret, "%s%s=", i ? " " : "", m->inputs[i].name);
		array_put_type(ret, m->inputs[i].dtype, m->inputs[i].shape, m->inputs[i].rank);
	}
}

/* Shapes */

static void put_port(struct buffer *b, const struct model_port *p)
{
	buffer_printf(b, "%s is ", p->name);
	array_put_type(b, p->dtype, p->shape, p->rank);
}

static int refuse_count(const struct model_port *p, uint64_t n, int64_t fixed, bool is_multiple,
			struct buffer *why)
{
	put_port(why, p);
	buffer_printf(why, ": it takes %s%" PRId64 " element%s, not %" PRIu64,
		      is_multiple ? "a multiple of " : "", fixed, fixed == 1 ? "" : "s", n);
	return EXIT_FAILURE;
}

int port_shape_flat(const struct model_port *p, uint64_t n, int64_t *ret, struct buffer *why)
{
	uint32_t last = DEVSERVE_MAX_RANK;
	int64_t fixed = 1;

	for (uint32_t k = 0; k < p->rank; k++) {
		ret[k] = p->shape[k] < 0 ? 1 : p->shape[k];
		last = p->shape[k] < 0 ? k : last;
		if (__builtin_mul_overflow(fixed, ret[k], &fixed))
			fixed = INT64_MAX;
	}
	if (last == DEVSERVE_MAX_RANK)
		return n == (uint64_t)fixed ? 0 : refuse_count(p, n, fixed, false, why);
	if (!fixed || n % (uint64_t)fixed)
		return refuse_count(p, n, fixed, true, why);
	ret[last] = (int64_t)(n / (uint64_t)fixed);
	return 0;
}

static bool fits(const struct model_port *p, uint32_t from, const int64_t *shape, uint32_t rank)
{
	if (p->rank != rank + from)
		return false;
	for (uint32_t k = 0; k < rank; k++)
		if (p->shape[k + from] >= 0 && p->shape[k + from] != shape[k])
			return false;
	return true;
}

int port_shape_like(const struct model_port *p, const int64_t *shape, uint32_t rank, int64_t *ret,
		    struct buffer *why)
{
	if (fits(p, 0, shape, rank)) {
		memmove(ret, shape, rank * sizeof(*shape));
		return 0;
	}
	if (p->rank > 0 && (p->shape[0] < 0 || p->shape[0] == 1) && fits(p, 1, shape, rank)) {
		memmove(ret + 1, shape, rank * sizeof(*shape));
		ret[0] = 1;
		return 0;
	}
	put_port(why, p);
	buffer_puts(why, ", which a shape of [");
	for (uint32_t k = 0; k < rank; k++)
		buffer_printf(why, "%s%" PRId64, k ? "," : "", shape[k]);
	buffer_puts(why, "] doesn't fit");
	return EXIT_FAILURE;
}
