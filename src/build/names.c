/* SPDX-License-Identifier: MIT */
#include "build/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "build/build.h"

#define MARK "devserve-kernel\t" /* SYMBOL, EXPRESSION, REASON follow, with a tab between two */

void names_init(struct names *n, const struct recipe *r)
{
	*n = (struct names){ .n = 0 };
	while (r->kernels && r->kernels[n->n])
		n->n++;
	n->at = xcalloc(n->n + 1, sizeof(*n->at));
	for (size_t i = 0; i < n->n; i++)
		n->at[i] = (struct name){ .expression = r->kernels[i], .line = r->kernel_lines[i] };
}

void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->at[i].reason);
	for (size_t i = 0; i < n->n_symbols; i++)
		free(n->symbols[i].text);
	free(n->at);
	free(n->symbols);
	*n = (struct names){ .n = 0 };
}

static void add_symbol(struct names *n, struct name *name, const char *text, size_t size)
{
	name->known = true;
	n->symbols = xrealloc(n->symbols, (n->n_symbols + 1) * sizeof(*n->symbols));
	n->symbols[n->n_symbols++] = (struct symbol){ xstrndup(text, size), name };
}

/* One source that knows nothing of a name says less than one that can't make a kernel of it. */
static void set_reason(struct name *name, const char *text)
{
	if (name->reason && strstr(text, " is undefined"))
		return;
	free(name->reason);
	name->reason = xstrdup(text);
}

static void read_line(struct names *n, const char *line)
{
	size_t size = strcspn(line, "\t"), length;
	const char *expression = line[size] ? line + size + 1 : line + size;

	length = strcspn(expression, "\t");
	for (size_t i = 0; i < n->n; i++) {
		struct name *name = &n->at[i];

		if (strlen(name->expression) != length || memcmp(name->expression, expression, length) != 0)
			continue;
		if (size)
			add_symbol(n, name, line, size);
		else if (expression[length])
			set_reason(name, expression + length + 1);
	}
}

void names_read(struct names *n, const char *text, struct buffer *rest)
{
	while (*text) {
		size_t size = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, size);

		text += size + (text[size] == '\n');
		if (strncmp(line, MARK, strlen(MARK)) == 0)
			read_line(n, line + strlen(MARK));
		else
			buffer_printf(rest, "%s\n", line);
	}
}

const char *names_found_kernel(struct names *n, const char *symbol)
{
	const char *first = NULL;

	for (size_t i = 0; i < n->n_symbols; i++) {
		if (strcmp(n->symbols[i].text, symbol) != 0)
			continue;
		n->symbols[i].name->is_kernel = true;
		if (!first)
			first = n->symbols[i].name->expression;
	}
	return first;
}

void names_put(const struct names *n, struct buffer *ret)
{
	if (n->n_symbols)
		buffer_puts(ret, "devserve kernels\n");
	for (size_t i = 0; i < n->n_symbols; i++)
		buffer_printf(ret, "%s\t%s\n", n->symbols[i].text, n->symbols[i].name->expression);
}
