/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugin's config
 *
 * Its deployment.yaml is a source like any other: saving it is a save, a mistake in it is a
 * build that failed, and what served goes on. What a broken one says is not known, so what
 * was known before holds until it is mended.
 */

#include <stdbool.h>

#include "base/hash.h"
#include "build/build.h"
#include "config/config.h"
#include "deploy/deploy.h"


struct plugin_config {
	char *path; /* NULL: a single file, which has none */
	struct config config;
	char **weights; /* its `weights` as paths; NULL: not given */
	char *mistake; /* NULL: it is as it should be */
	unsigned line; /* of the mistake; 0: not known */
};

/* @plugin: its path. */
void plugin_config_init(struct plugin_config *c, const char *plugin);
void plugin_config_fini(struct plugin_config *c);

/* Read it, and give @recipe (fresh from its scan) what it says. */
void plugin_config_look(struct plugin_config *c, struct recipe *recipe);

/* Its `name` cannot be had: a mistake like any other, unless there is one already. */
void plugin_config_refuse_name(struct plugin_config *c, const char *why);

/* @source with the config. */
struct hash plugin_config_mix(struct hash config, struct hash source);

/* Of the libraries that it names: a worker that has others is of no use. */
struct hash plugin_config_libraries(const struct config *c);

/* @gate: where it says none. */
void plugin_config_settings(const struct config *c, enum deployment_gate gate, struct deployment_settings *ret);
