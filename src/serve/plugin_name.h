/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugin's name
 *
 * That in its config, else that of its path. One has it at a time. A name in a config that another
 * has is a mistake in that config, and changes nothing that is served.
 */

#include <stdbool.h>

struct plugin;
struct plugin_config;
struct plugins;

/* What two sources with one @name are told; @there may be NULL. free(). */
char *plugin_clash(const struct plugin *there, const char *path, const char *name);

/* false: it wants another one, and may have it. What has a mistake in its config has its name until that is mended. */
bool plugin_keeps_name(struct plugin *p);

/* The one that a plugin starts with: its path's, where that in @c is another's. free(). */
char *plugin_first_name(const struct plugins *ps, const char *path, struct plugin_config *c);
