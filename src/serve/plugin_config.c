/* SPDX-License-Identifier: MIT */
#include "serve/plugin_config.h"

#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/flags.h"

static void free_list(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

void plugin_config_init(struct plugin_config *c, const char *plugin)
{
	*c = (struct plugin_config){ .path = NULL };
	config_init(&c->config);
	if (file_is_directory(plugin))
		c->path = path_join(plugin, CONFIG_FILE);
}

void plugin_config_fini(struct plugin_config *c)
{
	config_fini(&c->config);
	free_list(c->weights);
	free(c->path);
	free(c->mistake);
	*c = (struct plugin_config){ .path = NULL };
}

static void set_mistake(struct plugin_config *c, unsigned line, struct buffer *why)
{
	free(c->mistake);
	c->mistake = buffer_steal(why);
	c->line = line;
}

static bool matches(const struct recipe *r, const char *source, const char *pattern)
{
	if (strncmp(pattern, "./", 2) == 0)
		pattern += 2;
	return fnmatch(pattern, source + strlen(r->path) + 1, FNM_PATHNAME | FNM_PERIOD) == 0;
}

static bool matches_any(const struct recipe *r, const char *source, char *const *patterns)
{
	for (; *patterns; patterns++)
		if (matches(r, source, *patterns))
			return true;
	return false;
}

/* The first pattern that is of no source; NULL: none. */
static const char *find_idle(const struct recipe *r, char *const *patterns)
{
	for (; *patterns; patterns++) {
		size_t i = 0;

		while (i < r->n_sources && !matches(r, r->sources[i], *patterns))
			i++;
		if (i == r->n_sources)
			return *patterns;
	}
	return NULL;
}

static void restrict_sources(struct recipe *r, char *const *patterns)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n_sources; i++) {
		char *source = r->sources[i];

		if (matches_any(r, source, patterns))
			r->sources[kept++] = source;
		else
			free(source);
	}
	r->sources[kept] = NULL;
	r->n_sources = kept;
}

static char **copy_list(char *const *list)
{
	char **copy;
	size_t n = 0;

	if (!list)
		return NULL;
	while (list[n])
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

static void check_sources(struct plugin_config *c, const struct recipe *r, struct buffer *why)
{
	char *const *patterns = c->config.sources;
	const char *idle = patterns ? find_idle(r, patterns) : NULL;

	if (patterns && !*patterns)
		buffer_puts(why, "sources: an empty list leaves nothing to build; leave it out to build all");
	else if (idle)
		buffer_printf(why, "sources: no source in this directory is '%s'", idle);
	if (why->size)
		set_mistake(c, c->config.sources_line, why);
}

/* Their runtimes must be in a process before anything else is; that of `undefined` need not. */
static bool wants_runtime(const char *flag)
{
	return strncmp(flag, "-fsanitize=", 11) == 0 &&
	       (strstr(flag, "address") || strstr(flag, "thread") || strstr(flag, "memory") || strstr(flag, "leak"));
}

static void check_cflags(struct plugin_config *c, struct buffer *why)
{
	_cleanup_buffer_ struct buffer said = BUFFER_NULL;
	ssize_t at = flags_find_mistake(c->config.cflags, &said);

	for (size_t i = 0; at < 0 && c->config.cflags && c->config.cflags[i]; i++)
		if (wants_runtime(c->config.cflags[i])) {
			at = (ssize_t)i;
			buffer_printf(&said, "%s needs a program of its own, for a plugin is loaded into a worker "
				      "that runs; -fsanitize=undefined works", c->config.cflags[i]);
		}
	if (at < 0)
		return;
	buffer_printf(why, "cflags: %s", buffer_text(&said));
	set_mistake(c, c->config.cflag_lines[at], why);
}

static void check_weights(struct plugin_config *c, const char *directory, struct buffer *why)
{
	for (char **path = c->weights; path && *path && !why->size; path++)
		if (access(*path, F_OK) != 0)
			buffer_printf(why, "weights: there is no file %s",
				      path_is_below(*path, directory) ? *path + strlen(directory) + 1 : *path);
	if (why->size)
		set_mistake(c, c->config.weights_line, why);
}

static void take_over(struct plugin_config *c, struct config *read)
{
	config_fini(&c->config);
	c->config = *read;
	free(c->mistake);
	c->mistake = NULL;
}

/* @directory and "/", nothing of which is special to glob(). */
static void quote(const char *directory, struct buffer *ret)
{
	for (const char *s = directory; *s; s++) {
		if (strchr("*?[\\", *s))
			buffer_putc(ret, '\\');
		buffer_putc(ret, *s);
	}
	buffer_putc(ret, '/');
}

static void append(char ***list, size_t *n, char *path)
{
	*list = xrealloc(*list, (*n + 2) * sizeof(**list));
	(*list)[(*n)++] = path;
	(*list)[*n] = NULL;
}

/* What nothing matches stays as it is, so that it is missed by name. */
static void expand(const char *directory, const char *pattern, char ***list, size_t *n)
{
	_cleanup_buffer_ struct buffer whole = BUFFER_NULL;
	glob_t found = { .gl_pathc = 0 };

	if (*pattern != '/')
		quote(directory, &whole);
	buffer_puts(&whole, pattern);
	if (glob(whole.data, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			append(list, n, xstrdup(found.gl_pathv[i]));
	else
		append(list, n, *pattern == '/' ? xstrdup(pattern) : path_join(directory, pattern));
	globfree(&found);
}

static char **list_weights(const char *directory, char *const *patterns)
{
	char **list = NULL;
	size_t n = 0;

	if (patterns && !*patterns)
		return xcalloc(1, sizeof(*list));
	for (; patterns && *patterns; patterns++)
		expand(directory, *patterns, &list, &n);
	return list;
}

static unsigned *copy_lines(char *const *list, const unsigned *lines)
{
	unsigned *copy;
	size_t n = 0;

	while (list && list[n])
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = lines[i];
	return copy;
}

void plugin_config_look(struct plugin_config *c, struct recipe *recipe)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct config read;
	unsigned line;

	if (!c->path)
		return;
	if (config_read(c->path, &read, &line, &why) == 0) {
		take_over(c, &read);
		check_sources(c, recipe, &why);
		if (!c->mistake)
			check_cflags(c, &why);
	} else {
		set_mistake(c, line, &why);
		c->config.hash = read.hash;
		config_fini(&read);
	}
	free_list(c->weights);
	c->weights = list_weights(recipe->path, c->config.weights);
	if (!c->mistake)
		check_weights(c, recipe->path, &why);
	if (c->mistake) /* that goes is a change, whatever mends it */
		c->config.hash = plugin_config_mix(c->config.hash, hash_bytes(c->mistake, strlen(c->mistake)));
	recipe->cflags = copy_list(c->config.cflags);
	recipe->cflag_lines = copy_lines(c->config.cflags, c->config.cflag_lines);
	recipe->ldlibs = copy_list(c->config.ldlibs);
	recipe->ldlib_lines = copy_lines(c->config.ldlibs, c->config.ldlib_lines);
	recipe->kernels = copy_list(c->config.kernels);
	recipe->kernel_lines = copy_lines(c->config.kernels, c->config.kernel_lines);
	if (c->config.sources && !find_idle(recipe, c->config.sources) && *c->config.sources)
		restrict_sources(recipe, c->config.sources);
}

void plugin_config_refuse_name(struct plugin_config *c, const char *why)
{
	if (c->mistake)
		return;
	c->mistake = xstrdup(why);
	c->line = c->config.name_line;
}

struct hash plugin_config_mix(struct hash config, struct hash source)
{
	const struct hash none = { 0 };
	struct hash both[2] = { source, config };

	return hash_equal(config, none) ? source : hash_bytes(both, sizeof(both));
}

struct hash plugin_config_libraries(const struct config *c)
{
	struct hash_state *h = hash_state_new();

	for (char *const *l = c->ldlibs; l && *l; l++)
		hash_state_add_string(h, *l);
	return hash_state_end(h);
}

void plugin_config_settings(const struct config *c, enum deployment_gate gate, struct deployment_settings *ret)
{
	*ret = DEPLOYMENT_SETTINGS_DEFAULT;
	ret->num_replicas = c->num_replicas;
	ret->max_ongoing_requests = c->max_ongoing_requests;
	ret->request_timeout_ms = c->request_timeout_ms;
	ret->idempotent = c->idempotent;
	ret->checkpoint_ms = c->checkpoint_ms;
	ret->rtol = c->rtol;
	ret->atol = c->atol;
	ret->gate = c->gate ? (enum deployment_gate)(c->gate - 1) : gate;
}
