/* SPDX-License-Identifier: MIT */

/*
 * Save
 *
 * At most one save of a plugin builds, the newest; older ones may still be rolling out, for a
 * swap that is in the ring cannot be called back. Each ends in save_end(), once, and is freed
 * there. What the plugin remembers (its outcome, whether it is stale) is the newest's alone.
 * Here: its start, its build and its end; what is between the latter two is save_roll.c.
 */

#include "serve/save.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "golden/cases.h"
#include "infer/signature.h"
#include "replica/sanitizer.h"
#include "serve/build_reason.h"
#include "serve/built.h"
#include "serve/event.h"
#include "serve/plugin.h"
#include "serve/save_stages.h"
#include "serve/state_layout.h"
#include "weights/weights.h"


bool save_is_newest(const struct save *s)
{
	return s->number == s->plugin->newest;
}

static bool has_crashed(const struct save *s)
{
	return !hash_is_zero(s->plugin->crashed) && hash_equal(s->source, s->plugin->crashed);
}

bool save_is_aside(const struct save *s)
{
	return !hash_is_zero(s->plugin->aside) && hash_equal(s->source, s->plugin->aside);
}

/* Telling */

struct event save_event(const struct save *s, enum event_kind kind)
{
	return (struct event){
		.kind = kind,
		.deployment = s->plugin->name,
		.generation = deployment_handle(s->plugin->deployment)->generation,
		.build = s->number,
	};
}

/* In a check there is nothing to compare with, and the sanitizers leave no loop as it was. */
static void look_at_loops(struct save *s, uint32_t from)
{
	if (save_is_newest(s) && !s->sanitize && s->plugin->plugins->keep_records)
		plugin_loops_look(s->plugin, s->plugin->generation, from, s->identical, s->sources);
}

void save_emit(struct save *s, const struct event *e)
{
	events_emit(s->plugin->plugins->events, e);
}

/* What can't be told from the clock's own jitter isn't worth a word. */
static size_t add_stage(struct event_stage *stages, size_t n, const char *name, uint64_t ns, uint64_t least_ns)
{
	if (ns > least_ns)
		stages[n++] = (struct event_stage){ name, ns };
	return n;
}

static uint64_t rest(uint64_t from_ns, uint64_t to_ns, uint64_t known_ns)
{
	uint64_t took = to_ns > from_ns ? to_ns - from_ns : 0;

	return took > known_ns ? took - known_ns : 0;
}

/* For a turn at the compilers, for what is asked of them once, and for a rollout that was under way. */
static uint64_t waited_ns(const struct save *s, const struct rollout_result *roll, uint64_t now)
{
	uint64_t ns = 0;

	if (s->built_ns)
		ns = rest(s->settled_ns, s->built_ns, s->weights_ns + s->compile_ns + s->link_ns);
	if (s->rolled_ns && roll && roll->outcome == ROLLOUT_SWAPPED)
		ns += rest(s->rolled_ns, now, roll->trial_ns + roll->swap_ns);
	return ns;
}

/* All that it took: each moment of a save that came to serve is in one of them, but for a millisecond or two. */
static size_t list_stages(const struct save *s, const struct rollout_result *roll, uint64_t now,
			  struct event_stage *stages)
{
	uint64_t looked_ns = s->built_ns ? rest(s->built_ns, s->rolled_ns ? s->rolled_ns : now, 0) : 0;
	size_t n = 0;

	n = add_stage(stages, n, "settle", rest(s->saved_ns, s->settled_ns, 0), 0);
	n = add_stage(stages, n, "wait", waited_ns(s, roll, now), NS_PER_MS);
	n = add_stage(stages, n, s->compiler, s->compile_ns, 0);
	n = add_stage(stages, n, "link", s->link_ns, 0);
	n = add_stage(stages, n, "weights", s->weights_ns, NS_PER_MS / 2);
	n = add_stage(stages, n, "inspect", looked_ns, NS_PER_MS);
	n = add_stage(stages, n, "trial", roll ? roll->trial_ns : 0, 0);
	if (roll && roll->outcome == ROLLOUT_SWAPPED)
		stages[n++] = (struct event_stage){ roll->from ? "swap" : "load", roll->swap_ns };
	return n;
}

static void remember(struct plugin *p, const char *outcome, const char *reason)
{
	free(p->reason);
	p->reason = reason ? xstrdup(reason) : NULL;
	p->outcome = outcome;
	p->tried = true;
}

static void save_free(struct save *s)
{
	LIST_REMOVE(s, entry);
	build_cancel(s->build);
	state_layout_abandon(s->layout);
	signature_unref(s->signature);
	free(s->image);
	free(s->why);
	free(s->device);
	free(s->runtime);
	figures_fini(&s->kernels);
	weights_set_unref(s->weights);
	built_free(s->built);
	golden_cases_unref(s->golden);
	free(s);
}

void save_tell_kernels(const struct save *s, struct event *e)
{
	e->kernels = s->kernels.at;
	e->n_kernels = s->kernels.n;
	e->kernels_before = s->plugin->kernels.at;
	e->n_kernels_before = s->plugin->kernels.n;
}

void save_end(struct save *s, const char *outcome, const char *reason,
		     const struct rollout_result *roll)
{
	struct plugin *p = s->plugin;
	_cleanup_buffer_ struct buffer signature = BUFFER_NULL;
	struct event_stage stages[8];
	struct event e = save_event(s, EVENT_SAVE_DONE);
	uint64_t now = clock_ns();
	bool newest = save_is_newest(s);

	e.outcome = outcome;
	e.reason = reason;
	e.state = roll ? roll->state : NULL;
	e.from = roll ? roll->from : e.generation;
	e.cached = s->cached;
	e.sanitizer = sanitizer_of(s->runtime);
	e.identical = s->identical;
	e.no_device = s->no_device;
	e.stages = stages;
	e.n_stages = list_stages(s, roll, now, stages);
	e.took_ns = now - s->saved_ns;
	if (roll && roll->before)
		signature_changes(roll->before, s->signature, &signature);
	e.signature = signature.data;
	e.proof = roll ? roll->proof : NULL;
	save_tell_kernels(s, &e);
	e.built = roll && roll->outcome == ROLLOUT_SWAPPED ? s->built : NULL;
	if (newest)
		remember(p, outcome, reason);
	save_emit(s, &e);
	if (roll && roll->outcome == ROLLOUT_SWAPPED)
		figures_copy(&p->kernels, s->kernels.at, s->kernels.n);
	if (roll && roll->outcome == ROLLOUT_SWAPPED)
		look_at_loops(s, roll->from);
	p->record_due |= s->rolling;
	save_free(s);
	p->plugins->settled(p->plugins->context, p);
}

void save_fail(struct save *s, const char *outcome, const char *reason, const struct rollout_result *roll)
{
	struct deployment *d = s->plugin->deployment;

	s->no_device |= roll && roll->no_device;
	if (save_bring_back(s, outcome, reason))
		return;
	if (save_is_newest(s)) {
		deployment_set_stale(d, has_crashed(s) ? "crashed" : save_is_aside(s) ? "rolled-back" : outcome);
		if (!deployment_handle(d)->generation)
			deployment_set_unavailable(d, reason, s->no_device);
	}
	save_end(s, outcome, reason, roll);
}

/* Building */

static void tell_diagnostics(struct save *s, enum event_kind kind, const char *reason,
			     const struct build_result *result)
{
	struct event e = save_event(s, kind);

	e.reason = reason;
	e.text = result->text;
	e.diagnostics = result->diagnostics;
	e.n_diagnostics = result->n_diagnostics;
	save_emit(s, &e);
}

/*
 * It can't be had: what lies on disk serves as it would without, and so do the saves to come. Where nothing
 * serves, it was tried without already; the want of a GPU would be the next reason.
 */
static void refuse_sanitizer(struct save *s, const char *reason)
{
	struct plugin *p = s->plugin;
	const struct handle *h = deployment_handle(p->deployment);
	_cleanup_free_ char *both = h->no_device ? xasprintf("%s; besides, %s", reason, h->reason) : NULL;
	bool newest = save_is_newest(s);

	if (newest && h->generation) {
		p->attempted = p->code.source;
		deployment_set_stale(p->deployment, NULL);
	} else if (newest) {
		p->attempted = p->plain;
		deployment_set_stale(p->deployment, p->plain_stale);
	}
	save_end(s, "build-failed", both ? both : reason, NULL);
	if (newest)
		plugin_sanitize(p, false);
}

/* While it was built; or before a restart: then what it was rolled back to serves again, if that is still there. */
static bool stays_aside(struct save *s)
{
	if (!save_is_aside(s) || s->accept)
		return false;
	if (s->plugin->generation) {
		save_fail(s, "refused", PLUGIN_ASIDE, NULL);
		return true;
	}
	if (save_bring_back(s, "refused", PLUGIN_ASIDE))
		return true;
	free(s->why);
	s->why = NULL;
	s->failed = NULL;
	s->rolling = false;
	return false;
}

static void on_built(void *context, const struct build_result *result)
{
	struct save *s = context;
	_cleanup_buffer_ struct buffer reason = BUFFER_NULL;

	s->build = NULL;
	s->built_ns = clock_ns();
	s->sources = result->source_hash;
	s->source = plugin_fingerprint(result->source_hash, s->weights, s->config);
	s->image_hash = result->image_hash;
	s->compile_ns = result->compile_ns;
	s->link_ns = result->link_ns;
	s->cached = result->cached;
	s->device = result->device ? xstrdup(result->device) : NULL;
	s->device_hash = result->device_hash;
	s->runtime = result->runtime ? xstrdup(result->runtime) : NULL;
	figures_copy(&s->kernels, result->kernels, result->n_kernels);
	s->plugin->attempted = result->disturbed ? (struct hash){ .high = 0 } : s->source;
	snprintf(s->compiler, sizeof(s->compiler), "%s", result->compiler ? result->compiler : "cc");
	if (result->outcome != BUILD_OK) {
		build_reason(result, &reason);
		tell_diagnostics(s, EVENT_BUILD_FAILED, reason.data, result);
		if (s->sanitize && result->outcome == BUILD_UNSUPPORTED)
			refuse_sanitizer(s, reason.data);
		else
			save_fail(s, "build-failed", reason.data, NULL);
		return;
	}
	s->built = built_new(s->plugin, result);
	s->built->source = s->source;
	s->built->weights = s->weights->hash;
	s->built->libraries = s->libraries;
	if (s->sanitize) /* it can't serve but in such a worker */
		s->built->image = (struct hash){ .high = 0 };
	if (result->text && result->text[0])
		tell_diagnostics(s, EVENT_BUILD_WARNED, NULL, result);
	if (has_crashed(s))
		save_refuse_crashed(s);
	else if (!stays_aside(s))
		save_take_image(s, result->image);
}

/* As if a compiler had said it. */
static void refuse_config(struct save *s)
{
	const struct plugin_config *c = &s->plugin->config;
	_cleanup_buffer_ struct buffer reason = BUFFER_NULL, text = BUFFER_NULL;
	char severity[] = "error";
	struct diagnostic d = { .file = c->path, .line = c->line, .severity = severity, .message = c->mistake };
	struct build_result result = { .outcome = BUILD_FAILED, .diagnostics = &d, .n_diagnostics = 1 };

	if (d.line)
		buffer_printf(&text, "%s:%u: error: %s\n", d.file, d.line, d.message);
	else
		buffer_printf(&text, "%s: error: %s\n", d.file, d.message);
	result.text = text.data;
	build_reason(&result, &reason);
	tell_diagnostics(s, EVENT_BUILD_FAILED, reason.data, &result);
	save_fail(s, "build-failed", reason.data, NULL);
}

void save_start(struct plugin *p, uint64_t since_ns)
{
	struct save *s = xcalloc(1, sizeof(*s)), *before = LIST_FIRST(&p->saves);
	struct event e;
	int r;

	s->plugin = p;
	s->number = p->newest = ++p->plugins->n_builds;
	s->saved_ns = since_ns;
	s->settled_ns = clock_ns() - p->weights.read_ns;
	s->config = p->config.config.hash;
	s->libraries = plugin_config_libraries(&p->config.config);
	plugin_config_settings(&p->config.config, p->plugins->gate, &s->settings);
	if (p->plugins->testing)
		s->settings.gate = GATE_GOLDEN;
	s->accept = p->accepting;
	p->accepting = false;
	s->weights = weights_set_ref(p->weights.newest);
	s->weights_ns = p->weights.read_ns;
	p->weights.read_ns = 0;
	LIST_INSERT_HEAD(&p->saves, s, entry);
	plugin_loops_abandon(p);
	if (before && !before->rolling)
		save_end(before, "superseded", "a newer save came", NULL);
	deployment_set_stale(p->deployment, "building");
	e = save_event(s, EVENT_BUILD_STARTED);
	e.path = p->path;
	save_emit(s, &e);
	if (p->config.mistake) {
		refuse_config(s);
		return;
	}
	p->recipe.afresh = p->rebuild;
	p->recipe.tell_loops = !p->loops.generation && p->plugins->keep_records;
	p->rebuild = false;
	s->sanitize = p->recipe.sanitize;
	r = build_start(p->plugins->builder, &p->recipe, on_built, s, &s->build);
	if (r < 0)
		save_fail(s, "build-failed", strerror(-r), NULL);
}

void save_unchanged(struct plugin *p, uint64_t since_ns)
{
	const uint32_t generation = deployment_handle(p->deployment)->generation;

	events_emit(p->plugins->events, &(struct event){ .kind = EVENT_SAVE_DONE,
							 .deployment = p->name,
							 .generation = generation,
							 .from = generation,
							 .outcome = "unchanged",
							 .took_ns = clock_ns() - since_ns });
}

bool save_accepts(const struct save *s)
{
	return s->accept;
}

bool save_is_under_way(const struct plugin *p)
{
	return !LIST_EMPTY(&p->saves) || p->weights.job;
}

unsigned save_count_rolling(const struct plugin *p, struct hash *ret_source)
{
	const struct save *s;
	unsigned n = 0;

	LIST_FOREACH(s, &p->saves, entry) {
		if (s->rolling && !n++)
			*ret_source = s->source;
	}
	return n;
}

void save_end_all(struct plugin *p, const char *reason)
{
	while (!LIST_EMPTY(&p->saves))
		save_end(LIST_FIRST(&p->saves), "superseded", reason, NULL);
}

void save_forget_all(struct plugin *p)
{
	struct save *s;

	while ((s = LIST_FIRST(&p->saves)))
		save_free(s);
}
