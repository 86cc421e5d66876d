/* SPDX-License-Identifier: MIT */

/*
 * On libyaml's documents and not on a schema of libcyaml: a sentence needs the line of the very
 * key, and `user_config` may be anything (ARCHITECTURE.md has what was tried). Aliases are
 * refused: nothing here needs them, and a few lines of them unfold to gigabytes.
 */

#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "config/key.h"
#include "config/reader.h"
#include "config/scalar.h"
#include "config/value.h"

enum { MAX_SIZE = 64 * 1024 };

/* Each node has one parent, unless an alias gave it another. */
static int refuse_aliases(struct reader *r)
{
	yaml_document_t *d = r->document;
	size_t n = (size_t)(d->nodes.top - d->nodes.start), references = 1;

	for (yaml_node_t *node = d->nodes.start; node < d->nodes.top; node++) {
		if (node->type == YAML_SEQUENCE_NODE)
			references += (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
		if (node->type == YAML_MAPPING_NODE)
			references += 2 * (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	}
	if (references == n)
		return 0;
	buffer_puts(r->why, "aliases (*name) can't be used here: write the value out");
	return 1;
}

/* Whatever a tag makes of a value, it is no longer what the table says. */
static int refuse_tags(struct reader *r)
{
	static const char *const usual[] = {
		[YAML_SCALAR_NODE] = YAML_DEFAULT_SCALAR_TAG,
		[YAML_SEQUENCE_NODE] = YAML_DEFAULT_SEQUENCE_TAG,
		[YAML_MAPPING_NODE] = YAML_DEFAULT_MAPPING_TAG,
	};

	for (yaml_node_t *n = r->document->nodes.start; n < r->document->nodes.top; n++)
		if (strcmp((const char *)n->tag, usual[n->type]) != 0)
			return reader_mistake(r, n, "tags (%.64s) can't be used here", (const char *)n->tag);
	return 0;
}

static bool is_empty(const yaml_node_t *top)
{
	double number;

	return !top || (reader_is_plain(top) && reader_text(top) &&
			scalar_resolve(reader_text(top), &number) == SCALAR_NULL);
}

static int read_document(struct reader *r)
{
	const yaml_node_t *top = yaml_document_get_root_node(r->document);
	int s = top ? refuse_aliases(r) : 0;

	if (s == 0)
		s = refuse_tags(r);
	if (s != 0 || is_empty(top))
		return s;
	if (top->type != YAML_MAPPING_NODE)
		return reader_mistake(r, top, "it must be a mapping: lines of `key: value`");
	return value_read_mapping(r, top, config_keys);
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
	struct reader reader = { .document = &document, .config = c, .line = line, .why = why };
	yaml_parser_t y;
	int r;

	if (!yaml_parser_initialize(&y))
		return -ENOMEM;
	yaml_parser_set_encoding(&y, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y, (const unsigned char *)text, size);
	if (!yaml_parser_load(&y, &document)) {
		r = syntax(&y, line, why);
	} else {
		r = read_document(&reader);
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

	return n > 0 && n <= KEY_MAX_NAME && name[0] != '.' && name[0] != '-' && strspn(name, letters) == n;
}
