/* SPDX-License-Identifier: MIT */

/*
 * Decode, the outputs that are wanted, and in which form. A datatype that JSON cannot say is
 * refused here, before anything is computed; of BYTES only the bytes tell (infer/response.c).
 */

#include "base/memory.h"
#include "infer/decode.h"
#include "infer/decoder.h"
#include "infer/dtype.h"
#include "infer/signature.h"

/* Asked for twice, it comes once: at the first place, in the first form. */
static void want(struct infer_request *r, uint32_t port, bool binary)
{
	for (uint32_t i = 0; i < r->n_wanted; i++)
		if (r->wanted[i].port == port)
			return;
	r->wanted[r->n_wanted].port = port;
	r->wanted[r->n_wanted++].binary = binary;
}

static int read_form(struct decoder *d, struct node parameters, bool *ret_binary)
{
	static const struct node_key keys[] = { NODE_KEY("binary_data"), NODE_KEY("classification"),
						NODE_KEY("shared_memory_region") };
	struct node p[ARRAY_SIZE(keys)];
	int r = decoder_parameters(d, parameters, keys, ARRAY_SIZE(keys), p);

	if (r)
		return r;
	if (!node_is_absent(p[1])) {
		infer_request_refuse(d->r, INFER_UNSUPPORTED,
				     "classification is not supported: take the tensor itself");
		return decoder_tell_place(d, "parameters.classification");
	}
	if (!node_is_absent(p[2]))
		return decoder_refuse_shared_memory(d);
	*ret_binary = d->binary_output;
	if (!node_is_absent(p[0]) && !node_bool(p[0], ret_binary))
		return decoder_wrong_kind(d, "parameters.binary_data", "boolean");
	return 0;
}

static int read_output(struct decoder *d, struct node n)
{
	static const struct node_key keys[] = { NODE_KEY("name"), NODE_KEY("parameters") };
	struct node m[ARRAY_SIZE(keys)];
	bool binary = false;
	const char *name;
	size_t size;
	int32_t i;
	int r;

	if (node_type(n) != NODE_OBJECT)
		return decoder_wrong_kind(d, NULL, "object");
	if ((r = decoder_pick(d, n, keys, ARRAY_SIZE(keys), m)))
		return r;
	if (!node_string(m[0], &name, &size))
		return decoder_wrong_kind(d, "name", "string");
	i = decoder_find_port(d->s->outputs, d->s->n_outputs, name, size);
	if (i < 0)
		return decoder_refuse(d, "name", "unexpected inference output '%s' for model '%s'",
				      decoder_echo(name, size).text, d->r->name);
	r = read_form(d, m[1], &binary);
	if (r)
		return r;
	want(d->r, (uint32_t)i, binary);
	return 0;
}

static int check_forms(struct decoder *d)
{
	for (uint32_t i = 0; i < d->r->n_wanted; i++) {
		const struct signature_port *port = &d->s->outputs[d->r->wanted[i].port];

		if (!d->r->wanted[i].binary && !dtype_in_json(port->dtype))
			return infer_request_refuse(
				d->r, INFER_INVALID,
				"sending %s data via JSON is not supported. Please use the binary "
				"data format for output %s",
				dtype_name(port->dtype), port->name);
	}
	return 0;
}

int decode_outputs(struct decoder *d, struct node n)
{
	struct node_cursor c;
	struct node output;

	if (!node_is_absent(n) && node_type(n) != NODE_ARRAY)
		return decoder_wrong_kind(d, "outputs", "array");
	d->list = "outputs";
	for (c = node_elements(n), d->index = 0; node_next(&c, &output); d->index++) {
		int r = read_output(d, output);

		if (r)
			return r;
	}
	d->list = NULL;
	if (!d->r->n_wanted)
		decode_want_all(d->r, d->binary_output);
	return check_forms(d);
}
