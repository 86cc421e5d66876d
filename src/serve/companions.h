/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Companions
 *
 * The routes that bring a second generation beside the one that serves, and end it:
 *
 *	POST /-/canary?deployment=NAME&generation=N&share=0.1
 *	POST /-/shadow?deployment=NAME&generation=N
 *	POST /-/canary?deployment=NAME&generation=off, and the same for a shadow
 *
 * An answer comes when it serves: what companion_json() says. Else 4xx with a sentence; 404 where
 * there is no such deployment.
 */

struct buffer;
struct companion_facts;
struct companions;
struct exchange;
struct plugins;

struct companions *companions_new(struct plugins *plugins);
struct companions *companions_free(struct companions *c);

/* For route tables; @context: the struct companions. */
void companions_on_canary(void *context, struct exchange *x);
void companions_on_shadow(void *context, struct exchange *x);

/* The server ends: whoever waits is told so. */
void companions_stop(struct companions *c);

/* How it stands, as members of an object that is open in @json. */
void companion_json(const struct companion_facts *f, struct buffer *json);
