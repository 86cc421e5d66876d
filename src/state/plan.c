/* SPDX-License-Identifier: MIT */

/*
 * A name with its "[]" is found again or it isn't; then one question is left, since a member that
 * seems gone may just have become an array, or a struct: whether without "[]" it is, begins, or
 * continues the name of a new one. That is a misfit and not a loss.
 */

#include "state/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define LISTED 4

static void list_put(struct plan_list *list, const struct buffer *text)
{
	if (list->n < LISTED)
		buffer_printf(&list->text, "%s%s", list->n ? ", " : "", buffer_text(text));
	list->n++;
}

static void list_end(struct plan_list *list)
{
	if (list->n > LISTED)
		buffer_printf(&list->text, " and %u more", list->n - LISTED);
}

static void put_name(struct buffer *b, const struct layout *l, const struct layout_member *m)
{
	buffer_printf(b, "%s%s%s", l->name, m->name[0] && m->name[0] != '[' ? "." : "", m->name);
}

static void list_member(struct plan_list *list, const struct layout *l, const struct layout_member *m)
{
	_cleanup_buffer_ struct buffer name = BUFFER_NULL;

	put_name(&name, l, m);
	list_put(list, &name);
}

/* Values */

static bool is_integer(const struct layout_member *m)
{
	return m->kind == LAYOUT_SIGNED || m->kind == LAYOUT_UNSIGNED || m->kind == LAYOUT_BOOL;
}

static bool is_float(const struct layout_member *m)
{
	return m->kind == LAYOUT_FLOAT || m->kind == LAYOUT_BF16 || m->kind == LAYOUT_EXTENDED;
}

static bool is_enum(const struct layout_member *m)
{
	return is_integer(m) && m->inside[0];
}

/* Bytes of the piece of a list "A=0;B=1" at @at. */
static size_t piece_size(const char *at)
{
	return strcspn(at, ";");
}

static const char *next_piece(const char *at)
{
	at += piece_size(at);
	return *at ? at + 1 : at;
}

static bool has_piece(const char *list, const char *piece, size_t size)
{
	for (; *list; list = next_piece(list))
		if (piece_size(list) == size && memcmp(list, piece, size) == 0)
			return true;
	return false;
}

/* The piece of @list for the constant that @piece is about, or NULL. */
static const char *same_constant(const char *list, const char *piece)
{
	size_t size = strcspn(piece, "=;");

	for (; *list; list = next_piece(list))
		if (strcspn(list, "=;") == size && memcmp(list, piece, size) == 0)
			return list;
	return NULL;
}

/* A constant that means another number now. */
static bool moves_constant(const struct layout_member *a, const struct layout_member *b, struct buffer *why)
{
	for (const char *was = a->inside; *was; was = next_piece(was)) {
		const char *is = same_constant(b->inside, was);
		size_t name = strcspn(was, "=;"), size = piece_size(was);

		if (!is || (piece_size(is) == size && memcmp(is, was, size) == 0))
			continue;
		buffer_printf(why, " was written when %.*s was %.*s, which is %.*s now", (int)name, was,
			      (int)(size - name - 1), was + name + 1, (int)(piece_size(is) - name - 1), is + name + 1);
		return true;
	}
	return false;
}

static bool keeps_sign(const struct layout_member *a, const struct layout_member *b)
{
	if (a->kind == LAYOUT_BOOL)
		return b->bits >= 8 || b->kind != LAYOUT_SIGNED;
	return a->kind == b->kind || (is_enum(a) && is_enum(b) && a->bits == b->bits);
}

static bool integer_fits(const struct layout_member *a, const struct layout_member *b, const char **ret_verb)
{
	if (b->kind == LAYOUT_BOOL && a->kind != LAYOUT_BOOL)
		return false;
	if (!keeps_sign(a, b)) {
		*ret_verb = "changes its sign";
		return false;
	}
	*ret_verb = "narrows";
	return a->bits <= b->bits;
}

static bool float_fits(const struct layout_member *a, const struct layout_member *b, const char **ret_verb)
{
	*ret_verb = a->bits > b->bits ? "narrows" : "changes";
	return a->bits < b->bits || (a->bits == b->bits && a->kind == b->kind);
}

static bool union_fits(const struct layout_member *a, const struct layout_member *b)
{
	bool same = strcmp(a->inside, b->inside) == 0;

	for (const char *at = a->inside; !same && *at; at = next_piece(at))
		if (!has_piece(b->inside, at, piece_size(at)))
			return false;
	return a->bits <= b->bits;
}

static bool value_fits(const struct layout_member *a, const struct layout_member *b, const char **ret_verb)
{
	*ret_verb = "changes";
	if (is_integer(a) && is_integer(b))
		return integer_fits(a, b, ret_verb);
	if (is_float(a) && is_float(b))
		return float_fits(a, b, ret_verb);
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case LAYOUT_COMPLEX:
		*ret_verb = "narrows";
		return a->bits <= b->bits;
	case LAYOUT_UNION:
		return union_fits(a, b);
	default:
		return a->bits == b->bits && strcmp(a->type, b->type) == 0;
	}
}

static void put_type(struct buffer *b, const struct layout_member *m, bool with_bits)
{
	buffer_puts(b, m->type[0] ? m->type : "something");
	for (unsigned i = 0; i < m->n_extents; i++)
		if (m->kind != LAYOUT_COMPLEX || i + 1 < m->n_extents)
			buffer_printf(b, "[%" PRIu64 "]", m->extents[i].n);
	if (with_bits)
		buffer_printf(b, " (%" PRIu64 " bits)", m->bits);
}

static void tell_change(const struct layout_member *a, const struct layout_member *b, const char *verb,
			struct buffer *why)
{
	bool alike = strcmp(a->type, b->type) == 0 && a->n_extents == b->n_extents;

	if (a->kind == LAYOUT_UNION && b->kind == LAYOUT_UNION) {
		buffer_puts(why, " is a union that has changed, and which of its members was written isn't known");
		return;
	}
	buffer_printf(why, " %s from ", verb);
	put_type(why, a, alike);
	buffer_puts(why, " to ");
	put_type(why, b, alike);
}

/* Whether each element of @a can be one of @b; else @why, without the name. */
static bool member_fits(const struct layout_member *a, const struct layout_member *b, struct buffer *why)
{
	const char *verb = "changes";

	if (a->n_extents != b->n_extents || !value_fits(a, b, &verb)) {
		tell_change(a, b, verb, why);
		return false;
	}
	for (unsigned i = 0; i < a->n_extents; i++) {
		if (a->extents[i].n <= b->extents[i].n)
			continue;
		buffer_printf(why, " shrinks from %" PRIu64 " to %" PRIu64 " elements", a->extents[i].n,
			      b->extents[i].n);
		return false;
	}
	return !is_integer(a) || strcmp(a->inside, b->inside) == 0 || !moves_constant(a, b, why);
}

/* Copies */

static bool is_in_place(const struct layout_member *a, const struct layout_member *b)
{
	if (a->kind != b->kind || a->bits != b->bits || a->offset != b->offset || a->n_extents != b->n_extents)
		return false;
	for (unsigned i = 0; i < a->n_extents; i++)
		if (a->extents[i].n != b->extents[i].n || (a->extents[i].n > 1 && a->extents[i].stride != b->extents[i].stride))
			return false;
	return true;
}

/* Elements without gaps, here and there, are one of as many bytes. */
static void join_extents(struct copy *c)
{
	while (c->n_extents) {
		uint64_t bytes = c->from_bits / 8, n = c->extents[c->n_extents - 1].n;

		if (n > 1 && (c->extents[c->n_extents - 1].from_stride != bytes ||
			      c->extents[c->n_extents - 1].to_stride != bytes))
			return;
		c->from_bits = c->to_bits = bytes * n * 8;
		c->n_extents--;
	}
}

static void add_copy(struct plan *p, const struct layout_member *a, const struct layout_member *b)
{
	struct copy c = { .from_kind = a->kind, .to_kind = b->kind, .from = a->offset, .to = b->offset,
			  .from_bits = a->bits, .to_bits = b->bits, .n_extents = a->n_extents };
	bool bytes = (a->offset | a->bits | b->offset | b->bits) % 8 == 0;

	for (unsigned i = 0; i < a->n_extents; i++) {
		c.extents[i].n = a->extents[i].n;
		c.extents[i].from_stride = a->extents[i].stride;
		c.extents[i].to_stride = b->extents[i].stride;
	}
	if (a->kind == LAYOUT_UNION)
		c.to_bits = c.from_bits;
	c.how = bytes && c.from_bits == c.to_bits ? COPY_BYTES : is_integer(a) ? COPY_INTEGER : COPY_FLOAT;
	if (c.how == COPY_BYTES)
		join_extents(&c);
	p->copies[p->n_copies++] = c;
}

/* Names */

struct named {
	char *name; /* without "[]"; NULL: it was found again */
	const struct layout_member *member;
};

struct names {
	struct named *at;
	size_t n;
};

static char *without_brackets(const char *name)
{
	char *bare = xmalloc(strlen(name) + 1), *to = bare;

	for (; *name; name++)
		if (*name != '[' && *name != ']')
			*to++ = *name;
	*to = '\0';
	return bare;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void names_sort(struct names *names)
{
	if (names->n)
		qsort(names->at, names->n, sizeof(*names->at), by_name);
}

static struct names names_of(const struct layout *l)
{
	struct names names = { xmalloc((l->n_members + 1) * sizeof(*names.at)), l->n_members };

	for (size_t i = 0; i < l->n_members; i++)
		names.at[i] = (struct named){ l->members[i].name, &l->members[i] };
	names_sort(&names);
	return names;
}

/* The first that isn't before @name. */
static size_t lower_bound(const struct names *names, const char *name)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(names->at[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct named *names_find(const struct names *names, const char *name)
{
	size_t i = lower_bound(names, name);

	return i < names->n && strcmp(names->at[i].name, name) == 0 ? &names->at[i] : NULL;
}

static void names_fini(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->at[i].name);
	free(names->at);
}

/* What is in the place of @name: called so, a struct with such members, or a member that @name was in. */
static const struct layout_member *find_in_place_of(const struct names *names, const char *name)
{
	_cleanup_free_ char *part = xasprintf("%s.", name);
	size_t i = lower_bound(names, part);
	struct named *found = NULL;

	if (i < names->n && strncmp(names->at[i].name, part, strlen(part)) == 0)
		return names->at[i].member;
	for (char *end = part + strlen(part) - 1; end && !found; end = strrchr(part, '.')) {
		*end = '\0';
		found = names_find(names, part);
	}
	return found ? found->member : NULL;
}

/* Making it */

struct making {
	const struct layout *from, *to;
	struct plan *plan;
	struct names gone, fresh; /* without "[]" */
};

static void misfit(struct plan *p, const struct layout *l, const struct layout_member *m, const char *clause)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	put_name(&text, l, m);
	buffer_puts(&text, clause);
	list_put(&p->misfits, &text);
}

static void match(struct making *m, const struct layout_member *a, const struct layout_member *b)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	if (!member_fits(a, b, &why)) {
		misfit(m->plan, m->to, b, buffer_text(&why));
		return;
	}
	m->plan->in_place &= is_in_place(a, b);
	add_copy(m->plan, a, b);
}

static void put_aside(struct names *names, const struct layout_member *m)
{
	names->at[names->n++] = (struct named){ without_brackets(m->name), m };
}

/* Every new member is matched with the old one of its name. */
static void match_all(struct making *m)
{
	struct names old = names_of(m->from), new = names_of(m->to);

	for (size_t i = 0; i < m->to->n_members; i++) {
		const struct named *found = names_find(&old, m->to->members[i].name);

		if (found)
			match(m, found->member, &m->to->members[i]);
		else
			put_aside(&m->fresh, &m->to->members[i]);
	}
	for (size_t i = 0; i < m->from->n_members; i++)
		if (!names_find(&new, m->from->members[i].name))
			put_aside(&m->gone, &m->from->members[i]);
	free(old.at);
	free(new.at);
}

static void tell_gone(struct making *m, const struct named *gone)
{
	const struct layout_member *now = find_in_place_of(&m->fresh, gone->name);
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	if (!now) {
		list_member(&m->plan->removed, m->from, gone->member);
		return;
	}
	buffer_puts(&why, " (");
	put_type(&why, gone->member, false);
	buffer_puts(&why, ") has become ");
	put_name(&why, m->to, now);
	buffer_puts(&why, " (");
	put_type(&why, now, false);
	buffer_puts(&why, ")");
	misfit(m->plan, m->from, gone->member, buffer_text(&why));
}

static void tell_all(struct making *m)
{
	struct plan *p = m->plan;

	for (size_t i = 0; i < m->fresh.n; i++)
		list_member(&p->added, m->to, m->fresh.at[i].member);
	p->in_place &= !p->added.n && !m->gone.n && p->from_size == p->to_size;
	names_sort(&m->fresh);
	for (size_t i = 0; i < m->gone.n; i++)
		tell_gone(m, &m->gone.at[i]);
}

/* Which of two of the same name is which can't be told, unless all are where they were. */
static void match_by_number(struct making *m)
{
	const struct layout *a = m->from, *b = m->to;
	bool same = a->n_members == b->n_members && a->size == b->size;

	for (size_t i = 0; i < a->n_members && same; i++)
		same = strcmp(a->members[i].name, b->members[i].name) == 0 && is_in_place(&a->members[i], &b->members[i]);
	for (size_t i = 0; i < a->n_members && same; i++)
		match(m, &a->members[i], &b->members[i]);
	if (!same)
		misfit(m->plan, b, &(struct layout_member){ .name = (char[1]){ 0 } }, " has two members of the same name");
}

void plan_make(const struct layout *from, const struct layout *to, struct plan *ret)
{
	struct making m = { .from = from, .to = to, .plan = ret };

	*ret = (struct plan){ .from_size = from->size, .to_size = to->size, .in_place = true };
	ret->copies = xmalloc((to->n_members + 1) * sizeof(*ret->copies));
	m.gone.at = xmalloc((from->n_members + 1) * sizeof(*m.gone.at));
	m.fresh.at = xmalloc((to->n_members + 1) * sizeof(*m.fresh.at));
	if (from->doubled || to->doubled)
		match_by_number(&m);
	else
		match_all(&m);
	tell_all(&m);
	list_end(&ret->added);
	list_end(&ret->removed);
	list_end(&ret->misfits);
	names_fini(&m.gone);
	names_fini(&m.fresh);
}

void plan_fini(struct plan *p)
{
	free(p->copies);
	buffer_fini(&p->added.text);
	buffer_fini(&p->removed.text);
	buffer_fini(&p->misfits.text);
	*p = (struct plan)PLAN_NULL;
}
