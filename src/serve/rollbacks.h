/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Rollbacks
 *
 *	POST /-/rollback?deployment=NAME[&generation=N]
 *
 * A generation that served before serves again, under its number, until a save comes to serve. Its
 * way is that of a save: trial, load, swap. Loop's thread only.
 */

struct exchange;
struct plugin;
struct plugins;
struct rollbacks;

struct rollbacks *rollbacks_new(struct plugins *plugins);
/* NULL is fine. Returns NULL. */
struct rollbacks *rollbacks_free(struct rollbacks *r);

/* The server ends: whoever waits is told so. */
void rollbacks_stop(struct rollbacks *r);

/* @p may be going: then its rollbacks end. */
void rollbacks_settled(struct rollbacks *r, const struct plugin *p);

/* A route (ingress.h); @context is the rollbacks. */
void rollbacks_on_asked(void *context, struct exchange *x);
