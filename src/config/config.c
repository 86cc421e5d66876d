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

struct text {
	const char *bytes;
	size_t size;
};

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
	int s = refuse_tags(r);

	if (s != 0 || is_empty(top))
		return s;
	if (top->type != YAML_MAPPING_NODE)
		return reader_mistake(r, top, "it must be a mapping: lines of `key: value`");
	return value_read_mapping(r, top, config_keys);
}

static void init_parser(yaml_parser_t *y, const struct text *text)
{
	yaml_parser_set_encoding(y, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(y, (const unsigned char *)text->bytes, text->size);
}

/* A document doesn't know them any more: there they are what they stand for. */
static int refuse_aliases(const struct text *text, unsigned *line, struct buffer *why)
{
	yaml_token_type_t type = YAML_NO_TOKEN;
	yaml_parser_t y;
	yaml_token_t token;

	if (!yaml_parser_initialize(&y))
		return -ENOMEM;
	init_parser(&y, text);
	while (type != YAML_ALIAS_TOKEN && type != YAML_STREAM_END_TOKEN && yaml_parser_scan(&y, &token)) {
		type = token.type;
		*line = (unsigned)token.start_mark.line + 1;
		yaml_token_delete(&token);
	}
	yaml_parser_delete(&y);
	if (type == YAML_ALIAS_TOKEN) {
		buffer_puts(why, "aliases (*name) can't be used here: write the value out");
		return 1;
	}
	*line = 0;
	return 0;
}

static unsigned line_of(const struct text *text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset && i < text->size; i++)
		line += text->bytes[i] == '\n';
	return line;
}

static int syntax(const yaml_parser_t *y, const struct text *text, unsigned *line, struct buffer *why)
{
	size_t at = y->problem_mark.line ? y->problem_mark.line : y->context_mark.line;

	*line = y->error == YAML_READER_ERROR ? line_of(text, y->problem_offset) : (unsigned)at + 1;
	buffer_printf(why, "%s%s%s", y->problem ? y->problem : "it isn't YAML", y->context ? " " : "",
		      y->context ? y->context : "");
	return 1;
}

static int refuse_second(yaml_parser_t *y, const struct text *text, unsigned *line, struct buffer *why)
{
	yaml_document_t more;
	bool there;

	if (!yaml_parser_load(y, &more))
		return syntax(y, text, line, why);
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

static int parse(const struct text *text, struct config *c, unsigned *line, struct buffer *why)
{
	yaml_document_t document;
	struct reader reader = { .document = &document, .config = c, .line = line, .why = why };
	yaml_parser_t y;
	int r;

	if (!yaml_parser_initialize(&y))
		return -ENOMEM;
	init_parser(&y, text);
	if (!yaml_parser_load(&y, &document)) {
		r = syntax(&y, text, line, why);
	} else {
		r = refuse_aliases(text, line, why);
		if (r == 0)
			r = read_document(&reader);
		yaml_document_delete(&document);
		if (r == 0)
			r = refuse_second(&y, text, line, why);
	}
	yaml_parser_delete(&y);
	return r;
}

void config_init(struct config *c)
{
	*c = (struct config){ .num_replicas = 1, .request_timeout_ms = 30000, .rtol = -1, .atol = -1 };
}

int config_parse(const char *bytes, size_t size, struct config *ret, unsigned *ret_line, struct buffer *why)
{
	const struct text text = { bytes, size };
	struct config c;
	int r = 1;

	config_init(&c);
	*ret_line = 0;
	if (size > MAX_SIZE)
		buffer_printf(why, "it is larger than %d KiB", MAX_SIZE / 1024);
	else
		r = parse(&text, &c, ret_line, why);
	if (r != 0)
		config_fini(&c);
	c.hash = hash_bytes(bytes, size);
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
	free_list(c->kernels);
	free(c->kernel_lines);
	free(c->cflag_lines);
	free(c->ldlib_lines);
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
