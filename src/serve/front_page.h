/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Front page
 *
 * What a browser shows at the server's address: which deployments there are, and where to ask
 * for more. HTML without scripts and styles, which the policy that goes with it forbids.
 */

struct buffer;
struct plugins;

void front_page(const struct plugins *ps, struct buffer *ret);
