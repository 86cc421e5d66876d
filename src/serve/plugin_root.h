/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugins, their root
 *
 * Which files and directories lie below the root, and whose they are. Loop's thread only.
 */

#include <stddef.h>
#include <stdint.h>

struct plugins;

/*
 * Read the root (everything), or look at what @paths belong to. @since_ns: the first event of
 * the batch.
 */
void plugins_scan(struct plugins *ps, uint64_t since_ns);
void plugins_changed(struct plugins *ps, const char *const *paths, size_t n, uint64_t since_ns);

/* Act on what lies on disk now of all of that name, without waiting for an event. */
void plugins_check(struct plugins *ps, const char *name);
