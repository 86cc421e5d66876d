/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugin
 *
 * A child of the root that is a deployment's source. Here: which there are, and when what
 * lies on disk differs from what was acted on last; serve/save.h does the acting.
 * Loop's thread only.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "build/build.h"
#include "build/figures.h"
#include "deploy/deploy.h"
#include "serve/plugin_books.h"
#include "serve/plugin_config.h"
#include "serve/plugin_loops.h"
#include "serve/plugin_weights.h"
#include "serve/record.h"

struct builder;
struct cases;
struct deploy_verdict;
struct deploy;
struct deployment;
struct events;
struct history;
struct plugin;
struct weights;
struct weights_set;

/* What plugins share; serve owns it. */
struct plugins {
	uv_loop_t *loop;
	struct builder *builder;
	struct deploy *deploy;
	struct weights *weights;
	struct cases *cases;
	struct events *events;
	const char *root;
	const char *state_dir;
	enum deployment_gate gate; /* where deployment.yaml says none */
	bool verdicts;     /* the speed of saves is told */
	bool testing;      /* `devserve test`: golden cases, all of them, whatever a deployment.yaml says */
	const char *const *only; /* names; NULL: all */
	size_t n_only;
	bool keep_records; /* false for `devserve check` */
	struct history *history; /* NULL: nothing is kept */
	uint64_t n_builds;
	bool scanned;      /* the root was read completely once */
	char **refused;    /* paths that are of no use under their name, and that was said */
	size_t n_refused;
	LIST_HEAD(, plugin) list; /* in order of names */
	/* A save of @p has ended (or it was removed): whoever waits looks again. */
	void (*settled)(void *context, struct plugin *p);
	void *context;
};

struct plugin {
	LIST_ENTRY(plugin) entry;
	struct plugins *plugins;
	char *name, *path;
	struct recipe recipe;
	struct deployment *deployment; /* NULL: another plugin has the name */
	char *clash;                   /* then the sentence that says so */

	struct plugin_config config;
	struct plugin_weights weights;
	LIST_HEAD(, save) saves;       /* under way, the newest first (serve/save.c) */
	uint64_t newest;               /* number of the newest save, or of when the clash was told */
	struct hash attempted;         /* fingerprint of the newest save; zero: none yet */
	struct hash plain;             /* that, before sanitizers were asked for; zero: it had not been tried to its end */
	const char *plain_stale;       /* what its deployment's `stale` was then */
	bool tried;                    /* its first attempt has ended */
	bool rebuild;                  /* asked for, not started yet */
	bool sanitize;                 /* its builds are to find their own mistakes (build/sanitizer.h) */
	uint32_t generation;           /* that serves; 0: none yet */
	uint32_t last_generation;      /* the highest so far */
	struct plugin_code code, code_before; /* of the generation that serves, and of the one before */
	struct hash refused;           /* source whose answers differ, which may be accepted; zero: none */
	bool accepting;                /* that was asked for, and is not started yet */
	struct hash crashed;           /* source that isn't loaded again; zero: none */
	struct hash aside;             /* what was rolled back from: likewise, after a restart */
	struct figures kernels;        /* of CUDA, of the generation that serves */
	struct plugin_loops loops;
	bool record_due;               /* its number is still to be written down */
	struct record kept;            /* what it is: the newest that served as it is built without sanitizers */
	char *verdict;                 /* on its speed, JSON; or NULL: none yet */
	const char *outcome;           /* of the newest save that ended: static, or NULL */
	char *reason;                  /* why it doesn't serve */
};

/* Why a source doesn't serve that is `aside`. */
#define PLUGIN_ASIDE "this source was rolled back from; it is not loaded again until it has changed"

struct plugin *plugins_find(const struct plugins *ps, const char *name);

/* The one of that name that was changed last, if it isn't the one that has it: its `clash` says why. */
const struct plugin *plugins_find_refused(const struct plugins *ps, const char *name);

/* Look at the file or directory at @path, which isn't known: it may be one more, or of no use. */
void plugins_add(struct plugins *ps, const char *path, uint64_t since_ns);

/* How many there are, and how many of them serve. */
void plugins_count(const struct plugins *ps, unsigned *ret, unsigned *ret_serving);

/* Whether every first attempt has ended. */
bool plugins_ready(const struct plugins *ps);

/* Act on what lies on disk now, if it differs. It may be gone afterwards. @quiet: don't tell if it doesn't. */
void plugin_check(struct plugin *p, uint64_t since_ns, bool quiet);

/* Compile it anew and roll it out, though nothing changed; also what crashed and isn't loaded again. */
void plugin_rebuild(struct plugin *p);

/* What it gave way to didn't come to serve: its newest save is tried after all, if that is so. */
void plugin_resume(struct plugin *p);

/* Build it for the sanitizers from now on, or not any more, and roll that out. */
void plugin_sanitize(struct plugin *p, bool yes);

/*
 * Roll the source out that was refused for its answers, with these as the right ones. False: it has changed since,
 * and what it is now is being tried as ever.
 */
bool plugin_accept(struct plugin *p);

/* The weights that a look waited for are there (serve/plugin_weights.h). */
void plugin_checked(struct plugin *p, uint64_t since_ns, bool quiet);

/* What a build of @source with @weights and @config is; what is told from what was acted on by it. */
struct hash plugin_fingerprint(struct hash source, const struct weights_set *weights, struct hash config);

/* Ends everything that is under way; no callback any more. */
void plugins_free(struct plugins *ps);
