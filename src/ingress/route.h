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

/* Always makes a plan; a refusal is one as well. Sentences live as long as the callback. */
void route_plan(struct ingress *in, struct exchange *x, const struct head *h, struct plan *ret);

/* Methods of a route that read: GET, and HEAD as well. */
bool route_reads(const struct head *h);
