/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Polling
 *
 * Tells changes without the kernel's help: twice a second everything is looked at.
 */

struct root;
struct wire;

/* Returns when the root is gone; when nobody reads what is told, the process ends. */
void polling_run(const struct root *root, struct wire *wire);
