/* SPDX-License-Identifier: MIT */

/*
 * A stack is a run of lines "    #1 0x7f… (/path/of/file+0x1234)", and the line before the run says
 * which one. Frames of the sanitizer's own library, which come first, and of the worker below the
 * plugin's say nothing to its author.
 *
 * To devserve-debug each file is a module that was loaded at an address of our choice.
 */

#include "serve/finding.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "replica/memcheck.h"
#include "replica/sanitizer.h"
#include "ring/crash.h"

#define MAX_FRAMES 15 /* of a stack */
#define BASE(i) ((uint64_t)((i) + 1) << 40)
#define IMAGES "/generations/"
#define WORKER "/devserve-worker"

struct reading {
	struct finding *f;
	bool in_stack, wanted, seen, over; /* of the stack that is read: an image's frame was seen; it is done */
	unsigned n; /* of its frames */
	uint32_t first; /* of them, in the crash */
};

static bool is_runtime(const char *path)
{
	return strstr(path, "libasan") || strstr(path, "libubsan") || strstr(path, "libclang_rt");
}

static uint32_t module_of(struct crash *c, const char *path)
{
	uint32_t i = 0;

	while (i < c->n_modules && strcmp(c->modules[i].path, path) != 0)
		i++;
	if (i == CRASH_MODULES || strlen(path) >= sizeof(c->modules[i].path))
		return CRASH_MODULES;
	if (i == c->n_modules) {
		memcpy(c->modules[i].path, path, strlen(path) + 1);
		c->modules[i].base = BASE(i);
		c->n_modules++;
	}
	return i;
}

static void add_frame(struct reading *r, const char *path, uint64_t offset)
{
	struct crash *c = r->f->crash;
	uint32_t module;

	r->over |= r->seen && (strstr(path, WORKER) || strstr(path, "/ld-linux"));
	if (!r->wanted || r->over || (!r->n && is_runtime(path)) || r->n == MAX_FRAMES || c->n_frames == CRASH_FRAMES)
		return;
	module = module_of(c, path);
	if (module == CRASH_MODULES)
		return;
	r->seen |= strstr(path, IMAGES) != NULL;
	c->frames[c->n_frames++] = (struct crash_frame){ .pc = BASE(module) + offset, .module = module };
	r->n++;
}

/* "    #1 0x7f…  (/path/of/file+0x1234) (BuildId: …)" */
static void take_frame(struct reading *r, const char *line)
{
	const char *path = strstr(line, " (/"), *end = path ? strchr(path, ')') : NULL, *plus = end;
	_cleanup_free_ char *copy = NULL;

	while (plus && plus > path && strncmp(plus, "+0x", 3) != 0)
		plus--;
	if (!plus || plus == path)
		return;
	copy = xstrndup(path + 2, (size_t)(plus - path - 2));
	add_frame(r, copy, strtoull(plus + 1, NULL, 16));
}

/* NULL: of no interest. */
static const char *role_of(const char *heading, size_t n_stacks)
{
	if (strstr(heading, "freed by"))
		return "freed here";
	if (strstr(heading, "allocated by"))
		return "allocated here";
	if (strstr(heading, "created by"))
		return "its thread started here";
	return n_stacks ? NULL : "";
}

static void end_stack(struct reading *r)
{
	struct crash *c = r->f->crash;

	if (r->in_stack && r->wanted && r->n && (r->seen || r->first == 0)) {
		r->f->n_stacks++;
		if (c->n_frames < CRASH_FRAMES)
			c->frames[c->n_frames++] = (struct crash_frame){ .module = UINT64_MAX };
	} else if (r->in_stack) {
		c->n_frames = r->first;
	}
	r->in_stack = false;
}

static void begin_stack(struct reading *r, const char *heading)
{
	struct finding *f = r->f;
	const char *role = f->n_stacks < FINDING_STACKS ? role_of(heading, f->n_stacks) : NULL;

	*r = (struct reading){ .f = f, .in_stack = true, .wanted = role != NULL, .first = f->crash->n_frames };
	if (role)
		f->roles[f->n_stacks] = role;
}

/* "FILE:3:7", which ends at @end. */
static void read_place(const char *start, const char *end, struct finding_place *ret)
{
	char *text = xstrndup(start, (size_t)(end - start));
	unsigned numbers[2] = { 0, 0 };
	char *colon;

	for (int i = 1; i >= 0 && (colon = strrchr(text, ':')) && isdigit((unsigned char)colon[1]); i--) {
		numbers[i] = (unsigned)strtoul(colon + 1, NULL, 10);
		*colon = '\0';
	}
	if (!numbers[0]) { /* no column */
		numbers[0] = numbers[1];
		numbers[1] = 0;
	}
	free(ret->file);
	*ret = (struct finding_place){ .file = text, .line = numbers[0], .column = numbers[1] };
}

/* What is between @before and @after, both of which are in @line; free(). */
static char *between(const char *line, const char *before, const char *after)
{
	const char *start = strstr(line, before), *end = start ? strstr(start + strlen(before), after) : NULL;

	return end ? xstrndup(start + strlen(before), (size_t)(end - start - (ptrdiff_t)strlen(before))) : NULL;
}

/* "… global variable 'g' defined in 'k.c:3:5' …", "  [32, 48) 's' (line 5) <== Memory access …" */
static void take_variable(struct finding *f, const char *line)
{
	bool local = strstr(line, " <== Memory access") != NULL;
	_cleanup_free_ char *name = local ? between(line, ") '", "'") : between(line, "variable '", "'");
	_cleanup_free_ char *place = between(line, "' defined in '", "'"), *number = between(line, " (line ", ")");

	if (f->variable_name || !name || (!local && !place) || !strstr(f->what, name))
		return;
	f->variable_name = name;
	name = NULL;
	if (place)
		read_place(place, place + strlen(place), &f->variable);
	else if (number)
		f->variable.line = (unsigned)strtoul(number, NULL, 10);
}

static void take_line(struct reading *r, const char *before, const char *line)
{
	const char *error = strstr(line, ": runtime error: ");

	if (line[0] == ' ' && line[strspn(line, " ")] == '#') {
		if (!r->in_stack)
			begin_stack(r, before);
		take_frame(r, line);
		return;
	}
	end_stack(r);
	if (error && !r->f->place.file)
		read_place(line, error, &r->f->place);
	take_variable(r->f, line);
}

struct finding *finding_read(const char *report)
{
	struct finding *f = xcalloc(1, sizeof(*f));
	_cleanup_buffer_ struct buffer what = BUFFER_NULL;
	_cleanup_free_ char *text = xstrdup(report);
	struct reading r = { .f = f };
	const char *before = "";

	f->crash = xcalloc(1, sizeof(*f->crash));
	sanitizer_describe(report, &what);
	f->what = xstrdup(buffer_text(&what));
	if (memcheck_made(report)) {
		memcheck_place(report, &f->function, &f->place.file, &f->place.line);
		return f;
	}
	for (char *line = text, *next; line; before = line, line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		take_line(&r, before, line);
	}
	end_stack(&r);
	return f;
}

struct finding *finding_free(struct finding *f)
{
	if (!f)
		return NULL;
	free(f->what);
	free(f->crash);
	free(f->place.file);
	free(f->function);
	free(f->variable.file);
	free(f->variable_name);
	free(f);
	return NULL;
}
