/* SPDX-License-Identifier: MIT */

/*
 * Save
 *
 * At most one save of a plugin builds, the newest; older ones may still be rolling out, for a
 * swap that is in the ring cannot be called back. Each ends in end_save(), once, and is freed
 * there. What the plugin remembers (its outcome, whether it is stale) is the newest's alone.
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
#include "deploy/proof.h"
#include "golden/cases.h"
#include "image/identity.h"
#include "image/inspect.h"
#include "infer/signature.h"
#include "serve/built.h"
#include "serve/cases.h"
#include "serve/event.h"
#include "serve/fault.h"
#include "serve/last_good.h"
#include "serve/plugin.h"
#include "serve/record.h"
#include "serve/state_layout.h"
#include "state/layout.h"
#include "weights/weights.h"

#define ASIDE "this source was rolled back from; it is not loaded again until it has changed"

struct save {
	LIST_ENTRY(save) entry;
	struct plugin *plugin;
	uint64_t number;
	struct build *build;           /* while it builds */
	struct state_layout *layout;   /* while its state is looked at */
	char *image, *device;          /* meanwhile */
	struct figures kernels;
	bool accept;                   /* its answers are meant to be others */
	struct golden_cases *golden;
	const char *failed;            /* its outcome, while what served before the restart rolls out */
	char *why;
	struct signature *signature;
	bool rolling;
	uint64_t saved_ns, settled_ns; /* its first event, and when it was acted on */
	struct hash source, sources;   /* the latter without weights and deployment.yaml */
	uint64_t compile_ns, link_ns;
	struct hash config, libraries, image_hash, device_hash, identity;
	bool identical;                /* its code is what served before, but for the line tables */
	struct deployment_settings settings;
	struct weights_set *weights;
	uint64_t weights_ns;           /* that reading them took; 0: they were known */
	bool cached;
	bool sanitize;                 /* for the sanitizers (build/sanitizer.h) */
	char *runtime;                 /* then what its workers start with */
	char compiler[16];
	struct history_build *built;   /* NULL: nothing yet */
};

static bool is_newest(const struct save *s)
{
	return s->number == s->plugin->newest; /* also when it ended before an older one */
}

static void fail(struct save *s, const char *outcome, const char *reason, const struct rollout_result *roll);

static bool has_crashed(const struct save *s)
{
	return !hash_is_zero(s->plugin->crashed) && hash_equal(s->source, s->plugin->crashed);
}

static bool is_aside(const struct save *s)
{
	return !hash_is_zero(s->plugin->aside) && hash_equal(s->source, s->plugin->aside);
}

/* Telling */

static struct event event_of(const struct save *s, enum event_kind kind)
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
	if (is_newest(s) && !s->sanitize && s->plugin->plugins->keep_records)
		plugin_loops_look(s->plugin, s->plugin->generation, from, s->identical, s->sources);
}

static void emit(struct save *s, const struct event *e)
{
	events_emit(s->plugin->plugins->events, e);
}

static size_t list_stages(const struct save *s, const struct rollout_result *roll, struct event_stage *stages)
{
	size_t n = 0;

	if (s->settled_ns > s->saved_ns)
		stages[n++] = (struct event_stage){ "settle", s->settled_ns - s->saved_ns };
	if (s->compile_ns)
		stages[n++] = (struct event_stage){ s->compiler, s->compile_ns };
	if (s->link_ns)
		stages[n++] = (struct event_stage){ "link", s->link_ns };
	if (s->weights_ns > NS_PER_MS / 2)
		stages[n++] = (struct event_stage){ "weights", s->weights_ns };
	if (roll && roll->trial_ns)
		stages[n++] = (struct event_stage){ "trial", roll->trial_ns };
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

/* The one place where a save ends. @s is gone. */
static void end_save(struct save *s, const char *outcome, const char *reason,
		     const struct rollout_result *roll)
{
	struct plugin *p = s->plugin;
	_cleanup_buffer_ struct buffer signature = BUFFER_NULL;
	struct event_stage stages[8];
	struct event e = event_of(s, EVENT_SAVE_DONE);
	bool newest = is_newest(s);

	e.outcome = outcome;
	e.reason = reason;
	e.state = roll ? roll->state : NULL;
	e.from = roll ? roll->from : e.generation;
	e.cached = s->cached;
	e.sanitized = s->sanitize;
	e.identical = s->identical;
	e.stages = stages;
	e.n_stages = list_stages(s, roll, stages);
	e.took_ns = clock_ns() - s->saved_ns;
	if (roll && roll->before)
		signature_changes(roll->before, s->signature, &signature);
	e.signature = signature.data;
	e.proof = roll ? roll->proof : NULL;
	e.kernels = s->kernels.at;
	e.n_kernels = s->kernels.n;
	e.kernels_before = p->kernels.at;
	e.n_kernels_before = p->kernels.n;
	e.built = roll && roll->outcome == ROLLOUT_SWAPPED ? s->built : NULL;
	if (newest)
		remember(p, outcome, reason);
	emit(s, &e);
	if (roll && roll->outcome == ROLLOUT_SWAPPED)
		figures_copy(&p->kernels, s->kernels.at, s->kernels.n);
	if (roll && roll->outcome == ROLLOUT_SWAPPED)
		look_at_loops(s, roll->from);
	p->record_due |= s->rolling;
	save_free(s);
	p->plugins->settled(p->plugins->context, p);
}

/* What served before the restart does again, if all went well, and the save ends. */
static void on_last_good(void *context, const struct rollout_result *result)
{
	struct save *s = context;
	struct plugin *p = s->plugin;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	_cleanup_free_ char *why = s->why;
	struct event e;

	s->why = NULL;
	if (result->outcome == ROLLOUT_SWAPPED) {
		last_good_serves(p);
		plugin_weights_serve(p, s->weights);
		e = event_of(s, EVENT_SWAP_DONE);
		e.cached = true;
		emit(s, &e);
		buffer_printf(&sentence, "generation %u serves, as before the restart: its image was kept",
			      result->generation);
		e = event_of(s, EVENT_NOTICE);
		e.reason = sentence.data;
		emit(s, &e);
	}
	fail(s, s->failed, why, NULL);
}

static bool bring_back(struct save *s, const char *outcome, const char *reason)
{
	if (s->failed || !is_newest(s))
		return false;
	s->failed = outcome;
	s->why = xstrdup(reason);
	s->rolling = true;
	return last_good_roll(s->plugin, s->weights, &s->settings, on_last_good, s);
}

/* It ended badly: what served before goes on, or nothing serves. */
static void fail(struct save *s, const char *outcome, const char *reason, const struct rollout_result *roll)
{
	struct deployment *d = s->plugin->deployment;

	if (bring_back(s, outcome, reason))
		return;
	if (is_newest(s)) {
		deployment_set_stale(d, has_crashed(s) ? "crashed" : is_aside(s) ? "rolled-back" : outcome);
		if (!deployment_handle(d)->generation)
			deployment_set_unavailable(d, reason, roll && roll->no_device);
	}
	end_save(s, outcome, reason, roll);
}

/* Rolling out */

/* To be asked before its own hashes take the place of what served before. */
static bool is_identical(const struct save *s, const struct rollout_result *result)
{
	const struct plugin *p = s->plugin;

	return result->from && !hash_is_zero(p->identity) && hash_equal(p->identity, s->identity);
}

static void tell_state(struct save *s, const struct rollout_result *result)
{
	struct event e = event_of(s, EVENT_NOTICE);

	e.reason = result->state;
	if (e.reason)
		emit(s, &e);
}

static void swapped(struct save *s, const struct rollout_result *result)
{
	struct event e = event_of(s, EVENT_SWAP_DONE);

	s->plugin->generation = result->generation;
	if (result->generation > s->plugin->last_generation)
		s->plugin->last_generation = result->generation;
	s->plugin->crashed = s->plugin->refused = s->plugin->aside = (struct hash){ .high = 0 };
	if (is_newest(s))
		deployment_set_stale(s->plugin->deployment, NULL);
	s->identical = is_identical(s, result);
	s->plugin->source_before = s->plugin->source;
	s->plugin->libraries_before = s->plugin->libraries;
	s->plugin->image_before = s->plugin->image;
	s->plugin->device_before = s->plugin->device;
	s->plugin->identity_before = s->plugin->identity;
	s->plugin->source = s->source;
	s->plugin->libraries = s->libraries;
	s->plugin->image = s->image_hash;
	s->plugin->device = s->device_hash;
	s->plugin->identity = s->identity;
	plugin_weights_serve(s->plugin, s->weights);
	plugin_keep(s->plugin);
	s->plugin->record_due = true;
	plugin_forget_verdict(s->plugin);
	e.sanitized = s->sanitize;
	e.from = result->from;
	e.cached = s->cached;
	emit(s, &e);
	tell_state(s, result);
	if (result->from && !s->identical && s->plugin->plugins->verdicts)
		deployment_judge(s->plugin->deployment);
	end_save(s, "swapped", NULL, result);
}

static void not_swapped(struct save *s, enum event_kind kind, const char *outcome,
			const struct rollout_result *result)
{
	struct event e = event_of(s, kind);

	s->plugin->refused = result->proof && result->proof->acceptable ? s->source : (struct hash){ .high = 0 };
	e.reason = result->sentence;
	e.no_device = result->no_device;
	e.proof = result->proof;
	emit(s, &e);
	fail(s, outcome, result->sentence, result);
}

/* What it failed is kept with its image. */
static void trial_failed(struct save *s, const struct rollout_result *result)
{
	_cleanup_free_ char *state = xasprintf("%s/state/%s/0", s->plugin->plugins->state_dir, s->plugin->name);
	struct proof_summary proof = result->proof ? *result->proof : (struct proof_summary){ .n_faults = 0 };
	struct rollout_result mine = *result;

	fault_keep(s->plugin, &(struct case_facts){ .plugin = s->plugin->path,
						    .image = s->image,
						    .weights = s->weights->index,
						    .device = s->device,
						    .runtime = s->runtime,
						    .state = s->signature->state.size ? state : NULL,
						    .cuda = s->signature->cuda,
						    .sentence = result->sentence }, &proof);
	mine.proof = result->proof ? &proof : NULL;
	not_swapped(s, EVENT_TRIAL_FAILED, "trial-failed", &mine);
}

static void on_rolled(void *context, const struct rollout_result *result)
{
	struct save *s = context;

	switch (result->outcome) {
	case ROLLOUT_SWAPPED:
		swapped(s, result);
		break;
	case ROLLOUT_TRIAL_FAILED:
		trial_failed(s, result);
		break;
	case ROLLOUT_REFUSED:
		not_swapped(s, EVENT_SWAP_REFUSED, "refused", result);
		break;
	case ROLLOUT_SUPERSEDED:
		end_save(s, "superseded", result->sentence, NULL);
		break;
	}
}

/* Loading it again would cost the next caller the same crash. */
static void refuse_crashed(struct save *s)
{
	not_swapped(s, EVENT_SWAP_REFUSED, "refused",
		    &(struct rollout_result){ .outcome = ROLLOUT_REFUSED,
					      .sentence = "this very source crashed when it served; it is not "
							  "loaded again until it has changed",
					      .from = s->plugin->generation });
}

/* The number a server before us gave to the very same source; 0: none. */
static uint32_t number_to_keep(const struct save *s)
{
	const struct plugin *p = s->plugin;
	struct record record;

	if (p->generation)
		return 0;
	record_read(p->plugins->state_dir, p->name, &record);
	if (!hash_is_zero(record.coming) && hash_equal(record.coming, s->source))
		return record.last;
	return hash_equal(record.source, s->source) ? record.generation : 0;
}

/*
 * A client may be told the number before it is written down that it was given (that waits for the
 * swap's answers), and no server after us is to give it to something else.
 */
static void roll(struct save *s)
{
	uint32_t kept = number_to_keep(s);

	s->rolling = true;
	if (!kept)
		plugin_write_record(s->plugin);
	deployment_roll(s->plugin->deployment,
			&(struct rollout){ .image = s->image,
					   .weights = s->weights->index,
					   .device = s->device,
					   .runtime = s->runtime,
					   .image_hash = s->image_hash,
					   .settings = s->settings,
					   .fresh = s->plugin->generation &&
						    !hash_equal(s->plugin->libraries, s->libraries),
					   .signature = s->signature,
					   .golden = s->golden,
					   .accept = s->accept,
					   .generation = kept },
			on_rolled, s);
}

static void refuse_image(struct save *s, const char *sentence)
{
	not_swapped(s, EVENT_TRIAL_FAILED, "trial-failed",
		    &(struct rollout_result){ .outcome = ROLLOUT_TRIAL_FAILED,
					      .sentence = sentence,
					      .from = s->plugin->generation });
}

static void on_layout(void *context, const struct state_layout_result *result)
{
	struct save *s = context;
	struct event e = event_of(s, EVENT_NOTICE);

	s->layout = NULL;
	if (result->refused) {
		refuse_image(s, result->sentence);
		return;
	}
	e.reason = result->sentence;
	if (!e.reason && builder_keep_layout(s->plugin->plugins->builder, s->image_hash, result->text, result->size) < 0)
		e.reason = "the layout of the state can't be written down, so size and .version alone must do; is the disk "
			   "full?";
	if (e.reason)
		emit(s, &e);
	roll(s);
}

static bool layout_is_known(const struct save *s)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct layout *l = NULL;

	if (builder_layout(s->plugin->plugins->builder, s->image_hash, &text) == 0)
		l = layout_parse(buffer_text(&text), text.size);
	layout_unref(l);
	return l != NULL;
}

/* Of an image with the code for a device that lies beside it; zero where that can't be read. */
static struct hash identity_of(struct hash image, const char *device)
{
	struct hash both[2] = { image };

	if (!device)
		return image;
	return device_identity(device, &both[1]) == 0 ? hash_bytes(both, sizeof(both)) : (struct hash){ .high = 0 };
}

static void on_image(struct save *s, const char *image)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct image_info info = { .signature = NULL };
	int r = image_inspect(image, &info, &why);

	if (r < 0)
		buffer_printf(&why, "cannot read the image: %s", strerror(-r));
	if (r == 0 && s->settings.gate <= GATE_GOLDEN)
		r = golden_cases_read(s->plugin->path, &s->golden, &why);
	if (r == 0 && s->weights->error) {
		buffer_puts(&why, s->weights->error);
		r = 1;
	}
	if (r == 0) {
		s->image = xstrdup(image);
		s->signature = signature_ref(info.signature);
		s->identity = identity_of(info.identity, s->device);
	}
	image_info_fini(&info);
	if (r != 0)
		refuse_image(s, buffer_text(&why));
	else if (!s->signature->state.size || layout_is_known(s) ||
		 state_layout_look(s->plugin->plugins->loop, image, on_layout, s, &s->layout) < 0)
		roll(s);
}

/* Building */

static bool is_error(const struct diagnostic *d)
{
	return strcmp(d->severity, "error") == 0 || strcmp(d->severity, "fatal error") == 0;
}

static void put_place(struct buffer *b, const struct diagnostic *d)
{
	buffer_printf(b, "%s:%u", path_name(d->file), d->line);
	if (d->column)
		buffer_printf(b, ":%u", d->column);
	buffer_puts(b, ": ");
}

static void summarise(const struct build_result *result, struct buffer *ret)
{
	const struct diagnostic *first = NULL;
	unsigned errors = 0;

	for (size_t i = 0; i < result->n_diagnostics; i++) {
		if (!is_error(&result->diagnostics[i]))
			continue;
		first = first ? first : &result->diagnostics[i];
		errors++;
	}
	if (!first) {
		buffer_puts(ret, result->text && result->text[0] ? result->text : "the build failed");
		return;
	}
	if (first->file && first->line)
		put_place(ret, first);
	else if (first->file)
		buffer_printf(ret, "%s: ", path_name(first->file));
	buffer_puts(ret, first->message);
	if (errors > 1)
		buffer_printf(ret, " (and %u more)", errors - 1);
}

static void tell_diagnostics(struct save *s, enum event_kind kind, const char *reason,
			     const struct build_result *result)
{
	struct event e = event_of(s, kind);

	e.reason = reason;
	e.text = result->text;
	e.diagnostics = result->diagnostics;
	e.n_diagnostics = result->n_diagnostics;
	emit(s, &e);
}

/* It can't be had: what lies on disk serves as it would without, and so do the saves to come. */
static void refuse_sanitizer(struct save *s, const char *reason)
{
	struct plugin *p = s->plugin;
	bool newest = is_newest(s);

	if (newest) {
		p->attempted = p->source;
		deployment_set_stale(p->deployment, NULL);
	}
	end_save(s, "build-failed", reason, NULL);
	if (newest)
		plugin_sanitize(p, false);
}

/* While it was built; or before a restart: then what it was rolled back to serves again, if that is still there. */
static bool stays_aside(struct save *s)
{
	if (!is_aside(s) || s->accept)
		return false;
	if (s->plugin->generation) {
		fail(s, "refused", ASIDE, NULL);
		return true;
	}
	if (bring_back(s, "refused", ASIDE))
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
		summarise(result, &reason);
		tell_diagnostics(s, EVENT_BUILD_FAILED, reason.data, result);
		if (s->sanitize && result->outcome == BUILD_UNSUPPORTED)
			refuse_sanitizer(s, reason.data);
		else
			fail(s, "build-failed", reason.data, NULL);
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
		refuse_crashed(s);
	else if (!stays_aside(s))
		on_image(s, result->image);
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
	summarise(&result, &reason);
	tell_diagnostics(s, EVENT_BUILD_FAILED, reason.data, &result);
	fail(s, "build-failed", reason.data, NULL);
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
		end_save(before, "superseded", "a newer save came", NULL);
	deployment_set_stale(p->deployment, "building");
	e = event_of(s, EVENT_BUILD_STARTED);
	e.path = p->path;
	emit(s, &e);
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
		fail(s, "build-failed", strerror(-r), NULL);
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
		end_save(LIST_FIRST(&p->saves), "superseded", reason, NULL);
}

void save_forget_all(struct plugin *p)
{
	struct save *s;

	while ((s = LIST_FIRST(&p->saves)))
		save_free(s);
}
