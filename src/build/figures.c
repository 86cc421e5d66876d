/* SPDX-License-Identifier: MIT */

/*
 * nvcc, and NVRTC with a dot in front of the third line:
 *
 *	ptxas info    : Compiling entry function 'softmax' for 'sm_90'
 *	ptxas info    : Function properties for softmax
 *	    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
 *	ptxas info    : Used 12 registers, used 1 barriers, 256 bytes smem
 *
 * Device functions that were not inlined come with properties of their own between two kernels;
 * their spills count for the kernel whose lines they stand among.
 */

#include "build/figures.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "build/names.h"

/* Of libstdc++; its header is for C++ alone. */
char *__cxa_demangle(const char *mangled, char *ret, size_t *size, int *ret_status);

static struct kernel_figures *add(struct figures *f, const char *name, size_t size, struct names *names)
{
	char *mangled = xstrndup(name, size);
	const char *expression = names ? names_found_kernel(names, mangled) : NULL;
	char *plain = expression ? xstrdup(expression) : strncmp(mangled, "_Z", 2) == 0 ? __cxa_demangle(mangled, NULL, NULL, NULL) : NULL;

	f->at = xrealloc(f->at, (f->n + 1) * sizeof(*f->at));
	f->at[f->n] = (struct kernel_figures){ .name = plain ? plain : mangled };
	if (plain)
		free(mangled);
	return &f->at[f->n++];
}

/* The number before @word in a line, or 0. */
static unsigned before(const char *line, const char *word)
{
	const char *p = strstr(line, word);

	if (!p)
		return 0;
	while (p > line && p[-1] == ' ')
		p--;
	while (p > line && p[-1] >= '0' && p[-1] <= '9')
		p--;
	return (unsigned)strtoul(p, NULL, 10);
}

static void read_line(struct figures *f, const char *line, struct names *names)
{
	struct kernel_figures *last = f->n ? &f->at[f->n - 1] : NULL;
	const char *name = strstr(line, "Compiling entry function '");

	if (name) {
		name = strchr(name, '\'') + 1;
		last = add(f, name, strcspn(name, "'"), names);
		name = strstr(name, "' for '");
		if (name)
			snprintf(last->architecture, sizeof(last->architecture), "%.*s", (int)strcspn(name + 7, "'"), name + 7);
	} else if (last) {
		last->stack += before(line, " bytes stack frame");
		last->spilled += before(line, " bytes spill stores") + before(line, " bytes spill loads");
		last->registers += before(line, " registers");
		last->shared += before(line, " bytes smem");
	}
}

static bool is_of_ptxas(const char *line)
{
	return strncmp(line, "ptxas info", 10) == 0 || strstr(line, " bytes stack frame, ");
}

void figures_read(struct figures *f, const char *text, struct names *names, struct buffer *rest)
{
	bool blank = false;

	while (*text) {
		size_t size = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, size);

		text += size + (text[size] == '\n');
		if (is_of_ptxas(line)) {
			read_line(f, line, names);
		} else if (!*line) {
			blank = true; /* between messages, and before the end */
		} else {
			if (blank && rest->size)
				buffer_putc(rest, '\n');
			blank = false;
			buffer_printf(rest, "%s\n", line);
		}
	}
}

void figures_fini(struct figures *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->at[i].name);
	free(f->at);
	*f = (struct figures)FIGURES_NULL;
}

void figures_copy(struct figures *to, const struct kernel_figures *from, size_t n)
{
	figures_fini(to);
	to->at = xcalloc(n + 1, sizeof(*to->at));
	for (size_t i = 0; i < n; i++) {
		to->at[i] = from[i];
		to->at[i].name = xstrdup(from[i].name);
	}
	to->n = n;
}
