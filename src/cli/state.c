/* SPDX-License-Identifier: MIT */

/*
 * Reads the checkpoint itself, so it needs no server. A state of at most 64 KiB is in there as the
 * last answered call left it; where calls come one upon the other, it is read until nothing came
 * between. A swap leaves it alone, for what it makes of it counts only once a call has ended on that; which
 * generation serves is asked of the history.
 */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/wrap.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "cli/state_file.h"
#include "cli/written.h"
#include "history/reader.h"
#include "serve/options.h"
#include "serve/style.h"

#define SHOWN 8 /* elements of an array, for people */
#define TRIES 50

struct state_options {
	const char *name, *root, *state_dir;
	unsigned replica, elements;
	bool before, json;
};

#define ROW(...) OPTION_ROW(state_options, __VA_ARGS__)

static const struct option_row rows[] = {
	ROW(replica, "replica", 'r', "N", UNSIGNED, "0", 0, 15, "that of the replica N, counted from 0"),
	ROW(elements, "elements", 'n', "N", UNSIGNED, NULL, 0, 1000000000,
	    "show N elements of each array (8; with --json all)"),
	ROW(before, "before", 0, NULL, BOOL, NULL, 0, 0, "as it was before its struct changed the last time"),
	ROW(json, "json", 0, NULL, BOOL, NULL, 0, 0, "print it as JSON"),
	ROW(root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0, "the directory of the deployments"),
	ROW(state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0, "what the server was given as --state-dir"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct state_options, name),
	  .missing = "the state of which deployment?" },
};

static const struct example examples[] = {
	{ "devserve state counter", "what it remembers, by the names of the struct" },
	{ "devserve state counter --json | jq .values.count", "one member" },
};

struct view {
	const struct state_options *o;
	uint32_t serving; /* generation, or that which did last; 0: not known */
	struct state_file file;
	struct buffer out;
};

/* JSON */

/* As the struct's member is called: the brackets of "items[].price" are in "extents"; free(). */
static char *plain_name(const struct layout_member *m)
{
	struct buffer b = BUFFER_NULL;

	buffer_puts(&b, "");
	for (const char *c = m->name; *c; c++) {
		if (strncmp(c, "[]", 2) == 0)
			c++;
		else
			buffer_putc(&b, *c);
	}
	return buffer_steal(&b);
}

static void describe_member(struct buffer *b, const struct layout_member *m)
{
	_cleanup_free_ char *name = plain_name(m);

	json_object(b, NULL);
	json_string(b, "name", name);
	json_string(b, "type", m->type);
	json_uint(b, m->offset % 8 || m->bits % 8 ? "bit_offset" : "offset",
		  m->offset % 8 || m->bits % 8 ? m->offset : m->offset / 8);
	json_uint(b, m->bits % 8 ? "bits" : "size", m->bits % 8 ? m->bits : m->bits / 8);
	json_array(b, "extents");
	for (unsigned i = 0; i < m->n_extents; i++)
		json_uint(b, NULL, m->extents[i].n);
	json_array_end(b);
	json_object_end(b);
}

static void put_values(struct view *v)
{
	const struct layout *l = v->file.layout;
	struct buffer *b = &v->out;

	json_object(b, "values");
	for (size_t i = 0; l && i < l->n_members; i++) {
		_cleanup_free_ char *name = plain_name(&l->members[i]);

		json_string(b, NULL, name);
		buffer_putc(b, ':');
		state_file_value(&v->file, &l->members[i], v->o->elements, b);
	}
	json_object_end(b);
	json_array(b, "members");
	for (size_t i = 0; l && i < l->n_members; i++)
		describe_member(b, &l->members[i]);
	json_array_end(b);
}

static void put_json(struct view *v)
{
	struct buffer *b = &v->out;

	json_object(b, NULL);
	json_string(b, "deployment", v->o->name);
	json_uint(b, "replica", v->o->replica);
	json_uint(b, "generation", v->file.checkpoint.generation);
	if (v->serving)
		json_uint(b, "serving", v->serving);
	json_uint(b, "size", v->file.checkpoint.size);
	json_uint(b, "version", v->file.checkpoint.version);
	json_uint(b, "checkpoints", v->file.checkpoint.sequence);
	json_bool(b, "known", v->file.layout != NULL);
	if (v->file.layout)
		json_string(b, "type", v->file.layout->name);
	put_values(v);
	json_object_end(b);
	buffer_putc(b, '\n');
}

/* For people */

static void put_cell(struct buffer *b, const char *text, size_t width)
{
	size_t columns = text_columns(text);

	style_harmless(b, text, strlen(text));
	for (; columns < width + 2; columns++)
		buffer_putc(b, ' ');
}

static void put_type(struct buffer *b, const struct layout_member *m)
{
	buffer_puts(b, m->type);
	for (unsigned i = 0; i < m->n_extents; i++)
		if (m->kind != LAYOUT_COMPLEX || i + 1 < m->n_extents)
			buffer_printf(b, "[%" PRIu64 "]", m->extents[i].n);
}

/* After each comma that isn't in a string. */
static void put_spaces(struct buffer *ret, const struct buffer *json)
{
	bool in_string = false;

	for (size_t i = 0; i < json->size; i++) {
		bool escaped = i && json->data[i - 1] == '\\';

		in_string ^= json->data[i] == '"' && !(in_string && escaped);
		buffer_putc(ret, json->data[i]);
		if (json->data[i] == ',' && !in_string)
			buffer_putc(ret, ' ');
	}
}

static void put_member(struct view *v, const struct layout_member *m, const char *type, size_t name_width,
		       size_t type_width)
{
	uint64_t at_most = v->o->elements ? v->o->elements : SHOWN;
	_cleanup_buffer_ struct buffer value = BUFFER_NULL, spaced = BUFFER_NULL;
	bool all = state_file_value(&v->file, m, at_most, &value);

	put_cell(&v->out, m->name[0] ? m->name : v->file.layout->name, name_width);
	put_cell(&v->out, type, type_width);
	put_spaces(&spaced, &value);
	style_harmless(&v->out, spaced.data, spaced.size);
	buffer_puts(&v->out, all ? "\n" : " …\n");
}

static void put_table(struct view *v)
{
	const struct layout *l = v->file.layout;
	size_t name_width = 0, type_width = 0;
	char **types = xcalloc(l->n_members + 1, sizeof(*types));

	for (size_t i = 0; i < l->n_members; i++) {
		struct buffer type = BUFFER_NULL;

		put_type(&type, &l->members[i]);
		types[i] = buffer_steal(&type);
		if (text_columns(l->members[i].name) > name_width)
			name_width = text_columns(l->members[i].name);
		if (text_columns(types[i]) > type_width)
			type_width = text_columns(types[i]);
	}
	for (size_t i = 0; i < l->n_members; i++) {
		put_member(v, &l->members[i], types[i], name_width, type_width);
		free(types[i]);
	}
	free(types);
}

static bool is_left_to_another(const struct view *v)
{
	uint32_t generation = v->file.checkpoint.generation;

	return !v->o->before && generation && v->serving && v->serving != generation;
}

static void put_page(struct view *v)
{
	struct buffer *b = &v->out;

	style_harmless(b, v->o->name, strlen(v->o->name));
	if (v->file.checkpoint.generation)
		buffer_printf(b, "  gen %" PRIu32, v->file.checkpoint.generation);
	if (v->o->replica)
		buffer_printf(b, "  replica %u", v->o->replica);
	buffer_printf(b, "  %" PRIu64 " bytes, version %" PRIu32 "\n", v->file.checkpoint.size,
		      v->file.checkpoint.version);
	if (is_left_to_another(v) && v->file.checkpoint.size <= CHECKPOINT_EVERY_BATCH)
		buffer_printf(b, "generation %" PRIu32 " has come to serve since, and no call has ended on it: this is what "
			      "was left to it\n", v->serving);
	else if (is_left_to_another(v)) /* calls may have ended on it */
		buffer_printf(b, "as of the last checkpoint, of generation %" PRIu32 "; generation %" PRIu32 " has come to serve "
			      "since\n", v->file.checkpoint.generation, v->serving);
	buffer_putc(b, '\n');
	if (v->file.layout)
		put_table(v);
	else
		buffer_puts(b, "Where its members lie isn't known: the image that wrote it was compiled without -g.\n");
}

/* Finding it */

static void take_serving(void *context, const struct history_serving *s)
{
	struct view *v = context;

	v->serving = s->generation;
}

/* Without a history it isn't told. */
static void ask_history(struct view *v, const char *directory)
{
	_cleanup_buffer_ struct buffer ignored = BUFFER_NULL;
	struct history_reader *reader = NULL;

	cli_await_history(v->o->root, v->o->state_dir);
	if (history_reader_open(directory, &reader, &ignored) == 0)
		history_reader_servings(reader, v->o->name, 1, take_serving, v, &ignored);
	history_reader_close(reader);
}

static int find_none(struct view *v, const char *directory, struct buffer *why)
{
	_cleanup_free_ char *states = xasprintf("%s/state/%s", directory, v->o->name);

	if (file_is_directory(states) && v->o->before)
		buffer_printf(why, "the struct of %s's state has not changed", v->o->name);
	else if (file_is_directory(states) && v->o->replica)
		buffer_printf(why, "%s has no replica %u that kept a state; the first is 0", v->o->name, v->o->replica);
	else if (names_root_has(v->o->root, v->o->name) || file_is_directory(states))
		buffer_printf(why, "%s keeps no state, or no call has ended yet that could have changed it", v->o->name);
	else
		names_refuse_in_root(v->o->root, v->o->name, why);
	return EXIT_FAILURE;
}

static int read_once(struct view *v, const char *path, struct buffer *why)
{
	int r = state_file_open(path, &v->file, why);

	if (r != 0)
		return r;
	buffer_reset(&v->out);
	if (v->o->json)
		put_json(v);
	else
		put_page(v);
	return 0;
}

static int show(struct view *v, const char *directory, const char *path, struct buffer *why)
{
	bool whole = false;

	ask_history(v, directory);
	for (unsigned i = 0; i < TRIES && !whole; i++) {
		int r = read_once(v, path, why);

		whole = r == 0 && state_file_is_whole(&v->file);
		state_file_close(&v->file);
		if (r != 0)
			return EXIT_FAILURE;
	}
	fwrite(v->out.data, 1, v->out.size, stdout);
	if (whole)
		return EXIT_SUCCESS;
	buffer_printf(why, "%s changed while it was read, again and again: members may be of different moments", v->o->name);
	return EXIT_FAILURE;
}

static int run(void *options)
{
	const struct state_options *o = options;
	_cleanup_free_ char *directory = state_directory(o->root, o->state_dir);
	_cleanup_free_ char *path = xasprintf("%s/state/%s/%u%s", directory, o->name, o->replica,
						    o->before ? ".before" : "");
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct view v = { .o = o, .file = STATE_FILE_NULL };
	int r = !strchr(o->name, '/') && file_exists(path) ? show(&v, directory, path, &why) : find_none(&v, directory, &why);

	buffer_fini(&v.out);
	return r == EXIT_SUCCESS ? r : cli_error(&why);
}

const struct command cli_state = {
	.name = "state",
	.help = "show the state that a deployment keeps",
	.about = "Show what the deployment NAME keeps in its state (devserve/ext/state.h), by the names of its struct, "
		 "as the last answered call left it, and by the struct that this one had: where a generation has come to "
		 "serve since, that is said. What is larger than 64 KiB is as it was at the last checkpoint. "
		 "No server is needed.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct state_options),
	.run = run,
};
