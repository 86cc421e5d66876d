/* SPDX-License-Identifier: MIT */
#include "config/value.h"

#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "config/any.h"
#include "config/config.h"
#include "config/scalar.h"

static enum scalar resolve(const yaml_node_t *n, double *ret)
{
	const char *text = reader_text(n);

	return text && reader_is_plain(n) ? scalar_resolve(text, ret) : SCALAR_TEXT;
}

static int read_name(struct reader *r, const yaml_node_t *n, char **ret)
{
	const char *text = reader_text(n);
	double number;

	if (text && resolve(n, &number) == SCALAR_NUMBER)
		return reader_mistake(r, n, "%s: %.64s is a number; quotes make it a text", r->key, text);
	if (!text || resolve(n, &number) != SCALAR_TEXT || !config_name_is_good(text))
		return reader_mistake(r, n, "%s: a name is made of letters, digits, '_', '-' and '.', at most %d",
				      r->key, KEY_MAX_NAME);
	*ret = xstrdup(text);
	return 0;
}

static int read_text(struct reader *r, const yaml_node_t *n, char **ret)
{
	const char *text = reader_text(n);
	double number;

	if (!text || !*text)
		return reader_mistake(r, n, "%s: each must be a text that isn't empty", r->key);
	if (resolve(n, &number) != SCALAR_TEXT)
		return reader_mistake(r, n, "%s: %.64s is no text; quotes make it one", r->key, text);
	*ret = xstrdup(text);
	return 0;
}

static int read_texts(struct reader *r, const yaml_node_t *n, char ***ret)
{
	const yaml_node_item_t *first, *top;
	int s = 0;

	if (n->type != YAML_SEQUENCE_NODE)
		return reader_mistake(r, n, "%s must be a list, as in %s: [a, b]", r->key, r->key);
	first = n->data.sequence.items.start;
	top = n->data.sequence.items.top;
	if (top - first > KEY_MAX_TEXTS)
		return reader_mistake(r, n, "%s: more than %d", r->key, KEY_MAX_TEXTS);
	*ret = xcalloc((size_t)(top - first) + 1, sizeof(**ret)); /* config_fini() frees it, half filled too */
	for (const yaml_node_item_t *i = first; s == 0 && i < top; i++)
		s = read_text(r, reader_node(r, *i), &(*ret)[i - first]);
	return s;
}

static int read_lines(struct reader *r, const yaml_node_t *n, char ***ret)
{
	int s = read_texts(r, n, ret);

	for (char **line = *ret; s == 0 && *line; line++)
		for (const char *c = *line; s == 0 && *c; c++)
			if ((unsigned char)*c < ' ')
				s = reader_mistake(r, n, "%s: each must be one line without tabs", r->key);
	return s;
}

static int read_whole(struct reader *r, const yaml_node_t *n, const struct key *k, unsigned *ret)
{
	double number = 0;

	if (resolve(n, &number) != SCALAR_NUMBER || number != floor(number) || number < k->min ||
	    number > k->max)
		return reader_mistake(r, n, "%s must be a whole number from %.0f to %.0f", k->name, k->min, k->max);
	*ret = (unsigned)number;
	return 0;
}

static int read_seconds(struct reader *r, const yaml_node_t *n, const struct key *k, unsigned *ret_ms)
{
	double number = 0;

	if (resolve(n, &number) != SCALAR_NUMBER || !(number >= k->min && number <= k->max))
		return reader_mistake(r, n, "%s must be a number of seconds from %g to %g", k->name, k->min, k->max);
	*ret_ms = (unsigned)lround(number * 1000);
	return 0;
}

static int read_number(struct reader *r, const yaml_node_t *n, const struct key *k, double *ret)
{
	double number = 0;

	if (resolve(n, &number) != SCALAR_NUMBER || !(number >= k->min && number <= k->max))
		return reader_mistake(r, n, "%s must be a number from %g to %g", k->name, k->min, k->max);
	*ret = number;
	return 0;
}

static int read_bool(struct reader *r, const yaml_node_t *n, bool *ret)
{
	double number = 0;

	if (resolve(n, &number) != SCALAR_BOOL)
		return reader_mistake(r, n, "%s must be true or false", r->key);
	*ret = number;
	return 0;
}

static int read_choice(struct reader *r, const yaml_node_t *n, const struct key *k, unsigned *ret)
{
	const char *text = reader_text(n);

	for (unsigned i = 0; text && k->choices[i]; i++) {
		if (strcmp(text, k->choices[i]) == 0) {
			*ret = i + 1;
			return 0;
		}
	}
	reader_mistake(r, n, "%s must be one of:", k->name);
	for (unsigned i = 0; k->choices[i]; i++)
		buffer_printf(r->why, " %s", k->choices[i]);
	return 1;
}

static int read_nested(struct reader *r, const yaml_node_t *n, const struct key *k)
{
	if (n->type != YAML_MAPPING_NODE)
		return reader_mistake(r, n, "%s must be a mapping, as in %s: %s", k->name, k->name, k->example);
	return value_read_mapping(r, n, k->keys);
}

static int read_value(struct reader *r, const yaml_node_t *n, const struct key *k)
{
	void *field = (char *)r->config + k->offset;

	switch (k->kind) {
	case KEY_NAME:
		return read_name(r, n, field);
	case KEY_CHOICE:
		return read_choice(r, n, k, field);
	case KEY_TEXTS:
		return read_texts(r, n, field);
	case KEY_LINES:
		return read_lines(r, n, field);
	case KEY_WHOLE:
		return read_whole(r, n, k, field);
	case KEY_SECONDS:
		return read_seconds(r, n, k, field);
	case KEY_NUMBER:
		return read_number(r, n, k, field);
	case KEY_BOOL:
		return read_bool(r, n, field);
	case KEY_MAPPING:
		return read_nested(r, n, k);
	case KEY_ANY:
		return any_read(r, n, field);
	}
	return 0;
}

/* Keys */

static int unknown_key(struct reader *r, const yaml_node_t *at, struct keys keys)
{
	const char *text = reader_text(at);
	struct suggestion s = { .word = text };

	if (!text)
		return reader_mistake(r, at, "a key must be a text");
	for (size_t i = 0; i < keys.n; i++)
		suggestion_consider(&s, keys.rows[i].name);
	reader_mistake(r, at, "unknown key '%.64s'", text);
	if (s.best) {
		buffer_printf(r->why, "; did you mean '%s'?", s.best);
		return 1;
	}
	buffer_puts(r->why, "; there are:");
	for (size_t i = 0; i < keys.n; i++)
		buffer_printf(r->why, " %s", keys.rows[i].name);
	return 1;
}

/* Of what can be wrong although it reads well. */
static void note_line(struct config *c, const struct key *k, unsigned line)
{
	if (k->kind == KEY_NAME)
		c->name_line = line;
	else if (k->offset == offsetof(struct config, sources))
		c->sources_line = line;
	else if (k->offset == offsetof(struct config, weights))
		c->weights_line = line;
}

/* Of each item of a list, which is long where it is written one below the other. */
static unsigned *item_lines(const struct reader *r, const yaml_node_t *list)
{
	const yaml_node_item_t *first = list->data.sequence.items.start;
	size_t n = (size_t)(list->data.sequence.items.top - first);
	unsigned *lines = xcalloc(n + 1, sizeof(*lines));

	for (size_t i = 0; i < n; i++)
		lines[i] = (unsigned)reader_node(r, first[i])->start_mark.line + 1;
	return lines;
}

static int read_pair(struct reader *r, const yaml_node_pair_t *pair, struct keys keys, uint64_t *seen)
{
	const yaml_node_t *name = reader_node(r, pair->key), *value = reader_node(r, pair->value);
	const char *text = reader_text(name);
	const struct key *k = text ? key_find(keys, text) : NULL;
	int s;

	if (!k)
		return unknown_key(r, name, keys);
	if (*seen & UINT64_C(1) << (k - keys.rows))
		return reader_mistake(r, name, "'%s' is there twice", k->name);
	*seen |= UINT64_C(1) << (k - keys.rows);
	r->key = k->name;
	note_line(r->config, k, (unsigned)value->start_mark.line + 1);
	s = read_value(r, value, k);
	if (s == 0 && k->offset == offsetof(struct config, kernels))
		r->config->kernel_lines = item_lines(r, value);
	if (s == 0 && k->offset == offsetof(struct config, cflags))
		r->config->cflag_lines = item_lines(r, value);
	if (s == 0 && k->offset == offsetof(struct config, ldlibs))
		r->config->ldlib_lines = item_lines(r, value);
	return s;
}

int value_read_mapping(struct reader *r, const yaml_node_t *mapping, struct keys keys)
{
	uint64_t seen = 0;
	int s = 0;

	for (const yaml_node_pair_t *i = mapping->data.mapping.pairs.start;
	     s == 0 && i < mapping->data.mapping.pairs.top; i++)
		s = read_pair(r, i, keys, &seen);
	return s;
}
