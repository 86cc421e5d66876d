/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The Open Inference Protocol's own routes, /v2 and below.
 */

#include <stdbool.h>

struct exchange;
struct head;
struct ingress;
struct plan;

/* False: the path is none of the protocol's. */
bool v2_plan(struct ingress *in, struct exchange *x, const struct head *h, struct plan *ret);

/* The request's body is about to come. It may be refused here. */
void v2_receive(struct exchange *x, const struct head *h);
