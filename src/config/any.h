/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Any
 *
 * A value that may be anything, as JSON.
 */

#include "config/reader.h"

/* As config_parse(); free(). */
int any_read(struct reader *r, const yaml_node_t *n, char **ret);
