/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Server
 *
 * What the files of the composition root know of each other: the modules as they are wired, and
 * how far it has come. Loop's thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "replica/hub.h"
#include "serve/news.h"
#include "serve/plugin.h"
#include "serve/run_file.h"
#include "serve/state_dir.h"

struct buffer;
struct builder;
struct cases;
struct console;
struct control;
struct deploy;
struct events;
struct historian;
struct history;
struct ingress;
struct json_sink;
struct options;
struct tap_sink;
struct terminal;
struct watch;
struct weights;

struct server {
	const struct options *o;
	uint64_t started_ns;
	uv_loop_t loop;
	struct hub hub;
	struct events *events;
	struct terminal *terminal;
	struct json_sink *json_sink;
	struct builder *builder;
	struct deploy *deploy;
	struct weights *weights;
	struct cases *cases;
	struct console *console;
	struct history *history;     /* NULL: nothing is kept */
	struct historian *historian;
	struct control *control;
	struct news news; /* its log and reports are ours: NULL once the server ends */
	struct ingress *ingress;
	struct watch *watch;
	struct plugins plugins;
	uv_signal_t signals[3]; /* SIGINT, SIGTERM, SIGHUP */
	uv_timer_t drain;       /* the end is bounded */
	uv_timer_t chores;      /* after saves */
	char token[TOKEN_SIZE];
	char *root;
	struct state_dir dir;
	uint64_t n_overflows;
	struct tap_sink *tap_sink;
	const char *const *names; /* of deployments to test */
	size_t n_names;
	bool testing;           /* `devserve test` */
	bool checking;          /* that and `devserve check`: ends by itself */
	bool ready_told, stopping, now;
	int status;
};

/* serve.c: a sentence for the author. @context: the server. */
void server_notice(void *context, const char *sentence);
/* Look whether every first build has ended: then that is told, once; a check ends. */
void server_tell_if_ready(struct server *s);

/*
 * server_wiring.c: the modules, without a port: a check needs no more. 0, or a negative errno and
 * a sentence in @why; then nothing runs yet that would not end with the process.
 */
int server_start(struct server *s, struct buffer *why);
/* The port, and the watch. The same. */
int server_listen(struct server *s, struct buffer *why);
void server_keep_history(struct server *s);
/* Once it listens, and if there is a terminal. */
void server_open_console(struct server *s);

/* server_chores.c */
void server_init_chores(struct server *s);
/* After a save; a moment later, so that several share it. */
void server_do_chores_soon(struct server *s);

/* server_stop.c: signals are heard from here on. */
void server_heed_signals(struct server *s);
void server_ignore_signals(struct server *s);
/* No more saves and no more connections; requests that are under way end. Once. */
void server_stop(struct server *s);
/* The same, but within a bounded time; called again, at once. @status: of the process. */
void server_end(struct server *s, int status);
/* With success. @context: the server. */
void server_quit(void *context);
