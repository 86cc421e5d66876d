/* SPDX-License-Identifier: MIT */
#include "serve/plugin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "serve/event.h"
#include "serve/plugin_name.h"
#include "serve/record.h"
#include "serve/save.h"

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

void plugin_check(struct plugin *p, uint64_t since_ns, bool quiet)
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
	plugin_check(p, clock_ns(), true);
}

void plugin_resume(struct plugin *p)
{
	if (!p->outcome || strcmp(p->outcome, "superseded") != 0 || save_is_under_way(p))
		return;
	p->attempted = (struct hash){ .high = 0 };
	plugin_check(p, clock_ns(), true);
}

void plugin_sanitize(struct plugin *p, bool yes)
{
	if (yes && !p->sanitize) {
		p->plain = save_is_under_way(p) ? (struct hash){ .high = 0 } : p->attempted;
		p->plain_stale = p->deployment ? deployment_handle(p->deployment)->stale : NULL;
	}
	p->sanitize = yes;
	plugin_check(p, clock_ns(), true);
}

bool plugin_accept(struct plugin *p)
{
	bool begun;

	p->accepting = true;
	plugin_check(p, clock_ns(), true);
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

void plugins_add(struct plugins *ps, const char *path, uint64_t since_ns)
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
	plugins_add(ps, path, since_ns);
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
