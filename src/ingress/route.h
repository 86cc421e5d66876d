/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Route
 *
 * From the head of a request to what is to be done with it.
 */

#include <stdbool.h>

struct exchange;
struct head;
struct ingress;
struct plan;

/*
 * Always makes a plan; a refusal is one as well. Sentences live as long as the callback, and so
 * does the path of @h, which is decoded here, once, before anything is decided by it.
 */
void route_plan(struct ingress *in, struct exchange *x, struct head *h, struct plan *ret);

/* The methods of @allow are the only ones: 405, or the answer that OPTIONS asked for. */
void route_refuse_method(const struct head *h, const char *allow, struct plan *ret);

/* Methods of a route that read: GET, and HEAD as well. */
bool route_reads(const struct head *h);
