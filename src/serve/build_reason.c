/* SPDX-License-Identifier: MIT */

#include "serve/build_reason.h"

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "build/build.h"

static bool is_error(const struct diagnostic *d)
{
	return strcmp(d->severity, "error") == 0 || strcmp(d->severity, "fatal error") == 0;
}

static void put_place(struct buffer *b, const struct diagnostic *d)
{
	buffer_printf(b, "%s:%u", path_name(d->file), d->line);
	if (d->column)
		buffer_printf(b, ":%u", d->column);
	buffer_puts(b, ": ");
}

void build_reason(const struct build_result *result, struct buffer *ret)
{
	const struct diagnostic *first = NULL;
	unsigned errors = 0;

	for (size_t i = 0; i < result->n_diagnostics; i++) {
		if (!is_error(&result->diagnostics[i]))
			continue;
		first = first ? first : &result->diagnostics[i];
		errors++;
	}
	if (!first) {
		buffer_puts(ret, result->text && result->text[0] ? result->text : "the build failed");
		return;
	}
	if (first->file && first->line)
		put_place(ret, first);
	else if (first->file)
		buffer_printf(ret, "%s: ", path_name(first->file));
	buffer_puts(ret, first->message);
	if (errors > 1)
		buffer_printf(ret, " (and %u more)", errors - 1);
}
