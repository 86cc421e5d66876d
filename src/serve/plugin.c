/* SPDX-License-Identifier: MIT */
#include "serve/plugin.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "serve/event.h"
#include "serve/plugin_name.h"
#include "serve/record.h"
#include "serve/save.h"
#include "serve/verdict_text.h"

static void plugin_remove(struct plugin *p);
static void tell_clash(struct plugin *p);
static void tell_misnamed_config(struct plugin *p);
static void rename_it(struct plugin *p, uint64_t since_ns);

struct hash plugin_fingerprint(struct hash source, const struct weights_set *weights, struct hash config)
{
	return plugin_config_mix(config, plugin_weights_mix(weights, source));
}

void plugin_checked(struct plugin *p, uint64_t since_ns, bool quiet)
{
	struct hash now;

	if (builder_fingerprint(p->plugins->builder, &p->recipe, &now) < 0)
		return; /* a file vanished, and its event is on the way */
	now = plugin_fingerprint(now, p->weights.newest, p->config.config.hash);
	if (!hash_equal(now, p->refused))
		p->accepting = false;
	if (hash_equal(now, p->attempted) && !p->rebuild && !p->accepting) {
		if (!quiet && !save_is_under_way(p))
			save_unchanged(p, since_ns);
		return;
	}
	p->attempted = now;
	save_start(p, since_ns);
}

static char *const *weights_of(const struct plugin *p)
{
	return p->config.weights ? p->config.weights : p->recipe.weights;
}

/* Since it was asked last. */
static bool has_changed(struct plugin *p)
{
	struct hash now;

	if (builder_fingerprint(p->plugins->builder, &p->recipe, &now) < 0)
		return false;
	now = plugin_config_mix(p->config.config.hash, now);
	if (hash_equal(now, p->attempted))
		return false;
	p->attempted = now;
	return true;
}

/* Its files were listed just now. */
static void check_content(struct plugin *p, uint64_t since_ns, bool quiet)
{
	if (file_is_directory(p->path))
		tell_misnamed_config(p);
	if (!p->deployment && has_changed(p))
		tell_clash(p);
	if (p->deployment && plugin_weights_look(p, weights_of(p), since_ns, quiet))
		plugin_checked(p, since_ns, quiet);
}

static void check(struct plugin *p, uint64_t since_ns, bool quiet)
{
	struct recipe recipe;

	if (!p->plugins->builder)
		return; /* the server ends */
	if (recipe_scan(p->name, p->path, &recipe) < 0) {
		if (file_is_directory(p->plugins->root))
			plugin_remove(p);
		return;
	}
	plugin_config_look(&p->config, &recipe);
	recipe_fini(&p->recipe);
	p->recipe = recipe;
	p->recipe.sanitize = p->sanitize;
	if (plugin_keeps_name(p))
		check_content(p, since_ns, quiet);
	else
		rename_it(p, since_ns);
}

void plugin_rebuild(struct plugin *p)
{
	p->crashed = p->aside = (struct hash){ .high = 0 };
	p->rebuild = true;
	check(p, clock_ns(), true);
}

void plugin_resume(struct plugin *p)
{
	if (!p->outcome || strcmp(p->outcome, "superseded") != 0 || save_is_under_way(p))
		return;
	p->attempted = (struct hash){ .high = 0 };
	check(p, clock_ns(), true);
}

void plugin_sanitize(struct plugin *p, bool yes)
{
	p->sanitize = yes;
	check(p, clock_ns(), true);
}

void plugin_keep(struct plugin *p)
{
	struct deployment_stats s;

	deployment_get_stats(p->deployment, &s);
	if (s.sanitized)
		return;
	p->kept = (struct record){ .generation = p->generation, .source = p->code.source,
				    .image = p->code.image, .device = p->code.device };
}

/* What was told of its speed was of a generation that doesn't serve now. */
static void forget_verdict(struct plugin *p)
{
	free(p->verdict);
	p->verdict = NULL;
}

void plugin_serves(struct plugin *p, uint32_t generation, const struct plugin_code *code,
		   struct weights_set *weights)
{
	p->generation = generation;
	if (generation > p->last_generation)
		p->last_generation = generation;
	p->code_before = p->code;
	p->code = *code;
	plugin_weights_serve(p, weights);
	plugin_keep(p);
	forget_verdict(p);
}

bool plugin_accept(struct plugin *p)
{
	bool begun;

	p->accepting = true;
	check(p, clock_ns(), true);
	begun = !LIST_EMPTY(&p->saves) && save_accepts(LIST_FIRST(&p->saves));
	p->accepting = false;
	return begun;
}

/* Coming and going */

static void insert(struct plugins *ps, struct plugin *p)
{
	struct plugin *at, *last = NULL;

	LIST_FOREACH(at, &ps->list, entry) {
		if (strcmp(at->path, p->path) > 0)
			break;
		last = at;
	}
	if (last)
		LIST_INSERT_AFTER(last, p, entry);
	else
		LIST_INSERT_HEAD(&ps->list, p, entry);
}

static void tell(const struct plugin *p, enum event_kind kind, const char *reason)
{
	events_emit(p->plugins->events, &(struct event){ .kind = kind,
							 .deployment = p->name,
							 .generation = p->generation,
							 .path = p->path,
							 .reason = reason });
}

static void tell_clash(struct plugin *p)
{
	free(p->clash);
	p->clash = plugin_clash(plugins_find(p->plugins, p->name), p->path, p->name);
	p->newest = ++p->plugins->n_builds;
	tell(p, EVENT_NOTICE, p->clash);
}

static void deploy_it(struct plugin *p, uint64_t since_ns)
{
	struct record record;
	int r = deployment_add(p->plugins->deploy, p->name, &p->deployment);

	if (r == -EEXIST) {
		has_changed(p);
		tell_clash(p);
		return;
	}
	if (r < 0) {
		tell(p, EVENT_NOTICE, strerror(-r));
		return;
	}
	p->attempted = (struct hash){ .high = 0 };
	free(p->clash);
	p->clash = NULL;
	record_read(p->plugins->state_dir, p->name, &record);
	p->last_generation = record.last;
	p->crashed = record.crashed;
	p->aside = record.aside;
	p->kept = record;
	deployment_set_last_generation(p->deployment, record.last);
	tell(p, EVENT_DEPLOYMENT_ADDED, NULL);
	check_content(p, since_ns, true);
}

/* Say it once for each path. */
static void tell_refused(struct plugins *ps, const char *path, const char *why)
{
	_cleanup_free_ char *sentence = xasprintf("%s %s", path, why);

	for (size_t i = 0; i < ps->n_refused; i++)
		if (strcmp(ps->refused[i], path) == 0)
			return;
	ps->refused = xrealloc(ps->refused, (ps->n_refused + 1) * sizeof(*ps->refused));
	ps->refused[ps->n_refused++] = xstrdup(path);
	events_emit(ps->events, &(struct event){ .kind = EVENT_NOTICE, .path = path, .reason = sentence });
}

static void tell_bad_name(struct plugins *ps, const char *path)
{
	tell_refused(ps, path, "is not served: a name is made of letters, digits, '_', '-' and '.', at most 64; "
		     "rename it, or give it a `name:` in its " CONFIG_FILE);
}

/* Other tools take either suffix. */
static void tell_misnamed_config(struct plugin *p)
{
	_cleanup_free_ char *path = path_join(p->path, CONFIG_FILE_MISNAMED);

	if (file_exists(path))
		tell_refused(p->plugins, path, "is not read: rename it to " CONFIG_FILE);
}

static void tell_misplaced_config(struct plugins *ps, const char *path)
{
	const char *name = path_name(path);

	if (strcmp(name, CONFIG_FILE) == 0 || strcmp(name, CONFIG_FILE_MISNAMED) == 0)
		tell_refused(ps, path, "is not read: a " CONFIG_FILE " lies in the directory of its deployment");
}

static bool is_asked_for(const struct plugins *ps, const char *name)
{
	for (size_t i = 0; i < ps->n_only; i++)
		if (strcmp(ps->only[i], name) == 0)
			return true;
	return !ps->n_only;
}

static void plugin_add(struct plugins *ps, const char *path, uint64_t since_ns)
{
	struct plugin_config config;
	_cleanup_free_ char *name = NULL;
	struct recipe recipe;
	struct plugin *p;

	if (recipe_scan(path_name(path), path, &recipe) < 0) {
		tell_misplaced_config(ps, path);
		return;
	}
	plugin_config_init(&config, path);
	plugin_config_look(&config, &recipe);
	name = plugin_first_name(ps, path, &config);
	if (!config_name_is_good(name) || !is_asked_for(ps, name)) {
		if (!config_name_is_good(name))
			tell_bad_name(ps, path);
		plugin_config_fini(&config);
		recipe_fini(&recipe);
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->plugins = ps;
	p->name = xstrdup(name);
	p->path = xstrdup(path);
	p->config = config;
	p->recipe = recipe;
	free(p->recipe.name);
	p->recipe.name = xstrdup(name);
	LIST_INIT(&p->saves);
	insert(ps, p);
	deploy_it(p, since_ns);
}

void plugin_write_record(struct plugin *p)
{
	struct record record = p->kept;
	const struct plugins *ps = p->plugins;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	int r;

	record.coming = (struct hash){ .high = 0 };
	record.last = p->last_generation + save_count_rolling(p, &record.coming);
	record.crashed = p->crashed;
	record.aside = p->aside;
	r = ps->keep_records ? record_write(ps->state_dir, p->name, &record) : 0;
	p->record_due = false;
	if (r == 0)
		return;
	buffer_printf(&sentence, "cannot keep its generation's number in %s: %s; after a restart it may be given again",
		      ps->state_dir, strerror(-r));
	tell(p, EVENT_NOTICE, sentence.data);
}

static void plugin_free(struct plugin *p)
{
	if (p->record_due)
		plugin_write_record(p);
	LIST_REMOVE(p, entry);
	plugin_config_fini(&p->config);
	plugin_weights_fini(p);
	recipe_fini(&p->recipe);
	free(p->reason);
	free(p->verdict);
	figures_fini(&p->kernels);
	plugin_loops_fini(p);
	free(p->clash);
	free(p->name);
	free(p->path);
	free(p);
}

static bool wants(const struct plugin *p, const char *name)
{
	return p->config.config.name && strcmp(p->config.config.name, name) == 0;
}

/* The name is free now: a plugin that was shut out by a clash gets it. */
static void admit_clashing(struct plugins *ps, const char *name)
{
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry) {
		if (!p->deployment && strcmp(p->name, name) == 0) {
			deploy_it(p, clock_ns());
			return;
		}
	}
	LIST_FOREACH(p, &ps->list, entry) {
		if (p->deployment && wants(p, name)) {
			rename_it(p, clock_ns());
			return;
		}
	}
}

static void plugin_remove(struct plugin *p)
{
	struct plugins *ps = p->plugins;
	_cleanup_free_ char *name = xstrdup(p->name);
	bool served = p->deployment != NULL;

	if (served) {
		deployment_stop_rolling(p->deployment);
		save_end_all(p, "the deployment was removed");
		deployment_remove(p->deployment);
		p->deployment = NULL;
		tell(p, EVENT_DEPLOYMENT_REMOVED, NULL);
	}
	p->outcome = "removed";
	free(p->clash);
	p->clash = NULL;
	ps->settled(ps->context, p);
	plugin_free(p);
	if (served)
		admit_clashing(ps, name);
}

/* To clients it is another deployment. */
static void rename_it(struct plugin *p, uint64_t since_ns)
{
	_cleanup_free_ char *path = xstrdup(p->path);
	struct plugins *ps = p->plugins;

	plugin_remove(p);
	plugin_add(ps, path, since_ns);
}

void plugins_write_records(struct plugins *ps)
{
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry)
		if (p->record_due)
			plugin_write_record(p);
}

struct plugin *plugins_find(const struct plugins *ps, const char *name)
{
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry)
		if (p->deployment && strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const struct plugin *plugins_find_refused(const struct plugins *ps, const char *name)
{
	const struct plugin *p, *newest = plugins_find(ps, name);

	LIST_FOREACH(p, &ps->list, entry)
		if (strcmp(p->name, name) == 0 && (!newest || p->newest > newest->newest))
			newest = p;
	return newest && !newest->deployment && newest->clash ? newest : NULL;
}

static struct plugin *find_by_path(struct plugins *ps, const char *path)
{
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

void plugins_fell_back(struct plugins *ps, const char *name, uint32_t from, uint32_t to, const char *why)
{
	struct plugin *p = plugins_find(ps, name);

	if (!p)
		return;
	p->crashed = p->code.source;
	p->code = p->code_before;
	p->generation = to;
	plugin_keep(p);
	forget_verdict(p);
	p->record_due = true;
	p->outcome = "crashed";
	free(p->reason);
	p->reason = xasprintf("generation %u %s", from, why);
	deployment_set_stale(p->deployment, "crashed");
	events_emit(ps->events, &(struct event){ .kind = EVENT_DEPLOYMENT_FELL_BACK, .deployment = name,
						 .generation = to, .from = from, .reason = why });
	ps->settled(ps->context, p);
}

void plugins_judged(struct plugins *ps, const struct deploy_verdict *v)
{
	struct plugin *p = plugins_find(ps, v->name);
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	if (!p)
		return;
	json_object(&json, NULL);
	json_uint(&json, "from", v->from);
	verdict_json(v, &json);
	json_object_end(&json);
	free(p->verdict);
	p->verdict = buffer_steal(&json);
	events_emit(ps->events, &(struct event){ .kind = EVENT_VERDICT, .deployment = v->name,
						 .generation = v->generation, .from = v->from, .verdict = v,
						 .reason = v->reason, .took_ns = v->took_ns });
}

void plugins_count(const struct plugins *ps, unsigned *ret, unsigned *ret_serving)
{
	unsigned n = 0, serving = 0;
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry) {
		n++;
		serving += p->deployment && deployment_handle(p->deployment)->state == HANDLE_READY;
	}
	*ret = n;
	*ret_serving = serving;
}

bool plugins_ready(const struct plugins *ps)
{
	struct plugin *p;

	if (!ps->scanned)
		return false;
	LIST_FOREACH(p, &ps->list, entry)
		if (p->deployment && !p->tried)
			return false;
	return true;
}

/* Changes */

static bool is_candidate(const char *path)
{
	const char *name = path_name(path);

	return name[0] != '.' && name[0] != '_' && name[0] != '\0';
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_root(const char *root, char ***ret)
{
	DIR *d = opendir(root);
	struct dirent *e;
	char **paths = NULL;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		if (!is_candidate(e->d_name))
			continue;
		paths = xrealloc(paths, (n + 1) * sizeof(*paths));
		paths[n++] = path_join(root, e->d_name);
	}
	if (d)
		closedir(d);
	if (n)
		qsort(paths, n, sizeof(*paths), compare_names);
	*ret = paths;
	return n;
}

static bool touches(const struct plugin *p, const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path_is_below(paths[i], p->path) || path_is_below(p->path, paths[i]) ||
		    builder_depends(p->plugins->builder, &p->recipe, paths[i]))
			return true;
	return false;
}

static void append(char ***list, size_t *n, const char *path)
{
	*list = xrealloc(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = xstrdup(path);
}

/* Checking one may remove it, or bring in another: so by path, from a list made before. */
static void check_listed(struct plugins *ps, char **paths, size_t n, uint64_t since_ns, bool quiet)
{
	for (size_t i = 0; i < n; i++) {
		struct plugin *p = find_by_path(ps, paths[i]);

		if (p)
			check(p, since_ns, quiet);
		free(paths[i]);
	}
	free(paths);
}

static size_t list_touched(struct plugins *ps, const char *const *paths, size_t n, char ***ret)
{
	struct plugin *p;
	char **touched = NULL;
	size_t n_touched = 0;

	LIST_FOREACH(p, &ps->list, entry)
		if (touches(p, paths, n))
			append(&touched, &n_touched, p->path);
	*ret = touched;
	return n_touched;
}

void plugins_scan(struct plugins *ps, uint64_t since_ns)
{
	char **paths, **known;
	size_t n, n_known;

	if (!ps->builder)
		return; /* the server ends */
	if (!file_is_directory(ps->root))
		return; /* gone or moved: watch tells, and asks again when it is back */
	n = list_root(ps->root, &paths);
	n_known = list_touched(ps, &ps->root, 1, &known);
	check_listed(ps, known, n_known, since_ns, true);
	for (size_t i = 0; i < n; i++) {
		if (!find_by_path(ps, paths[i]))
			plugin_add(ps, paths[i], since_ns);
		free(paths[i]);
	}
	free(paths);
	ps->scanned = true;
}

/* The child of the root that @path is or lies in; free(). NULL: the root itself. */
static char *child_of_root(const struct plugins *ps, const char *path)
{
	size_t n = strlen(ps->root);
	const char *end;

	if (!path_is_below(path, ps->root) || path[n] != '/')
		return NULL;
	end = strchr(path + n + 1, '/');
	return end ? xstrndup(path, (size_t)(end - path)) : xstrdup(path);
}

void plugins_changed(struct plugins *ps, const char *const *paths, size_t n, uint64_t since_ns)
{
	char **touched;
	size_t n_touched = list_touched(ps, paths, n, &touched);

	check_listed(ps, touched, n_touched, since_ns, false);
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *child = child_of_root(ps, paths[i]);

		if (child && is_candidate(child) && !find_by_path(ps, child))
			plugin_add(ps, child, since_ns);
	}
}

void plugins_check(struct plugins *ps, const char *name)
{
	struct plugin *p;
	char **named = NULL;
	size_t n = 0;

	LIST_FOREACH(p, &ps->list, entry)
		if (strcmp(p->name, name) == 0)
			append(&named, &n, p->path);
	if (n)
		check_listed(ps, named, n, clock_ns(), true);
	else
		plugins_scan(ps, clock_ns());
}

void plugins_free(struct plugins *ps)
{
	ps->builder = NULL;
	while (ps->n_refused)
		free(ps->refused[--ps->n_refused]);
	free(ps->refused);
	while (!LIST_EMPTY(&ps->list)) {
		struct plugin *p = LIST_FIRST(&ps->list);

		if (p->deployment)
			deployment_stop_rolling(p->deployment);
		save_forget_all(p);
		plugin_free(p);
	}
}
