/* SPDX-License-Identifier: MIT */

/*
 * What holds for every struct layout, whoever made the text: each element of each member lies
 * within the size, elements are at most as many as the struct has bits (so that work on all of
 * them is bounded by its size), and only integers lie beside whole bytes. layout_add() is where
 * that is looked at, so that the program which reads debug information and those which read its
 * text are of one mind.
 */

#include "state/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <devserve/ext/state.h>

#include "base/buffer.h"
#include "base/memory.h"

#define FIRST_LINE "state 1 "

struct layout *layout_new(const char *name, uint64_t size)
{
	struct layout *l = xcalloc(1, sizeof(*l));

	l->n_refs = 1;
	l->name = xstrdup(name);
	l->size = size;
	return l;
}

struct layout *layout_ref(struct layout *l)
{
	l->n_refs++;
	return l;
}

struct layout *layout_unref(struct layout *l)
{
	if (!l || --l->n_refs)
		return NULL;
	for (size_t i = 0; i < l->n_members; i++) {
		free(l->members[i].name);
		free(l->members[i].type);
		free(l->members[i].inside);
	}
	free(l->members);
	free(l->name);
	free(l);
	return NULL;
}

uint64_t layout_count(const struct layout_member *m)
{
	uint64_t n = 1;

	for (unsigned i = 0; i < m->n_extents; i++)
		n *= m->extents[i].n; /* at most as many as there are bits: looked at by layout_add() */
	return n;
}

const struct layout_member *layout_find(const struct layout *l, const char *name)
{
	for (size_t i = 0; i < l->n_members; i++)
		if (strcmp(l->members[i].name, name) == 0)
			return &l->members[i];
	return NULL;
}

/* What can be */

static bool has_good_size(const struct layout_member *m)
{
	bool integer = m->kind == LAYOUT_SIGNED || m->kind == LAYOUT_UNSIGNED || m->kind == LAYOUT_BOOL;

	if (m->offset % 8 || m->bits % 8)
		return integer && m->bits <= 64;
	switch (m->kind) {
	case LAYOUT_FLOAT:
	case LAYOUT_COMPLEX:
		return m->bits == 16 || m->bits == 32 || m->bits == 64;
	case LAYOUT_BF16:
		return m->bits == 16;
	case LAYOUT_EXTENDED:
		return m->bits == 128;
	case LAYOUT_BOOL:
		return m->bits <= 64;
	case LAYOUT_SIGNED:
	case LAYOUT_UNSIGNED:
	case LAYOUT_UNION:
	case LAYOUT_POINTER:
	case LAYOUT_OTHER:
		return true;
	}
	return false;
}

/* Every element of @m is in a struct of @size bytes. */
static bool lies_within(const struct layout_member *m, uint64_t size)
{
	uint64_t end = m->offset, most = size * 8, n = 1;

	if (!m->bits || m->bits > most || m->offset > most - m->bits || m->n_extents > LAYOUT_MAX_EXTENTS)
		return false;
	end += m->bits;
	for (unsigned i = 0; i < m->n_extents; i++) {
		const struct layout_extent *e = &m->extents[i];

		if (!e->n || e->n > size || e->stride > size)
			return false;
		end += (e->n - 1) * e->stride * 8; /* both below 2^30 */
		n *= e->n;
		if (end > most || n > most)
			return false;
	}
	return true;
}

static bool is_text(const char *s, size_t at_most)
{
	size_t n = 0;

	for (; s[n]; n++)
		if ((unsigned char)s[n] < ' ' || s[n] == 0x7f)
			return false;
	return n <= at_most;
}

bool layout_add(struct layout *l, const struct layout_member *m)
{
	if (l->n_members == LAYOUT_MAX_MEMBERS || l->size > DEVSERVE_MAX_STATE || !has_good_size(m) ||
	    !lies_within(m, l->size) || !is_text(m->name, LAYOUT_MAX_NAME) || !is_text(m->type, LAYOUT_MAX_NAME) ||
	    !is_text(m->inside, LAYOUT_MAX_INSIDE))
		return false;
	if (l->n_members % 64 == 0)
		l->members = xrealloc(l->members, (l->n_members + 64) * sizeof(*l->members));
	l->members[l->n_members] = *m;
	l->members[l->n_members].name = xstrdup(m->name);
	l->members[l->n_members].type = xstrdup(m->type);
	l->members[l->n_members].inside = xstrdup(m->inside);
	l->n_members++;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether as a whole it is what the top of this file says. */
static bool complete(struct layout *l)
{
	_cleanup_free_ char **names = xmalloc((l->n_members + 1) * sizeof(*names));
	uint64_t n = 0;

	for (size_t i = 0; i < l->n_members; i++) {
		names[i] = l->members[i].name;
		n += layout_count(&l->members[i]);
	}
	qsort(names, l->n_members, sizeof(*names), by_name);
	for (size_t i = 1; i < l->n_members; i++)
		l->doubled |= strcmp(names[i - 1], names[i]) == 0;
	return l->size && n <= l->size * 8;
}

/* Writing */

static void format_member(const struct layout_member *m, struct buffer *ret)
{
	buffer_printf(ret, "%c %" PRIu64 " %" PRIu64 " ", m->kind, m->bits, m->offset);
	for (unsigned i = 0; i < m->n_extents; i++)
		buffer_printf(ret, "%s%" PRIu64 "x%" PRIu64, i ? "," : "", m->extents[i].n, m->extents[i].stride);
	buffer_printf(ret, "%s %s\t%s\t%s\n", m->n_extents ? "" : "-", m->name, m->type, m->inside);
}

void layout_format(const struct layout *l, struct buffer *ret)
{
	buffer_printf(ret, FIRST_LINE "%" PRIu64 " %s\n", l->size, l->name);
	for (size_t i = 0; i < l->n_members; i++)
		format_member(&l->members[i], ret);
}

bool layout_same_text(const struct layout *a, const struct layout *b)
{
	_cleanup_buffer_ struct buffer one = BUFFER_NULL, other = BUFFER_NULL;

	if (a == b || !b)
		return a == b;
	layout_format(a, &one);
	layout_format(b, &other);
	return strcmp(one.data, other.data) == 0;
}

/* Reading */

static bool take_number(char **at, char after, uint64_t *ret)
{
	uint64_t n = 0;
	char *s = *at;

	while (*s >= '0' && *s <= '9' && n < UINT64_C(1) << 40)
		n = n * 10 + (uint64_t)(*s++ - '0');
	if (s == *at || *s != after)
		return false;
	*at = s + 1;
	*ret = n;
	return true;
}

/* Up to the next @after, which becomes its end. */
static char *take_text(char **at, char after)
{
	char *s = *at, *end = strchr(s, after);

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return s;
}

static bool take_extents(char *at, struct layout_member *ret)
{
	if (strcmp(at, "-") == 0)
		return true;
	for (;;) {
		struct layout_extent *e = &ret->extents[ret->n_extents];
		bool last;

		if (ret->n_extents == LAYOUT_MAX_EXTENTS || !take_number(&at, 'x', &e->n))
			return false;
		last = !strchr(at, ',');
		if (!take_number(&at, last ? '\0' : ',', &e->stride))
			return false;
		ret->n_extents++;
		if (last)
			return true;
	}
}

static bool parse_member(struct layout *l, char *line)
{
	struct layout_member m = { .kind = (enum layout_kind)line[0] };
	char *at = line + 2, *extents;

	if (!line[0] || line[1] != ' ' || !take_number(&at, ' ', &m.bits) || !take_number(&at, ' ', &m.offset))
		return false;
	extents = take_text(&at, ' ');
	if (!extents || !take_extents(extents, &m))
		return false;
	m.name = take_text(&at, '\t');
	m.type = m.name ? take_text(&at, '\t') : NULL;
	m.inside = at;
	return m.type && layout_add(l, &m);
}

static struct layout *parse_first(char *line)
{
	char *at = line + sizeof(FIRST_LINE) - 1;
	uint64_t size;

	if (strncmp(line, FIRST_LINE, sizeof(FIRST_LINE) - 1) != 0 || !take_number(&at, ' ', &size) ||
	    !is_text(at, LAYOUT_MAX_NAME))
		return NULL;
	return layout_new(at, size);
}

struct layout *layout_parse(const char *text, size_t size)
{
	_cleanup_free_ char *copy = NULL;
	struct layout *l = NULL;
	char *at, *line;

	if (size > LAYOUT_MAX_TEXT || memchr(text, '\0', size))
		return NULL;
	at = copy = xstrndup(text, size);
	line = take_text(&at, '\n');
	l = line ? parse_first(line) : NULL;
	while (l && *at) {
		line = take_text(&at, '\n');
		if (!line || !parse_member(l, line))
			l = layout_unref(l);
	}
	return l && complete(l) ? l : layout_unref(l);
}
