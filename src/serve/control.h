/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Control
 *
 * The server's own routes, below /-/, which need the token, and the front page.
 *
 *	GET /                       HTML for people (serve/front_page.h)
 *	GET /-/status               one JSON object: server, deployments, workers
 *	GET /-/events               every event as it happens (server-sent events)
 *	GET /-/wait?deployment=NAME answers when the newest save of NAME serves or has failed;
 *	                            what lies on disk is looked at first
 *	GET /-/written              serve/written.h
 *	POST /-/canary, /-/shadow   serve/companions.h
 *	POST /-/rollback            serve/rollbacks.h
 *	POST /-/asan?deployment=NAME[&on=yes|no]
 *	                            build it for the sanitizers, or not any more; answers like wait
 *	/-/recordings, /-/recording, /-/keep: serve/recordings.h
 */

#include <stdint.h>

struct events;
struct ingress;
struct plugin;
struct plugins;
struct route;

struct control_options {
	struct plugins *plugins; /* borrowed, all three */
	struct events *events;
	const char *version;
	uint64_t started_ns;
};

struct control;

struct control *control_new(const struct control_options *o);
struct control *control_free(struct control *c);

/* For ingress_start(); valid until control_free(). */
const struct route *control_routes(struct control *c);
void control_set_url(struct control *c, const char *url);

/* The server ends: whoever waits is told so. */
void control_stop(struct control *c);

/* A save of @p has ended, or @p goes. */
void control_settled(struct control *c, struct plugin *p);
