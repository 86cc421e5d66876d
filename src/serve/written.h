/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Written
 *
 *	GET /-/written
 *
 * answers once all that was told before is in the history's file, or can't be: who reads that file
 * then knows of every save that he has seen. Loop's thread only.
 */

struct exchange;
struct plugins;
struct written;

struct written *written_new(struct plugins *plugins);
/* NULL is fine. Returns NULL. */
struct written *written_free(struct written *w);

/* The server ends: whoever waits is told so. */
void written_stop(struct written *w);

/* A route (ingress.h); @context is the struct written. */
void written_on_asked(void *context, struct exchange *x);
