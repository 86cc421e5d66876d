/* SPDX-License-Identifier: MIT */
#include "infer/signature.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "infer/dtype.h"

struct signature *signature_new(void)
{
	struct signature *s = xcalloc(1, sizeof(*s));

	s->n_refs = 1;
	return s;
}

struct signature *signature_ref(struct signature *s)
{
	s->n_refs++;
	return s;
}

static void free_names(struct signature_port *ports, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(ports[i].name);
}

struct signature *signature_unref(struct signature *s)
{
	if (!s || --s->n_refs)
		return NULL;
	free_names(s->inputs, s->n_inputs);
	free_names(s->outputs, s->n_outputs);
	free(s->description);
	free(s);
	return NULL;
}

static bool ports_equal(const struct signature_port *a, const struct signature_port *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(a[i].name, b[i].name) != 0 || a[i].dtype != b[i].dtype ||
		    a[i].rank != b[i].rank ||
		    memcmp(a[i].shape, b[i].shape, a[i].rank * sizeof(*a[i].shape)) != 0)
			return false;
	return true;
}

bool signature_equal(const struct signature *a, const struct signature *b)
{
	return a->max_batch_size == b->max_batch_size && a->n_inputs == b->n_inputs &&
	       a->n_outputs == b->n_outputs && ports_equal(a->inputs, b->inputs, a->n_inputs) &&
	       ports_equal(a->outputs, b->outputs, a->n_outputs);
}

static void put_port(struct buffer *b, const struct signature_port *port)
{
	buffer_printf(b, "%s[", dtype_name(port->dtype));
	for (uint32_t i = 0; i < port->rank; i++)
		buffer_printf(b, "%s%" PRId64, i ? "," : "", port->shape[i]);
	buffer_putc(b, ']');
}

static const struct signature_port *find_port(const struct signature_port *ports, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(ports[i].name, name) == 0)
			return &ports[i];
	return NULL;
}

static void begin_change(struct buffer *b, const char *side, const char *name)
{
	buffer_printf(b, "%s%s %s ", b->size ? "; " : "", side, name);
}

static void put_changes(struct buffer *b, const char *side, const struct signature_port *from, uint32_t n_from,
			const struct signature_port *to, uint32_t n_to)
{
	for (uint32_t i = 0; i < n_to; i++) {
		const struct signature_port *was = find_port(from, n_from, to[i].name);

		if (was && ports_equal(was, &to[i], 1))
			continue;
		begin_change(b, side, to[i].name);
		buffer_puts(b, "is ");
		put_port(b, &to[i]);
		buffer_puts(b, was ? ", was " : ", and new");
		if (was)
			put_port(b, was);
	}
	for (uint32_t i = 0; i < n_from; i++) {
		if (find_port(to, n_to, from[i].name))
			continue;
		begin_change(b, side, from[i].name);
		buffer_puts(b, "is gone");
	}
}

void signature_changes(const struct signature *from, const struct signature *to, struct buffer *ret)
{
	if (signature_equal(from, to))
		return;
	put_changes(ret, "input", from->inputs, from->n_inputs, to->inputs, to->n_inputs);
	put_changes(ret, "output", from->outputs, from->n_outputs, to->outputs, to->n_outputs);
	if (from->max_batch_size != to->max_batch_size)
		buffer_printf(ret, "%sbatches of at most %" PRIu32 ", were %" PRIu32 " (0: no batch extent)",
			      ret->size ? "; " : "", to->max_batch_size, from->max_batch_size);
	if (!ret->size)
		buffer_puts(ret, "its tensors come in another order");
}

static void port_metadata(const struct signature *s, const struct signature_port *port,
			  struct buffer *ret)
{
	json_object(ret, NULL);
	json_string(ret, "name", port->name);
	json_string(ret, "datatype", dtype_name(port->dtype));
	json_array(ret, "shape");
	if (s->max_batch_size)
		json_int(ret, NULL, -1);
	for (uint32_t i = 0; i < port->rank; i++)
		json_int(ret, NULL, port->shape[i]);
	json_array_end(ret);
	json_object_end(ret);
}

void signature_metadata(const struct signature *s, const char *name, struct buffer *ret)
{
	json_object(ret, NULL);
	json_string(ret, "name", name);
	json_array(ret, "versions");
	json_string(ret, NULL, "1");
	json_array_end(ret);
	json_string(ret, "platform", "devserve");
	json_array(ret, "inputs");
	for (uint32_t i = 0; i < s->n_inputs; i++)
		port_metadata(s, &s->inputs[i], ret);
	json_array_end(ret);
	json_array(ret, "outputs");
	for (uint32_t i = 0; i < s->n_outputs; i++)
		port_metadata(s, &s->outputs[i], ret);
	json_array_end(ret);
	json_object_end(ret);
}
