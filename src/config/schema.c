/* SPDX-License-Identifier: MIT */
#include "config/schema.h"

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "config/key.h"

static void put_keys(struct buffer *b, struct keys keys);

static void put_type(struct buffer *b, const char *type)
{
	json_string(b, "type", type);
}

static void put_name(struct buffer *b)
{
	_cleanup_free_ char *pattern = xasprintf("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,%d}$(?!\\n)", KEY_MAX_NAME - 1);

	put_type(b, "string");
	json_string(b, "pattern", pattern);
}

static void put_choices(struct buffer *b, const struct key *k)
{
	json_array(b, "enum");
	for (size_t i = 0; k->choices[i]; i++)
		json_string(b, NULL, k->choices[i]);
	json_array_end(b);
}

static void put_texts(struct buffer *b, const char *pattern)
{
	put_type(b, "array");
	json_int(b, "maxItems", KEY_MAX_TEXTS);
	json_object(b, "items");
	put_type(b, "string");
	json_string(b, "pattern", pattern);
	json_object_end(b);
}

static void put_kind(struct buffer *b, const struct key *k)
{
	switch (k->kind) {
	case KEY_NAME:
		put_name(b);
		break;
	case KEY_CHOICE:
		put_choices(b, k);
		break;
	case KEY_TEXTS:
		put_texts(b, "^[^\\u0000]+$");
		break;
	case KEY_LINES:
		put_texts(b, "^[^\\u0000-\\u001f]+$(?!\\n)");
		break;
	case KEY_WHOLE:
		put_type(b, "integer");
		json_int(b, "minimum", (int64_t)k->min);
		json_int(b, "maximum", (int64_t)k->max);
		break;
	case KEY_SECONDS:
	case KEY_NUMBER:
		put_type(b, "number");
		json_double(b, "minimum", k->min);
		json_double(b, "maximum", k->max);
		break;
	case KEY_BOOL:
		put_type(b, "boolean");
		break;
	case KEY_MAPPING:
		put_type(b, "object");
		put_keys(b, k->keys);
		break;
	case KEY_ANY:
		break;
	}
}

static void put_key(struct buffer *b, const struct key *k)
{
	json_object(b, k->name);
	json_string(b, "description", k->help);
	put_kind(b, k);
	if (k->fallback)
		json_raw(b, "default", k->fallback);
	if (k->example) {
		json_array(b, "examples");
		json_raw(b, NULL, k->example);
		json_array_end(b);
	}
	json_object_end(b);
}

static void put_keys(struct buffer *b, struct keys keys)
{
	json_bool(b, "additionalProperties", false);
	json_object(b, "properties");
	for (size_t i = 0; i < keys.n; i++)
		put_key(b, &keys.rows[i]);
	json_object_end(b);
}

void schema_write(struct buffer *b)
{
	json_object(b, NULL);
	json_string(b, "$schema", "http://json-schema.org/draft-07/schema#");
	json_string(b, "title", "deployment.yaml of devserve");
	json_array(b, "type");
	json_string(b, NULL, "object");
	json_string(b, NULL, "null"); /* an empty file */
	json_array_end(b);
	put_keys(b, config_keys);
	json_object_end(b);
}
