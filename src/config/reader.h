/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reader
 *
 * One walk over a YAML document: where it has got to, and where it says what is wrong.
 */

#include <stdbool.h>
#include <yaml.h>

struct buffer;
struct config;

struct reader {
	yaml_document_t *document;
	struct config *config; /* is filled */
	const char *key;       /* whose value is read */
	unsigned *line;        /* of a mistake */
	struct buffer *why;
};

/* Always 1, what config_parse() returns of a mistake. */
int reader_mistake(struct reader *r, const yaml_node_t *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

const yaml_node_t *reader_node(const struct reader *r, int index);

/* A scalar's text; NULL: it is none, or a NUL would cut it off. */
const char *reader_text(const yaml_node_t *n);
bool reader_is_plain(const yaml_node_t *n); /* a scalar without quotes */
