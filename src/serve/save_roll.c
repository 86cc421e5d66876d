/* SPDX-License-Identifier: MIT */

/*
 * From an image to a generation: what it declares is read, then the layout of its state, then it
 * is rolled out; and the books of its plugin say what serves. Only swapped() writes them, and after
 * a restart last_good_serves(): a save that didn't come to serve leaves no trace in them but that it
 * was refused.
 */

#include "serve/save_stages.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "deploy/proof.h"
#include "golden/cases.h"
#include "image/identity.h"
#include "image/inspect.h"
#include "infer/signature.h"
#include "replica/sanitizer.h"
#include "serve/cases.h"
#include "serve/event.h"
#include "serve/fault.h"
#include "serve/last_good.h"
#include "serve/plugin.h"
#include "serve/record.h"
#include "serve/state_layout.h"
#include "state/layout.h"
#include "weights/weights.h"

/* To be asked before its own hashes take the place of what served before. */
static bool is_identical(const struct save *s, const struct rollout_result *result)
{
	const struct plugin *p = s->plugin;

	return result->from && !hash_is_zero(p->code.identity) && hash_equal(p->code.identity, s->identity);
}

static void tell(struct save *s, const char *notice)
{
	struct event e = save_event(s, EVENT_NOTICE);

	e.reason = notice;
	if (notice)
		save_emit(s, &e);
}

static void swapped(struct save *s, const struct rollout_result *result)
{
	struct event e = save_event(s, EVENT_SWAP_DONE);

	s->plugin->crashed = s->plugin->refused = s->plugin->aside = (struct hash){ .high = 0 };
	if (save_is_newest(s))
		deployment_set_stale(s->plugin->deployment, NULL);
	s->identical = is_identical(s, result);
	plugin_serves(s->plugin, result->generation,
		      &(struct plugin_code){ .source = s->source,
					     .libraries = s->libraries,
					     .image = s->image_hash,
					     .device = s->device_hash,
					     .identity = s->identity },
		      s->weights);
	s->plugin->record_due = true;
	e.sanitizer = sanitizer_of(s->runtime);
	e.from = result->from;
	e.cached = s->cached;
	save_emit(s, &e);
	tell(s, result->state);
	tell(s, result->unwritten);
	if (result->from && !s->identical && s->plugin->plugins->verdicts)
		deployment_judge(s->plugin->deployment);
	save_end(s, "swapped", NULL, result);
}

static void not_swapped(struct save *s, enum event_kind kind, const char *outcome,
			const struct rollout_result *result)
{
	struct event e = save_event(s, kind);

	s->plugin->refused = result->proof && result->proof->acceptable ? s->source : (struct hash){ .high = 0 };
	e.reason = result->sentence;
	e.no_device = result->no_device;
	e.proof = result->proof;
	save_tell_kernels(s, &e);
	save_emit(s, &e);
	save_fail(s, outcome, result->sentence, result);
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
						    .rtol = s->settings.rtol,
						    .atol = s->settings.atol,
						    .sentence = result->sentence,
						    .built = &s->built }, &proof);
	mine.proof = result->proof ? &proof : NULL;
	if (result->disturbed && save_is_newest(s))
		s->plugin->attempted = (struct hash){ .high = 0 }; /* to save it as it is tries it again */
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
		save_end(s, "superseded", result->sentence, NULL);
		break;
	}
}

void save_refuse_crashed(struct save *s)
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
	s->rolled_ns = clock_ns();
	deployment_roll(s->plugin->deployment,
			&(struct rollout){ .image = s->image,
					   .weights = s->weights->index,
					   .device = s->device,
					   .runtime = s->runtime,
					   .image_hash = s->image_hash,
					   .settings = s->settings,
					   .fresh = s->plugin->generation &&
						    !hash_equal(s->plugin->code.libraries, s->libraries),
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
	struct event e = save_event(s, EVENT_NOTICE);

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
		save_emit(s, &e);
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

void save_take_image(struct save *s, const char *image)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct image_info info = { .signature = NULL };
	int r = image_inspect(image, &info, &why);

	if (r < 0)
		buffer_printf(&why, "cannot read the image: %s", strerror(-r));
	if (r == 0 && s->settings.gate <= GATE_GOLDEN)
		r = golden_cases_read(s->plugin->path, s->weights->hash, &s->golden, &why);
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

/* After a restart */

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
		if (save_is_aside(s))
			s->failed = "unchanged"; /* all is as its author left it */
		plugin_weights_serve(p, s->weights);
		e = save_event(s, EVENT_SWAP_DONE);
		e.cached = true;
		save_emit(s, &e);
		buffer_printf(&sentence, "generation %u serves, as before the restart: its image was kept",
			      result->generation);
		e = save_event(s, EVENT_NOTICE);
		e.reason = sentence.data;
		save_emit(s, &e);
	}
	save_fail(s, s->failed, why, NULL);
}

bool save_bring_back(struct save *s, const char *outcome, const char *reason)
{
	if (s->failed || !save_is_newest(s))
		return false;
	s->failed = outcome;
	s->why = xstrdup(reason);
	s->rolling = true;
	if (!s->rolled_ns)
		s->rolled_ns = clock_ns();
	return last_good_roll(s->plugin, s->weights, &s->settings, on_last_good, s);
}
