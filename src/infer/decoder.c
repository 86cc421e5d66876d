/* SPDX-License-Identifier: MIT */
#include "infer/decoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "infer/signature.h"

/* Sentences */

struct echo decoder_echo(const char *s, size_t size)
{
	struct echo e;
	size_t at = 0, i = 0;

	for (; i < size && at < DECODER_ECHO; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f)
			at += (size_t)snprintf(e.text + at, 7, "\\u%04x", c);
		else
			e.text[at++] = s[i];
	}
	if (i < size) {
		while (i && ((unsigned char)s[i] & 0xc0) == 0x80) {
			i--; /* half a character */
			at--;
		}
		memcpy(e.text + at, "…", 3);
		at += 3;
	}
	e.text[at] = '\0';
	return e;
}

int decoder_tell_place(struct decoder *d, const char *member)
{
	struct buffer *b = &d->r->error;

	/* A member of the request itself is named in the sentence. */
	if (!d->list && !d->within.depth && !strchr(member, '.'))
		return (int)d->r->status;
	buffer_puts(b, " (at ");
	if (d->list)
		buffer_printf(b, "%s[%" PRIu64 "]%s", d->list, d->index, member ? "." : "");
	if (member)
		buffer_puts(b, member);
	for (uint32_t i = 0; i < d->within.depth; i++)
		buffer_printf(b, "[%" PRIu64 "]", d->within.index[i]);
	buffer_puts(b, ")");
	return (int)d->r->status;
}

int decoder_wrong_kind(struct decoder *d, const char *member, const char *kind)
{
	const char *name = member ? member : d->list, *dot = strrchr(name, '.');

	return decoder_refuse(d, member,
			      "Unable to parse '%s': attempt to access JSON non-%s as %s",
			      dot ? dot + 1 : name, kind, kind);
}

/* Names */

bool decoder_is(const char *string, const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!string[i] || string[i] != name[i])
			return false;
	return !string[size];
}

int32_t decoder_find_port(const struct signature_port *ports, uint32_t n, const char *name,
			  size_t size)
{
	for (uint32_t i = 0; i < n; i++)
		if (decoder_is(ports[i].name, name, size))
			return (int32_t)i;
	return -1;
}

/* Members */

static int refuse_double(struct decoder *d, const char *member, const char *key)
{
	return decoder_refuse(d, member, "'%s' comes twice", key);
}

int decoder_pick(struct decoder *d, struct node n, const struct node_key *keys, size_t n_keys,
		 struct node *ret)
{
	const struct node_key *twice = node_pick(n, keys, n_keys, ret);

	return twice ? refuse_double(d, twice->text, twice->text) : 0;
}

/* Parameters */

struct parameter {
	const char *key;
	size_t size;
	struct node value;
};

/* "parameters.KEY" */
struct parameter_place {
	char text[sizeof("parameters.") + sizeof(struct echo)];
};

static struct parameter_place place_of(const struct parameter *p)
{
	struct parameter_place place;

	snprintf(place.text, sizeof(place.text), "parameters.%s",
		 decoder_echo(p->key, p->size).text);
	return place;
}

static int check_parameter(struct decoder *d, const struct parameter *p)
{
	static const char reserved[] = "triton_";

	switch (node_type(p->value)) {
	case NODE_BOOL:
	case NODE_NUMBER:
	case NODE_STRING:
		break;
	default:
		return decoder_refuse(d, place_of(p).text,
				      "parameter '%s' has invalid type. It should be either 'int', "
				      "'bool', or 'string'.",
				      decoder_echo(p->key, p->size).text);
	}
	if (p->size >= sizeof(reserved) - 1 && memcmp(p->key, reserved, sizeof(reserved) - 1) == 0)
		return decoder_refuse(d, place_of(p).text,
				      "parameter keys starting with 'triton_' are reserved for "
				      "Triton usage and should not be specified.");
	return 0;
}

static int keep_parameter(struct decoder *d, const struct parameter *p,
			  const struct node_key *keys, size_t n_keys, struct node *ret)
{
	for (size_t i = 0; i < n_keys; i++) {
		if (!node_is_key(&keys[i], p->key, p->size))
			continue;
		if (!node_is_absent(ret[i]))
			return refuse_double(d, place_of(p).text, keys[i].text);
		ret[i] = p->value;
	}
	return 0;
}

int decoder_parameters(struct decoder *d, struct node n, const struct node_key *keys,
		       size_t n_keys, struct node *ret)
{
	struct node_cursor c;
	struct parameter p;
	int r;

	memset(ret, 0, n_keys * sizeof(*ret));
	if (node_is_absent(n))
		return 0;
	if (node_type(n) != NODE_OBJECT)
		return decoder_wrong_kind(d, "parameters", "object");
	for (c = node_members(n); node_next_member(&c, &p.key, &p.size, &p.value);)
		if ((r = check_parameter(d, &p)) || (r = keep_parameter(d, &p, keys, n_keys, ret)))
			return r;
	return 0;
}

int decoder_refuse_shared_memory(struct decoder *d)
{
	infer_request_refuse(d->r, INFER_UNSUPPORTED,
			     "Client shared memory is not supported: send the tensors.");
	return decoder_tell_place(d, "parameters.shared_memory_region");
}
