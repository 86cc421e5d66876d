/* SPDX-License-Identifier: MIT */

/*
 * Not getopt_long(): it takes any unambiguous prefix for an option, so that a new option
 * breaks a script that never used it, and its messages can't suggest anything.
 *
 * The command line is read first and marks what it has set; the environment and then the
 * defaults fill what isn't marked. So nothing is set twice, and a value in the environment
 * that a flag overrides may be nonsense.
 */

#include "serve/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "ingress/allowed.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

static const struct option_row server_rows[] = {
#define OPTION(field, name, letter, argument, kind, fallback, min, max, help) \
	{ name, letter, argument, OPTION_##kind, fallback, min, max, help,    \
	  offsetof(struct options, field) },
#include "serve/options.def"
#undef OPTION
};

const struct command server_command = {
	.name = "devserve",
	.synopsis = "[OPTION]... [ROOT]",
	.about = "Build the deployments in ROOT (" OPTIONS_DEFAULT_ROOT "), serve them over the Open\n"
		 "Inference Protocol, and swap the new code in on every save.",
	.examples = "  devserve                      serve ./plugins on http://127.0.0.1:8000\n"
		    "  devserve ./kernels --port 0   serve ./kernels on a free port\n",
	.rows = server_rows,
	.n_rows = ARRAY_SIZE(server_rows),
	.operand = "ROOT",
	.operand_offset = offsetof(struct options, root),
};

struct parser {
	const struct command *command;
	int argc, at; /* @at: of the next word */
	char **argv;
	void *ret;
	struct buffer *why;
	uint64_t seen; /* rows that are set, a bit each */
	bool action;
};

/* Values */

static unsigned shift_of(char suffix)
{
	static const char suffixes[] = "KMGT";
	const char *at = suffix ? strchr(suffixes, toupper((unsigned char)suffix)) : NULL;

	return at ? 10 * (unsigned)(at - suffixes + 1) : 0;
}

static bool read_number(const char *text, bool bytes, uint64_t *ret)
{
	unsigned long long n;
	unsigned shift;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	shift = bytes ? shift_of(*end) : 0;
	if (errno || end[shift ? 1 : 0] != '\0' || n > UINT64_MAX >> shift)
		return false;
	*ret = (uint64_t)n << shift;
	return true;
}

static bool read_bool(const char *text, bool *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true", "0", "1", "off", "on" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i % 2;
			return true;
		}
	}
	return false;
}

static void put_size(struct buffer *b, uint64_t n)
{
	static const char *const suffixes[] = { "", "K", "M", "G", "T" };
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(suffixes) && n && n % 1024 == 0) {
		n /= 1024;
		i++;
	}
	buffer_printf(b, "%llu%s", (unsigned long long)n, suffixes[i]);
}

static int refuse_value(const struct option_row *row, const char *source, const char *text,
			struct buffer *why)
{
	buffer_printf(why, "%s takes ", source);
	if (row->kind == OPTION_BOOL) {
		buffer_puts(why, "yes or no");
	} else if (row->kind == OPTION_BYTES) {
		buffer_puts(why, "a size from ");
		put_size(why, row->min);
		buffer_puts(why, " to ");
		put_size(why, row->max);
	} else {
		buffer_printf(why, "a number from %llu to %llu", (unsigned long long)row->min,
			      (unsigned long long)row->max);
	}
	buffer_printf(why, ", not '%s'", text);
	return EXIT_USAGE;
}

/* @source is what a message calls the option: "--port", "DEVSERVE_PORT". */
static int assign(const struct option_row *row, const char *source, const char *text, void *ret,
		  struct buffer *why)
{
	void *field = (char *)ret + row->offset;
	uint64_t number = 0;
	bool fine = true;

	if (row->kind == OPTION_STRING)
		*(const char **)field = text;
	else if (row->kind == OPTION_BOOL || row->kind == OPTION_ACTION)
		fine = read_bool(text, field);
	else
		fine = read_number(text, row->kind == OPTION_BYTES, &number) &&
		       number >= row->min && number <= row->max;
	if (!fine)
		return refuse_value(row, source, text, why);
	if (row->kind == OPTION_UNSIGNED)
		*(unsigned *)field = (unsigned)number;
	if (row->kind == OPTION_BYTES)
		*(uint64_t *)field = number;
	return 0;
}

/* The command line */

static int take(struct parser *p, const struct option_row *row, const char *source,
		const char *value)
{
	if (!value && !row->argument)
		value = "yes";
	if (!value && p->at < p->argc)
		value = p->argv[p->at++];
	if (!value || !*value) {
		buffer_printf(p->why, "%s needs a value: %s %s", source, source, row->argument);
		return EXIT_USAGE;
	}
	p->seen |= UINT64_C(1) << (row - p->command->rows);
	p->action |= row->kind == OPTION_ACTION;
	return assign(row, source, value, p->ret, p->why);
}

static int refuse_long(struct parser *p, const char *name)
{
	struct suggestion s = { .word = name };

	for (size_t i = 0; i < p->command->n_rows; i++)
		suggestion_consider(&s, p->command->rows[i].name);
	buffer_printf(p->why, "there is no option --%s", name);
	if (s.best)
		buffer_printf(p->why, "; did you mean --%s?", s.best);
	return EXIT_USAGE;
}

static int parse_long(struct parser *p, const char *word)
{
	const char *equals = strchr(word, '=');
	_cleanup_free_ char *name = xstrndup(word, equals ? (size_t)(equals - word) : strlen(word));
	_cleanup_free_ char *source = xasprintf("--%s", name);

	for (size_t i = 0; i < p->command->n_rows; i++)
		if (strcmp(p->command->rows[i].name, name) == 0)
			return take(p, &p->command->rows[i], source, equals ? equals + 1 : NULL);
	return refuse_long(p, name);
}

/* "-j4" and "-j 4"; letters are not joined: there are too few of them. */
static int parse_short(struct parser *p, const char *word)
{
	const char source[] = { '-', word[0], '\0' };

	for (size_t i = 0; i < p->command->n_rows; i++) {
		const struct option_row *row = &p->command->rows[i];

		if (row->letter == word[0] && (row->argument || !word[1]))
			return take(p, row, source, word[1] ? word + 1 : NULL);
	}
	buffer_printf(p->why, "there is no option -%s", word);
	return EXIT_USAGE;
}

static int parse_operand(struct parser *p, const char *word)
{
	const char **field = (const char **)(void *)((char *)p->ret + p->command->operand_offset);

	if (!p->command->operand) {
		buffer_printf(p->why, "'%s' is one argument too many", word);
		return EXIT_USAGE;
	}
	if (*field) {
		buffer_printf(p->why, "one %s is taken, not both '%s' and '%s'", p->command->operand,
			      *field, word);
		return EXIT_USAGE;
	}
	*field = word;
	return 0;
}

static int parse_words(struct parser *p)
{
	bool options_ended = false;
	int r = 0;

	while (r == 0 && p->at < p->argc && !p->action) {
		const char *word = p->argv[p->at++];

		if (options_ended || word[0] != '-' || !word[1])
			r = parse_operand(p, word);
		else if (strcmp(word, "--") == 0)
			options_ended = true;
		else if (word[1] == '-')
			r = parse_long(p, word + 2);
		else
			r = parse_short(p, word + 1);
	}
	return r;
}

/* What the command line left open */

static char *variable_of(const struct option_row *row)
{
	char *name = xasprintf("DEVSERVE_%s", row->name);

	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	return name;
}

static int fill(const struct option_row *row, void *ret, struct buffer *why)
{
	_cleanup_free_ char *variable = variable_of(row);
	const char *value = row->kind == OPTION_ACTION ? NULL : getenv(variable);

	if (value && *value)
		return assign(row, variable, value, ret, why);
	return row->fallback ? assign(row, "the default", row->fallback, ret, why) : 0;
}

int command_parse(const struct command *c, int argc, char **argv, void *ret, struct buffer *why)
{
	struct parser p = {
		.command = c, .argc = argc, .at = 1, .argv = argv, .ret = ret, .why = why,
	};
	int r = parse_words(&p);

	for (size_t i = 0; i < c->n_rows && r == 0 && !p.action; i++)
		if (!(p.seen >> i & 1))
			r = fill(&c->rows[i], ret, why);
	return r;
}

int options_parse(const struct command *c, int argc, char **argv, struct options *ret,
		  struct buffer *why)
{
	int r = command_parse(c, argc, argv, ret, why);

	if (!ret->root)
		ret->root = OPTIONS_DEFAULT_ROOT;
	if (ret->max_body > ret->max_memory)
		ret->max_body = ret->max_memory; /* it could never be held */
	if (r == 0 && (allowed_check_hosts(ret->allow_host, why) < 0 ||
		       allowed_check_origins(ret->allow_origin, why) < 0))
		r = EXIT_USAGE;
	return r;
}

int options_check_root(const struct options *o, struct buffer *why)
{
	if (file_is_directory(o->root))
		return 0;
	if (file_exists(o->root)) {
		buffer_printf(why, "%s is not a directory; name the directory that it is in", o->root);
		return -ENOTDIR;
	}
	buffer_printf(why, "there is no directory %s; 'devserve new NAME --root %s' makes a first deployment",
		      o->root, o->root);
	return -ENOENT;
}

/* Help */

static void put_row(const struct option_row *row, struct buffer *ret)
{
	size_t start = ret->size;

	if (row->letter)
		buffer_printf(ret, "  -%c, --%s", row->letter, row->name);
	else
		buffer_printf(ret, "      --%s", row->name);
	if (row->argument)
		buffer_printf(ret, " %s", row->argument);
	buffer_printf(ret, "%*s%s", (int)(start + 27 - ret->size), "", row->help);
	if (row->fallback)
		buffer_printf(ret, " (%s)", row->fallback);
	buffer_putc(ret, '\n');
}

void command_help(const struct command *c, struct buffer *ret)
{
	buffer_printf(ret, "Usage: %s %s\n\n%s\n", c->name, c->synopsis, c->about);
	if (c->examples)
		buffer_printf(ret, "\nExamples:\n%s", c->examples);
	buffer_puts(ret, "\nOptions:\n");
	for (size_t i = 0; i < c->n_rows; i++)
		put_row(&c->rows[i], ret);
}

/* The state directory */

/* NULL: there is no place for it. */
static char *cache_directory(const char *root)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	_cleanup_free_ char *real = realpath(root, NULL);
	const char *path = real ? real : root;
	char id[HASH_TEXT_SIZE];

	hash_text(hash_bytes(path, strlen(path)), id);
	if (cache && cache[0] == '/')
		return xasprintf("%s/devserve/%s-%.8s", cache, path_name(path), id);
	if (home && home[0] == '/')
		return xasprintf("%s/.cache/devserve/%s-%.8s", home, path_name(path), id);
	return NULL;
}

char *state_directory(const char *root, const char *state_dir)
{
	char *inside, *cache;

	if (state_dir)
		return xstrdup(state_dir);
	inside = path_join(root, ".devserve");
	if (access(inside, W_OK) == 0 || (!file_exists(inside) && access(root, W_OK) == 0))
		return inside;
	cache = cache_directory(root);
	if (!cache)
		return inside;
	free(inside);
	return cache;
}
