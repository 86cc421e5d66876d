/* SPDX-License-Identifier: MIT */
#include "cli/request.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "array/array.h"
#include "cli/model.h"
#include "cli/values.h"
#include "infer/json_locate.h"

static int refuse(struct buffer *why, const struct model_port *p, const char *sentence)
{
	buffer_printf(why, "%s: %s", p->name, sentence);
	return EXIT_FAILURE;
}

static int read_shape(const struct model_port *p, struct node n, int64_t *ret, struct buffer *why)
{
	struct node_cursor c = node_elements(n);
	uint32_t rank = 0;
	struct node extent;
	uint64_t value;

	while (node_next(&c, &extent)) {
		if (rank == p->rank || !node_uint(extent, &value) || value > INT64_MAX)
			return refuse(why, p, "its shape has other dimensions than the deployment's");
		ret[rank++] = (int64_t)value;
	}
	return rank == p->rank ? 0 : refuse(why, p, "its shape has other dimensions than the deployment's");
}

static int take_node(const struct model *m, const char *key, size_t size, struct node data, const struct node *shape,
		     struct array *ret, struct buffer *why)
{
	_cleanup_free_ char *name = xstrndup(key, size);
	const struct model_port *p = model_input(m, name, why);
	int64_t extents[DEVSERVE_MAX_RANK];
	struct array *a;

	if (!p)
		return EXIT_FAILURE;
	a = &ret[p - m->inputs];
	if (a->data)
		return refuse(why, p, "it is given twice");
	if (shape && read_shape(p, *shape, extents, why) != 0)
		return EXIT_FAILURE;
	return values_from_node(p, data, shape ? extents : NULL, a, why);
}

static int take_inputs(const struct model *m, struct node inputs, struct array *ret, struct buffer *why)
{
	static const struct node_key keys[] = { NODE_KEY("name"), NODE_KEY("shape"), NODE_KEY("data") };
	struct node_cursor c = node_elements(inputs);
	struct node input, members[ARRAY_SIZE(keys)];
	const char *name;
	size_t size;
	int r = 0;

	while (r == 0 && node_next(&c, &input)) {
		node_pick(input, keys, ARRAY_SIZE(keys), members);
		if (!node_string(members[0], &name, &size)) {
			buffer_puts(why, "an input of the request has no 'name'");
			return EXIT_FAILURE;
		}
		r = take_node(m, name, size, members[2], node_is_absent(members[1]) ? NULL : &members[1], ret, why);
	}
	return r;
}

static int take_members(const struct model *m, struct node n, struct array *ret, struct buffer *why)
{
	static const struct node_key inputs_key[] = { NODE_KEY("inputs") };
	struct node_cursor c = node_members(n);
	struct node value, inputs;
	const char *key;
	size_t size;
	int r = 0;

	if (node_type(n) != NODE_OBJECT) {
		buffer_puts(why, "the request is no JSON object such as {\"X\": [1,2,3]}");
		return EXIT_FAILURE;
	}
	node_pick(n, inputs_key, 1, &inputs);
	if (node_type(inputs) == NODE_ARRAY)
		return take_inputs(m, inputs, ret, why);
	while (r == 0 && node_next_member(&c, &key, &size, &value))
		r = take_node(m, key, size, value, NULL, ret, why);
	return r;
}

/* " at line 3, column 7" */
static void put_place(const char *text, size_t size, struct buffer *why)
{
	size_t at = json_locate(text, size), line = 1, start = 0;

	if (at == size)
		return;
	for (size_t i = 0; i < at; i++) {
		if (text[i] != '\n')
			continue;
		line++;
		start = i + 1;
	}
	buffer_printf(why, " at line %zu, column %zu", line, at - start + 1);
}

int request_values(const struct model *m, const char *text, size_t size, struct array *ret,
			struct buffer *why)
{
	_cleanup_buffer_ struct buffer padded = BUFFER_NULL;
	const char *reason;
	struct node n;
	int r;

	if (values_parse(text, size, &padded, &n, &reason) != 0) {
		buffer_puts(why, "the request is no JSON");
		put_place(padded.data, size, why);
		buffer_printf(why, ": %s", reason);
		return EXIT_FAILURE;
	}
	r = take_members(m, n, ret, why);
	json_close();
	return r;
}
