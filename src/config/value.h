/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Value
 *
 * A mapping of the keys of a table, into the struct config of the reader.
 */

#include "config/key.h"
#include "config/reader.h"

/* As config_parse(). What was read before a mistake stays in the config. */
int value_read_mapping(struct reader *r, const yaml_node_t *mapping, struct keys keys);
