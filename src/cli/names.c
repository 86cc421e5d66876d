/* SPDX-License-Identifier: MIT */
#include "cli/names.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "build/language.h"
#include "cli/client.h"
#include "cli/json_reader.h"

#define DEEPEST 8 /* directories in which a source is looked for */
#define TIMEOUT_MS 2000

/* Of a directory */

static bool is_ignored(const char *name)
{
	return strchr("._", name[0]) != NULL;
}

/* Whether it is a source, or has one at any depth. */
static bool has_source(const char *path, unsigned depth)
{
	DIR *d = depth ? opendir(path) : NULL;
	bool found = !d && language_of(path) != LANGUAGE_NONE;
	struct dirent *e;

	while (d && !found && (e = readdir(d))) {
		_cleanup_free_ char *below = path_join(path, e->d_name);

		found = !is_ignored(e->d_name) && has_source(below, depth - 1);
	}
	if (d)
		closedir(d);
	return found;
}

static void offer(const char *root, const char *entry, name_fn on_name, void *context)
{
	_cleanup_free_ char *path = path_join(root, entry);
	_cleanup_free_ char *stem = xstrndup(entry, (size_t)(path_suffix(entry) - entry));

	if (!is_ignored(entry) && has_source(path, DEEPEST))
		on_name(context, file_is_directory(path) ? entry : stem);
}

void names_of_root(const char *root, name_fn on_name, void *context)
{
	DIR *d = opendir(root);
	struct dirent *e;

	while (d && (e = readdir(d)))
		offer(root, e->d_name, on_name, context);
	if (d)
		closedir(d);
}

struct wanted {
	const char *name;
	bool found;
};

static void compare(void *context, const char *name)
{
	struct wanted *w = context;

	w->found |= strcmp(name, w->name) == 0;
}

bool names_root_has(const char *root, const char *name)
{
	struct wanted w = { .name = name };

	names_of_root(root, compare, &w);
	return w.found;
}

/* Of a name that nothing has */

struct guess {
	struct suggestion s;
	char *best; /* ours, since names go while we look on */
};

static void consider(void *context, const char *name)
{
	struct guess *g = context;

	suggestion_consider(&g->s, name);
	if (g->s.best != name)
		return;
	free(g->best);
	g->s.best = g->best = xstrdup(name);
}

static void refuse(struct guess *g, const char *hint, struct buffer *why)
{
	if (g->best)
		buffer_printf(why, "; did you mean '%s'?", g->best);
	else
		buffer_puts(why, hint);
	free(g->best);
}

/* Without the token there is no suggestion. */
static void consider_those_of_server(const struct client *c, struct guess *g)
{
	_cleanup_buffer_ struct buffer body = BUFFER_NULL, ignored = BUFFER_NULL;
	struct json_reader *r = NULL;
	int status;

	if (client_get(c, "/-/status", TIMEOUT_MS, &status, &body, &ignored) != 0 ||
	    json_reader_new(buffer_text(&body), body.size, &r) < 0)
		return;
	for (size_t i = 0; i < json_reader_count(r, "/deployments"); i++) {
		const char *name = json_reader_string(r, "/deployments/%zu/name", i);

		if (name)
			consider(g, name);
	}
	json_reader_free(r);
}

void names_refuse(const struct client *c, const char *name, struct buffer *why)
{
	struct guess g = { .s.word = name };

	consider_those_of_server(c, &g);
	buffer_printf(why, "there is no deployment '%s'", name);
	refuse(&g, "; 'devserve status' lists them", why);
}

void names_refuse_in_root(const char *root, const char *name, struct buffer *why)
{
	struct guess g = { .s.word = name };

	names_of_root(root, consider, &g);
	buffer_printf(why, "there is no deployment '%s' in %s", name, root);
	refuse(&g, "", why);
}
