/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Save, inside
 *
 * What its two halves know of each other: save.c starts one, builds it and ends it, save_roll.c
 * takes its image to where it serves. @s is gone after save_end() and save_fail(), and so after
 * save_take_image() and save_refuse_crashed(), which come to one of them, at once or later.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "build/figures.h"
#include "deploy/deploy.h"
#include "serve/event.h"

struct build;
struct golden_cases;
struct history_build;
struct plugin;
struct signature;
struct state_layout;
struct weights_set;

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
	bool no_device;                /* it failed because what it needs isn't on this machine */
	struct signature *signature;
	bool rolling;
	uint64_t saved_ns, settled_ns; /* its first event, and when it was acted on */
	struct hash source, sources;   /* the latter without weights and deployment.yaml */
	uint64_t built_ns, rolled_ns;  /* when its image, or why there is none, was there; and was handed on; or 0 */
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

/* save.c: no newer one has started; also when it ended before an older one. */
bool save_is_newest(const struct save *s);

/* With what every event of it says. */
struct event save_event(const struct save *s, enum event_kind kind);
void save_emit(struct save *s, const struct event *e);

/* The figures of its kernels, and of those that serve; @e borrows them. */
void save_tell_kernels(const struct save *s, struct event *e);

/* The one place where a save ends. @reason, @roll: or NULL. */
void save_end(struct save *s, const char *outcome, const char *reason, const struct rollout_result *roll);

/* It ended badly: what served before goes on, or what served before a restart comes back, or nothing serves. */
void save_fail(struct save *s, const char *outcome, const char *reason, const struct rollout_result *roll);

/* save_roll.c: it has been built; look at @image and roll it out. */
void save_take_image(struct save *s, const char *image);

/* What was built crashed when it served: loading it again would cost the next caller the same crash. */
void save_refuse_crashed(struct save *s);

/* Whether it is what its author rolled back from. */
bool save_is_aside(const struct save *s);

/*
 * What served before the restart is to do so again, and then the save ends as failed. False: nothing
 * can, or that was tried before; @s remains marked as one that tried.
 */
bool save_bring_back(struct save *s, const char *outcome, const char *reason);
