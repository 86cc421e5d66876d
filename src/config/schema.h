/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Schema
 *
 * The table of keys as a JSON Schema (draft 7, which editors know), for YAML is JSON to it. It
 * takes what config_parse() takes; what no schema can say is left to that: keys that are there
 * twice, aliases, tags, a second document, the size and depth of it all.
 */

struct buffer;

void schema_write(struct buffer *json);
