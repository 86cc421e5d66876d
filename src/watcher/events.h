/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Events
 *
 * Tells changes as the kernel tells them.
 */

struct root;
struct wire;

enum {
	_EVENTS_E_SUCCESS,

	EVENTS_E_USELESS, /* can't be had, or not trusted here; why has been told */
	EVENTS_E_NO_ROOT,
};

/* Until it fails or nobody reads what is told; then the process ends. */
int events_run(const struct root *root, struct wire *wire);
