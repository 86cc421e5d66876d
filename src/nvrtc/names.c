/* SPDX-License-Identifier: MIT */

/*
 * NVRTC compiles the expressions as lines of a source of its own, and complains of them so:
 *
 *	__nv_name_map(2): error: identifier "scal" is undefined
 *	  #pragma nv_mangled_name scal<float, 4>
 *	                          ^
 *
 * The first of several complaints is the one that says why.
 */

#include "nvrtc/names.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define OPTION "--devserve-kernel="
#define PLACE "__nv_name_map("
#define SEVERITY ": error: "
#define LINE "#pragma nv_mangled_name "
#define REPETITION ". Input name expression was"

size_t names_take(struct names *n, const char **options, size_t n_options)
{
	size_t kept = 0;

	*n = (struct names){ .at = xcalloc(n_options + 1, sizeof(*n->at)) };
	for (size_t i = 0; i < n_options; i++)
		if (strncmp(options[i], OPTION, strlen(OPTION)) == 0)
			n->at[n->n++].expression = options[i] + strlen(OPTION);
		else
			options[kept++] = options[i];
	return kept;
}

static char *message_of(const char *complaint)
{
	const char *end = strchrnul(complaint, '\n'), *from = strstr(complaint, SEVERITY), *cut;

	from = from && from < end ? from + strlen(SEVERITY) : complaint;
	cut = strstr(from, REPETITION);
	return xstrndup(from, (size_t)((cut && cut < end ? cut : end) - from));
}

/* Somebody may have written one twice. */
static size_t drop(struct names *n, const char *complaint, const char *line)
{
	size_t size = strcspn(line, "\n"), dropped = 0;

	for (size_t i = 0; i < n->n; i++) {
		struct name *name = &n->at[i];

		if (name->reason || strlen(name->expression) != size || memcmp(name->expression, line, size) != 0)
			continue;
		name->reason = message_of(complaint);
		dropped++;
	}
	return dropped;
}

size_t names_drop_unknown(struct names *n, const char *log)
{
	size_t dropped = 0;

	for (const char *at = strstr(log, PLACE), *next; at; at = next) {
		const char *line = strstr(at, LINE);

		next = strstr(at + 1, PLACE);
		if (line && (!next || line < next))
			dropped += drop(n, at, line + strlen(LINE));
	}
	return dropped;
}

void names_tell(const struct name *name, const char *symbol)
{
	if (symbol)
		fprintf(stderr, "devserve-kernel\t%s\t%s\n", symbol, name->expression);
	else
		fprintf(stderr, "devserve-kernel\t\t%s\t%s\n", name->expression, name->reason ? name->reason : "");
}
