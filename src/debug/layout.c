/* SPDX-License-Identifier: MIT */

/*
 * The state's struct is what `devserve_state_slot` points to, a variable that the macro of
 * <devserve/ext/state.h> defines. Its members are listed flat (state/layout.h), down to what has no
 * members; a union is one. DWARF may be wrong or made to hurt: depth and number of what is looked at
 * are bounded, layout_add() refuses what can't be, and the caller bounds time and memory.
 */

#include "debug/layout.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "debug/type.h"
#include "state/layout.h"

#define MAX_DEPTH 32
#define MAX_LOOKED_AT 100000

/* Exit statuses; layout.h has their meaning. */
enum { FINE = 0, UNUSABLE = 1, POINTER = 3 };

struct walk {
	struct layout *layout;
	struct buffer *pointers; /* sentence; empty: none yet */
	unsigned looked_at;
	bool whole; /* everything was seen */
	const char *file; /* where the outermost member stands that is looked into */
	int line;
};

/* Where something lies in the state. */
struct place {
	uint64_t offset, bits; /* bits: of a bit-field; 0: as many as its type has */
	unsigned n_extents; /* of the arrays it is in */
	struct layout_extent extents[LAYOUT_MAX_EXTENTS];
};

static void look_into(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth, struct place at);

static void tell_pointer(struct walk *w, const char *path, const char *type)
{
	if (w->pointers->size)
		return; /* one is enough to refuse */
	buffer_printf(w->pointers, "%s%s%s (%s)", w->layout->name, path[0] && path[0] != '[' ? "." : "", path, type);
	if (w->file)
		buffer_printf(w->pointers, ", %s:%d", path_name(w->file), w->line);
}

static uint64_t bytes_of(struct walk *w, Dwarf_Die *type)
{
	Dwarf_Word size = 0;

	if (dwarf_aggregate_size(type, &size) < 0)
		w->whole = false;
	return size;
}

/* Leaves */

static void add_member(struct walk *w, const struct place *at, const char *path, enum layout_kind kind,
		       const char *type, const char *inside)
{
	struct layout_member m = { .name = (char *)path, .type = (char *)type, .inside = (char *)inside,
				   .kind = kind, .bits = at->bits, .offset = at->offset,
				   .n_extents = at->n_extents };

	memcpy(m.extents, at->extents, sizeof(m.extents));
	if (kind == LAYOUT_COMPLEX && m.n_extents < LAYOUT_MAX_EXTENTS) {
		m.bits /= 2;
		m.extents[m.n_extents++] = (struct layout_extent){ 2, m.bits / 8 };
	}
	if (!layout_add(w->layout, &m))
		w->whole = false;
}

/* @shown: as the source calls it. */
static void list_member(struct walk *w, Dwarf_Die *type, Dwarf_Die *shown, const char *path, struct place *at)
{
	_cleanup_buffer_ struct buffer name = BUFFER_NULL, inside = BUFFER_NULL;
	bool pointer = type_mark(dwarf_tag(type)) != NULL;
	enum layout_kind kind = LAYOUT_OTHER;

	type_put(&name, pointer ? type : shown, 0);
	if (!at->bits)
		at->bits = bytes_of(w, type) * 8;
	if (pointer)
		kind = LAYOUT_POINTER;
	else if (dwarf_tag(type) == DW_TAG_enumeration_type)
		kind = type_constants(type, at->bits, &inside);
	else if (dwarf_tag(type) == DW_TAG_base_type)
		kind = type_kind(type, at->bits);
	add_member(w, at, path, kind, buffer_text(&name), buffer_text(&inside));
	if (pointer)
		tell_pointer(w, path, buffer_text(&name));
}

/* What has members */

static bool is_static(Dwarf_Die *member)
{
	Dwarf_Attribute a;

	return dwarf_attr(member, DW_AT_external, &a) || dwarf_attr(member, DW_AT_declaration, &a);
}

/* libdw takes file 0 for none; since DWARF 5 it is the source itself, and clang says so. */
static const char *file_of(Dwarf_Die *die)
{
	const char *file = dwarf_decl_file(die);
	Dwarf_Attribute attribute;
	Dwarf_Word index;
	Dwarf_Die unit;

	if (!file && dwarf_formudata(dwarf_attr(die, DW_AT_decl_file, &attribute), &index) == 0 && index == 0 &&
	    dwarf_diecu(die, &unit, NULL, NULL))
		file = dwarf_diename(&unit);
	return file;
}

/* Where @member lies in what lies at @ret. A bit-field is counted from its storage up to DWARF 3. */
static void go_to_member(struct walk *w, Dwarf_Die *member, struct place *ret)
{
	uint64_t bytes = 0, bit = 0, storage = 0;
	Dwarf_Attribute a;

	if (dwarf_attr(member, DW_AT_data_member_location, &a) && !type_number(member, DW_AT_data_member_location, &bytes))
		w->whole = false; /* a virtual base class's, which is found by code */
	ret->bits = 0;
	type_number(member, DW_AT_bit_size, &ret->bits);
	ret->offset += bytes * 8;
	if (type_number(member, DW_AT_data_bit_offset, &bit))
		ret->offset += bit;
	else if (type_number(member, DW_AT_bit_offset, &bit) && type_number(member, DW_AT_byte_size, &storage))
		ret->offset += storage * 8 - bit - ret->bits;
}

/* An unnamed struct's members are those of what it is in; of unnamed unions there may be several. */
static void put_path(struct buffer *ret, const char *path, Dwarf_Die *member, bool is_union, unsigned nth_union)
{
	const char *name = dwarf_tag(member) == DW_TAG_member ? dwarf_diename(member) : NULL;

	buffer_puts(ret, path);
	if (!name && !is_union)
		return;
	if (path[0])
		buffer_putc(ret, '.');
	if (name)
		buffer_puts(ret, name);
	else
		buffer_printf(ret, "(union %u)", nth_union);
}

static void look_at_member(struct walk *w, Dwarf_Die *member, const char *path, unsigned depth, struct place at,
			   unsigned *n_unions)
{
	_cleanup_buffer_ struct buffer inner = BUFFER_NULL;
	bool is_union;
	Dwarf_Die type, behind;

	if (is_static(member))
		return;
	if (depth == 0)
		w->file = NULL;
	if (!w->file) { /* a base class has none, so its members' */
		w->file = file_of(member);
		dwarf_decl_line(member, &w->line);
	}
	if (!type_behind(member, &type)) {
		w->whole = false;
		return;
	}
	behind = type;
	is_union = type_bare(&behind) && dwarf_tag(&behind) == DW_TAG_union_type;
	*n_unions += is_union && !dwarf_diename(member);
	put_path(&inner, path, member, is_union, *n_unions);
	go_to_member(w, member, &at);
	look_into(w, &type, buffer_text(&inner), depth + 1, at);
}

static void look_at_members(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth, const struct place *at)
{
	unsigned n_unions = 0;
	Dwarf_Attribute a;
	Dwarf_Die child;

	if (dwarf_attr(type, DW_AT_declaration, &a))
		w->whole = false; /* its members are described nowhere here */
	if (dwarf_child(type, &child) != 0)
		return;
	do {
		if (dwarf_tag(&child) == DW_TAG_member || dwarf_tag(&child) == DW_TAG_inheritance)
			look_at_member(w, &child, path, depth, *at, &n_unions);
	} while (w->looked_at < MAX_LOOKED_AT && dwarf_siblingof(&child, &child) == 0);
}

static void put_inside(struct buffer *b, const struct layout_member *m)
{
	buffer_printf(b, "%s%s:%c %" PRIu64 " %" PRIu64, b->size ? ";" : "", m->name, m->kind, m->bits, m->offset);
	for (unsigned i = 0; i < m->n_extents; i++)
		buffer_printf(b, " %" PRIu64 "x%" PRIu64, m->extents[i].n, m->extents[i].stride);
	if (m->kind == LAYOUT_OTHER)
		buffer_printf(b, " %s", m->type);
}

/* One member, for which of those in it is there isn't known. */
static void look_at_union(struct walk *w, Dwarf_Die *type, Dwarf_Die *shown, const char *path, unsigned depth,
			  struct place *at)
{
	_cleanup_buffer_ struct buffer name = BUFFER_NULL, inside = BUFFER_NULL;
	struct layout *outer = w->layout;

	at->bits = bytes_of(w, type) * 8;
	w->layout = layout_new(outer->name, at->bits / 8);
	look_at_members(w, type, "", depth, &(struct place){ .bits = 0 });
	for (size_t i = 0; i < w->layout->n_members; i++)
		put_inside(&inside, &w->layout->members[i]);
	layout_unref(w->layout);
	w->layout = outer;
	type_put(&name, shown, 0);
	add_member(w, at, path, LAYOUT_UNION, buffer_text(&name), buffer_text(&inside));
}

/* Arrays */

static uint64_t elements_of(Dwarf_Die *subrange)
{
	uint64_t n;

	if (type_number(subrange, DW_AT_count, &n))
		return n;
	if (type_number(subrange, DW_AT_upper_bound, &n) && n < UINT64_C(1) << 40)
		return n + 1;
	return 0; /* as many as follow: none of them counts */
}

/* The extents of the array @type, appended. False: it has no elements, or too many extents. */
static bool put_extents(struct walk *w, Dwarf_Die *type, uint64_t element, struct buffer *path, struct place *at)
{
	unsigned first = at->n_extents;
	Dwarf_Die child;

	if (dwarf_child(type, &child) != 0)
		return false;
	do {
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		if (at->n_extents == LAYOUT_MAX_EXTENTS) {
			w->whole = false;
			return false;
		}
		at->extents[at->n_extents++].n = elements_of(&child);
		buffer_puts(path, "[]");
	} while (dwarf_siblingof(&child, &child) == 0);
	for (unsigned i = at->n_extents; i > first; i--) {
		at->extents[i - 1].stride = element;
		if (!at->extents[i - 1].n || __builtin_mul_overflow(element, at->extents[i - 1].n, &element))
			return false;
	}
	return at->n_extents > first;
}

static void look_at_array(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth, struct place *at)
{
	_cleanup_buffer_ struct buffer inner = BUFFER_NULL;
	Dwarf_Die element;

	buffer_puts(&inner, path);
	if (!type_behind(type, &element))
		w->whole = false;
	else if (put_extents(w, type, bytes_of(w, &element), &inner, at))
		look_into(w, &element, buffer_text(&inner), depth + 1, *at);
}

static void look_into(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth, struct place at)
{
	Dwarf_Die shown = *type;

	if (depth == MAX_DEPTH || ++w->looked_at >= MAX_LOOKED_AT || !type_bare(type)) {
		w->whole = false;
		return;
	}
	switch (dwarf_tag(type)) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		look_at_members(w, type, path, depth, &at);
		break;
	case DW_TAG_union_type:
		look_at_union(w, type, &shown, path, depth, &at);
		break;
	case DW_TAG_array_type:
		look_at_array(w, type, path, depth, &at);
		break;
	default:
		list_member(w, type, &shown, path, &at);
	}
}

static struct layout *look_at_state(struct walk *w, Dwarf_Die *state)
{
	const char *name = dwarf_diename(state);

	w->layout = layout_new(name ? name : "state", bytes_of(w, state));
	look_into(w, state, "", 0, (struct place){ .bits = 0 });
	return w->layout;
}

int debug_layout(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL, pointers = BUFFER_NULL;
	struct walk w = { .pointers = &pointers, .whole = true };
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	Dwarf *dwarf = fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);
	Dwarf_Die state;

	(void)argc;
	if (!dwarf || !type_of_state(dwarf, &state)) {
		fprintf(stderr, "%s\n", fd < 0 ? "the image cannot be read" : "it has no debug information of the state");
		return UNUSABLE;
	}
	layout_format(look_at_state(&w, &state), &text);
	fputs(buffer_text(&text), stdout);
	if (pointers.size)
		fprintf(stderr, "%s\n", buffer_text(&pointers));
	else if (!w.whole)
		fprintf(stderr, "not all of its members are described\n");
	layout_unref(w.layout);
	dwarf_end(dwarf);
	close(fd);
	return pointers.size ? POINTER : w.whole ? FINE : UNUSABLE;
}
