/* SPDX-License-Identifier: MIT */

/*
 * On libyaml's documents and not on a schema (libcyaml): a sentence needs the line of the very
 * key, and `user_config` may be anything, which a schema cannot say. Aliases are refused:
 * nothing here needs them, and a few lines of them unfold to gigabytes.
 */

#include "config/config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/suggestion.h"

enum { MAX_SIZE = 64 * 1024, MAX_DEPTH = 32, MAX_LIST = 1024 };

struct parse {
	yaml_document_t *document;
	struct config *config;
	const char *key; /* whose value is read */
	unsigned *line;
	struct buffer *why;
};

static int mistake(struct parse *p, const yaml_node_t *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int mistake(struct parse *p, const yaml_node_t *at, const char *format, ...)
{
	va_list args;

	*p->line = (unsigned)at->start_mark.line + 1;
	va_start(args, format);
	buffer_vprintf(p->why, format, args);
	va_end(args);
	return 1;
}

/* Values */

static const char *text_of(const yaml_node_t *n)
{
	const char *text = (const char *)n->data.scalar.value;

	return n->type == YAML_SCALAR_NODE && strlen(text) == n->data.scalar.length ? text : NULL;
}

static bool is_plain(const yaml_node_t *n)
{
	return n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static int read_name(struct parse *p, const yaml_node_t *n, void *ret)
{
	const char *text = text_of(n);

	if (!text || !config_name_is_good(text))
		return mistake(p, n, "%s: a name is made of letters, digits, '_', '-' and '.', at most 64",
			       p->key);
	*(char **)ret = xstrdup(text);
	return 0;
}

static int read_list(struct parse *p, const yaml_node_t *n, void *ret)
{
	const yaml_node_item_t *first, *top;
	char **list;
	size_t size = 0;

	if (n->type != YAML_SEQUENCE_NODE)
		return mistake(p, n, "%s must be a list, as in %s: [a, b]", p->key, p->key);
	first = n->data.sequence.items.start;
	top = n->data.sequence.items.top;
	if (top - first > MAX_LIST)
		return mistake(p, n, "%s: more than %d", p->key, MAX_LIST);
	list = xcalloc((size_t)(top - first) + 1, sizeof(*list));
	*(char ***)ret = list; /* config_fini() frees it, also half filled */
	for (const yaml_node_item_t *i = first; i < top; i++) {
		const yaml_node_t *item = yaml_document_get_node(p->document, *i);
		const char *text = text_of(item);

		if (!text || !*text)
			return mistake(p, item, "%s: each must be a text that isn't empty", p->key);
		list[size++] = xstrdup(text);
	}
	return 0;
}

static int read_sources(struct parse *p, const yaml_node_t *n, void *ret)
{
	p->config->sources_line = (unsigned)n->start_mark.line + 1;
	return read_list(p, n, ret);
}

static int read_unsigned(struct parse *p, const yaml_node_t *n, unsigned min, unsigned max, unsigned *ret)
{
	const char *text = is_plain(n) ? text_of(n) : NULL;
	char *end = NULL;
	unsigned long value = 0;

	errno = 0;
	if (text && *text >= '0' && *text <= '9')
		value = strtoul(text, &end, 10);
	if (!end || *end || errno || value < min || value > max)
		return mistake(p, n, "%s must be a whole number from %u to %u", p->key, min, max);
	*ret = (unsigned)value;
	return 0;
}

static int read_replicas(struct parse *p, const yaml_node_t *n, void *ret)
{
	return read_unsigned(p, n, 1, 16, ret);
}

static int read_ongoing(struct parse *p, const yaml_node_t *n, void *ret)
{
	return read_unsigned(p, n, 1, 1000000, ret);
}

static int read_timeout(struct parse *p, const yaml_node_t *n, void *ret)
{
	const char *text = is_plain(n) ? text_of(n) : NULL;
	char *end = NULL;
	double seconds = 0;

	if (text && *text >= '0' && *text <= '9' && strspn(text, "0123456789.eE+-") == strlen(text))
		seconds = strtod(text, &end);
	if (!end || *end || !(seconds >= 0.001 && seconds <= 86400))
		return mistake(p, n, "%s must be a number of seconds from 0.001 to 86400", p->key);
	*(unsigned *)ret = (unsigned)lround(seconds * 1000);
	return 0;
}

static int read_bool(struct parse *p, const yaml_node_t *n, void *ret)
{
	const char *text = is_plain(n) ? text_of(n) : NULL;

	if (!text || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
		return mistake(p, n, "%s must be true or false", p->key);
	*(bool *)ret = *text == 't';
	return 0;
}

/* Anything, as JSON */

static bool is_json_number(const char *s)
{
	s += *s == '-';
	if (*s == '0' ? s[1] >= '0' && s[1] <= '9' : *s < '1' || *s > '9')
		return false;
	s += strspn(s, "0123456789");
	if (*s == '.') {
		size_t n = strspn(s + 1, "0123456789");

		if (!n)
			return false;
		s += 1 + n;
	}
	if (*s == 'e' || *s == 'E') {
		size_t n;

		s += 1 + (s[1] == '+' || s[1] == '-');
		n = strspn(s, "0123456789");
		if (!n)
			return false;
		s += n;
	}
	return !*s;
}

static int scalar_to_json(struct parse *p, const yaml_node_t *n, const char *key, struct buffer *json)
{
	const char *text = text_of(n);

	if (!text)
		return mistake(p, n, "%s has a NUL in it", p->key);
	if (!is_plain(n))
		json_string(json, key, text);
	else if (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
		json_string(json, key, NULL);
	else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		json_bool(json, key, *text == 't');
	else if (is_json_number(text))
		json_raw(json, key, text);
	else
		json_string(json, key, text);
	return 0;
}

static int to_json(struct parse *p, const yaml_node_t *n, const char *key, unsigned depth, struct buffer *json);

static int items_to_json(struct parse *p, const yaml_node_t *n, const char *key, unsigned depth,
			 struct buffer *json)
{
	int r = 0;

	json_array(json, key);
	for (const yaml_node_item_t *i = n->data.sequence.items.start;
	     r == 0 && i < n->data.sequence.items.top; i++)
		r = to_json(p, yaml_document_get_node(p->document, *i), NULL, depth + 1, json);
	json_array_end(json);
	return r;
}

static int pairs_to_json(struct parse *p, const yaml_node_t *n, const char *key, unsigned depth,
			 struct buffer *json)
{
	int r = 0;

	json_object(json, key);
	for (const yaml_node_pair_t *i = n->data.mapping.pairs.start;
	     r == 0 && i < n->data.mapping.pairs.top; i++) {
		const yaml_node_t *name = yaml_document_get_node(p->document, i->key);
		const char *text = text_of(name);

		if (!text || strpbrk(text, "\"\\\b\f\n\r\t")) /* json_object() takes keys as they are */
			r = mistake(p, name, "%s: a key must be a plain text", p->key);
		else
			r = to_json(p, yaml_document_get_node(p->document, i->value), text, depth + 1, json);
	}
	json_object_end(json);
	return r;
}

static int to_json(struct parse *p, const yaml_node_t *n, const char *key, unsigned depth, struct buffer *json)
{
	if (depth > MAX_DEPTH)
		return mistake(p, n, "%s is nested more than %d deep", p->key, MAX_DEPTH);
	if (n->type == YAML_SEQUENCE_NODE)
		return items_to_json(p, n, key, depth, json);
	if (n->type == YAML_MAPPING_NODE)
		return pairs_to_json(p, n, key, depth, json);
	return scalar_to_json(p, n, key, json);
}

static int read_any(struct parse *p, const yaml_node_t *n, void *ret)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	int r = to_json(p, n, NULL, 0, &json);

	if (r == 0)
		*(char **)ret = buffer_steal(&json);
	return r;
}

/* Keys */

struct key {
	const char *name;
	int (*read)(struct parse *p, const yaml_node_t *n, void *ret);
	size_t offset;
};

#define KEY(name, read, field) { name, read, offsetof(struct config, field) }

static int read_state(struct parse *p, const yaml_node_t *n, void *ret);

static int read_checkpoint(struct parse *p, const yaml_node_t *n, void *ret)
{
	return read_unsigned(p, n, 1, 3600000, ret);
}

static const struct key keys[] = {
	KEY("name", read_name, name),
	KEY("cflags", read_list, cflags),
	KEY("ldlibs", read_list, ldlibs),
	KEY("sources", read_sources, sources),
	KEY("num_replicas", read_replicas, num_replicas),
	KEY("max_ongoing_requests", read_ongoing, max_ongoing_requests),
	KEY("request_timeout_s", read_timeout, request_timeout_ms),
	KEY("idempotent", read_bool, idempotent),
	KEY("state", read_state, checkpoint_ms),
	KEY("weights", read_list, weights),
	KEY("replay", read_any, replay),
	KEY("user_config", read_any, user_config),
};

static const struct key state_keys[] = {
	KEY("checkpoint_ms", read_checkpoint, checkpoint_ms),
};

static const struct key *find_key(const struct key *among, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(among[i].name, name) == 0)
			return &among[i];
	return NULL;
}

static int unknown_key(struct parse *p, const yaml_node_t *at, const struct key *among, size_t n)
{
	const char *text = text_of(at);
	struct suggestion s = { .word = text };

	if (!text)
		return mistake(p, at, "a key must be a text");
	for (size_t i = 0; i < n; i++)
		suggestion_consider(&s, among[i].name);
	mistake(p, at, "unknown key '%.64s'", text);
	if (s.best) {
		buffer_printf(p->why, "; did you mean '%s'?", s.best);
		return 1;
	}
	buffer_puts(p->why, "; there are:");
	for (size_t i = 0; i < n; i++)
		buffer_printf(p->why, " %s", among[i].name);
	return 1;
}

static int read_mapping(struct parse *p, const yaml_node_t *m, const struct key *among, size_t n)
{
	unsigned long seen = 0;
	int r = 0;

	for (const yaml_node_pair_t *i = m->data.mapping.pairs.start; r == 0 && i < m->data.mapping.pairs.top; i++) {
		const yaml_node_t *name = yaml_document_get_node(p->document, i->key);
		const char *text = text_of(name);
		const struct key *k = text ? find_key(among, n, text) : NULL;

		if (!k)
			return unknown_key(p, name, among, n);
		if (seen & 1UL << (k - among))
			return mistake(p, name, "'%s' is there twice", k->name);
		seen |= 1UL << (k - among);
		p->key = k->name;
		r = k->read(p, yaml_document_get_node(p->document, i->value), (char *)p->config + k->offset);
	}
	return r;
}

static int read_state(struct parse *p, const yaml_node_t *n, void *ret)
{
	(void)ret;
	if (n->type != YAML_MAPPING_NODE)
		return mistake(p, n, "state must be a mapping, as in state: {checkpoint_ms: 100}");
	return read_mapping(p, n, state_keys, ARRAY_SIZE(state_keys));
}

/* The file */

/* Each node has one parent, unless an alias gave it another. */
static int refuse_aliases(struct parse *p)
{
	yaml_document_t *d = p->document;
	size_t n = (size_t)(d->nodes.top - d->nodes.start), references = 1;

	for (yaml_node_t *node = d->nodes.start; node < d->nodes.top; node++) {
		if (node->type == YAML_SEQUENCE_NODE)
			references += (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
		if (node->type == YAML_MAPPING_NODE)
			references += 2 * (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	}
	if (references == n)
		return 0;
	buffer_puts(p->why, "aliases (*name) can't be used here: write the value out");
	return 1;
}

static int read_document(struct parse *p)
{
	const yaml_node_t *top = yaml_document_get_root_node(p->document);
	int r;

	if (!top || (is_plain(top) && !top->data.scalar.length))
		return 0;
	r = refuse_aliases(p);
	if (r != 0)
		return r;
	if (top->type != YAML_MAPPING_NODE)
		return mistake(p, top, "it must be a mapping: lines of `key: value`");
	return read_mapping(p, top, keys, ARRAY_SIZE(keys));
}

static int syntax(const yaml_parser_t *y, unsigned *line, struct buffer *why)
{
	size_t at = y->problem_mark.line ? y->problem_mark.line : y->context_mark.line;

	*line = y->error == YAML_READER_ERROR ? 0 : (unsigned)at + 1;
	buffer_printf(why, "%s%s%s", y->problem ? y->problem : "it isn't YAML", y->context ? " " : "",
		      y->context ? y->context : "");
	return 1;
}

static int refuse_second(yaml_parser_t *y, unsigned *line, struct buffer *why)
{
	yaml_document_t more;
	bool there;

	if (!yaml_parser_load(y, &more))
		return syntax(y, line, why);
	there = yaml_document_get_root_node(&more);
	*line = (unsigned)more.start_mark.line + 1;
	yaml_document_delete(&more);
	if (!there) {
		*line = 0;
		return 0;
	}
	buffer_puts(why, "a second document begins here; there can be but one");
	return 1;
}

static int parse(const char *text, size_t size, struct config *c, unsigned *line, struct buffer *why)
{
	yaml_document_t document;
	struct parse p = { .document = &document, .config = c, .line = line, .why = why };
	yaml_parser_t y;
	int r;

	if (!yaml_parser_initialize(&y))
		return -ENOMEM;
	yaml_parser_set_encoding(&y, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y, (const unsigned char *)text, size);
	if (!yaml_parser_load(&y, &document)) {
		r = syntax(&y, line, why);
	} else {
		r = read_document(&p);
		yaml_document_delete(&document);
		if (r == 0)
			r = refuse_second(&y, line, why);
	}
	yaml_parser_delete(&y);
	return r;
}

void config_init(struct config *c)
{
	*c = (struct config){ .num_replicas = 1, .request_timeout_ms = 30000 };
}

int config_parse(const char *text, size_t size, struct config *ret, unsigned *ret_line, struct buffer *why)
{
	struct config c;
	int r = 1;

	config_init(&c);
	*ret_line = 0;
	if (size > MAX_SIZE)
		buffer_printf(why, "it is larger than %d KiB", MAX_SIZE / 1024);
	else
		r = parse(text, size, &c, ret_line, why);
	if (r != 0)
		config_fini(&c);
	c.hash = hash_bytes(text, size);
	*ret = c;
	return r;
}

int config_read(const char *path, struct config *ret, unsigned *ret_line, struct buffer *why)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct stat st;
	int r = stat(path, &st) < 0 ? -errno : 0;

	config_init(ret);
	*ret_line = 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EISDIR;
	if (r == 0 && st.st_size > MAX_SIZE) {
		ret->hash = hash_bytes(&st.st_size, sizeof(st.st_size));
		buffer_printf(why, "it is larger than %d KiB", MAX_SIZE / 1024);
		return 1;
	}
	if (r == 0)
		r = file_read(path, &text);
	if (r == 0)
		return config_parse(buffer_text(&text), text.size, ret, ret_line, why);
	ret->hash = hash_bytes(&r, sizeof(r));
	buffer_printf(why, "it can't be read: %s", strerror(-r));
	return 1;
}

static void free_list(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

void config_fini(struct config *c)
{
	free(c->name);
	free_list(c->cflags);
	free_list(c->ldlibs);
	free_list(c->sources);
	free_list(c->weights);
	free(c->replay);
	free(c->user_config);
	config_init(c);
}

bool config_name_is_good(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t n = strlen(name);

	return n > 0 && n <= 64 && name[0] != '.' && name[0] != '-' && strspn(name, letters) == n;
}
