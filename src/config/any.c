/* SPDX-License-Identifier: MIT */
#include "config/any.h"

#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "config/scalar.h"

enum { MAX_DEPTH = 32 };

static int put(struct reader *r, const yaml_node_t *n, const char *key, unsigned depth, struct buffer *json);

static int put_number(struct reader *r, const yaml_node_t *n, const char *key, double number,
		      struct buffer *json)
{
	const char *text = reader_text(n);
	char digits[32];

	if (scalar_is_json_number(text)) {
		json_raw(json, key, text);
		return 0;
	}
	if (!isfinite(number))
		return reader_mistake(r, n, "%s: JSON has no number %.64s; quotes make it a text", r->key, text);
	snprintf(digits, sizeof(digits), "%.17g", number);
	json_raw(json, key, digits);
	return 0;
}

static int put_scalar(struct reader *r, const yaml_node_t *n, const char *key, struct buffer *json)
{
	const char *text = reader_text(n);
	double number = 0;

	switch (text && reader_is_plain(n) ? scalar_resolve(text, &number) : SCALAR_TEXT) {
	case SCALAR_NULL:
		json_string(json, key, NULL);
		return 0;
	case SCALAR_BOOL:
		json_bool(json, key, number);
		return 0;
	case SCALAR_NUMBER:
		return put_number(r, n, key, number, json);
	default:
		json_string_n(json, key, (const char *)n->data.scalar.value, n->data.scalar.length);
		return 0;
	}
}

static int put_items(struct reader *r, const yaml_node_t *n, const char *key, unsigned depth,
		     struct buffer *json)
{
	int s = 0;

	json_array(json, key);
	for (const yaml_node_item_t *i = n->data.sequence.items.start; s == 0 && i < n->data.sequence.items.top; i++)
		s = put(r, reader_node(r, *i), NULL, depth + 1, json);
	json_array_end(json);
	return s;
}

/* json_object() and the like take keys as they are. */
static char *escaped(const char *text)
{
	struct buffer quoted = BUFFER_NULL;

	json_string(&quoted, NULL, text);
	quoted.data[quoted.size - 1] = '\0';
	memmove(quoted.data, quoted.data + 1, quoted.size - 1);
	return buffer_steal(&quoted);
}

static int put_pair(struct reader *r, const yaml_node_pair_t *pair, unsigned depth, struct buffer *json)
{
	const yaml_node_t *name = reader_node(r, pair->key);
	const char *text = reader_text(name);
	_cleanup_free_ char *key = text ? escaped(text) : NULL;

	if (!text)
		return reader_mistake(r, name, "%s: a key must be a text", r->key);
	return put(r, reader_node(r, pair->value), key, depth + 1, json);
}

static int put_pairs(struct reader *r, const yaml_node_t *n, const char *key, unsigned depth,
		     struct buffer *json)
{
	int s = 0;

	json_object(json, key);
	for (const yaml_node_pair_t *i = n->data.mapping.pairs.start; s == 0 && i < n->data.mapping.pairs.top; i++)
		s = put_pair(r, i, depth, json);
	json_object_end(json);
	return s;
}

static int put(struct reader *r, const yaml_node_t *n, const char *key, unsigned depth, struct buffer *json)
{
	if (depth > MAX_DEPTH)
		return reader_mistake(r, n, "%s is nested more than %d deep", r->key, MAX_DEPTH);
	if (n->type == YAML_SEQUENCE_NODE)
		return put_items(r, n, key, depth, json);
	if (n->type == YAML_MAPPING_NODE)
		return put_pairs(r, n, key, depth, json);
	return put_scalar(r, n, key, json);
}

int any_read(struct reader *r, const yaml_node_t *n, char **ret)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	int s = put(r, n, NULL, 0, &json);

	if (s == 0)
		*ret = buffer_steal(&json);
	return s;
}
