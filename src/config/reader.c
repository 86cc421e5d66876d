/* SPDX-License-Identifier: MIT */
#include "config/reader.h"

#include <stdarg.h>
#include <string.h>

#include "base/buffer.h"

int reader_mistake(struct reader *r, const yaml_node_t *at, const char *format, ...)
{
	va_list args;

	*r->line = (unsigned)at->start_mark.line + 1;
	va_start(args, format);
	buffer_vprintf(r->why, format, args);
	va_end(args);
	return 1;
}

const yaml_node_t *reader_node(const struct reader *r, int index)
{
	return yaml_document_get_node(r->document, index);
}

const char *reader_text(const yaml_node_t *n)
{
	const char *text = (const char *)n->data.scalar.value;

	return n->type == YAML_SCALAR_NODE && strlen(text) == n->data.scalar.length ? text : NULL;
}

bool reader_is_plain(const yaml_node_t *n)
{
	return n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}
