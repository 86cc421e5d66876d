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
#include "state/layout.h"

#define SLOT "devserve_state_slot"
#define MAX_DEPTH 32
#define MAX_LOOKED_AT 100000
#define MAX_CONSTANTS 256
#define MAX_TYPE 200u /* bytes of its name: templates may go on for ever */

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

static bool type_of(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute a;

	return dwarf_attr_integrate(die, DW_AT_type, &a) && dwarf_formref_die(&a, ret);
}

static bool is_qualifier(int tag)
{
	return tag == DW_TAG_typedef || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
	       tag == DW_TAG_atomic_type || tag == DW_TAG_restrict_type;
}

/* The type behind typedefs and qualifiers. */
static bool bare(Dwarf_Die *type)
{
	Dwarf_Die next;

	for (unsigned i = 0; is_qualifier(dwarf_tag(type)); i++) {
		if (i == MAX_DEPTH || !type_of(type, &next))
			return false;
		*type = next;
	}
	return true;
}

static const char *mark_of(int tag)
{
	switch (tag) {
	case DW_TAG_pointer_type:
		return " *";
	case DW_TAG_reference_type:
		return " &";
	case DW_TAG_rvalue_reference_type:
		return " &&";
	case DW_TAG_ptr_to_member_type:
		return " ::*";
	default:
		return NULL;
	}
}

static void put_type(struct buffer *b, Dwarf_Die *type, unsigned depth)
{
	const char *name = dwarf_diename(type), *mark = mark_of(dwarf_tag(type));
	Dwarf_Die target;

	if (name) {
		buffer_append(b, name, strlen(name) < MAX_TYPE ? strlen(name) : MAX_TYPE);
		return;
	}
	if (depth == 8) {
		buffer_puts(b, "…");
		return;
	}
	if (dwarf_tag(type) == DW_TAG_const_type)
		buffer_puts(b, "const ");
	if (dwarf_tag(type) == DW_TAG_subroutine_type)
		buffer_puts(b, "function");
	else if (type_of(type, &target))
		put_type(b, &target, depth + 1);
	else
		buffer_puts(b, mark ? "void" : dwarf_tag(type) == DW_TAG_union_type ? "union" : "unnamed");
	buffer_puts(b, mark ? mark : dwarf_tag(type) == DW_TAG_array_type ? "[]" : "");
}

static void tell_pointer(struct walk *w, const char *path, const char *type)
{
	if (w->pointers->size)
		return; /* one is enough to refuse */
	buffer_printf(w->pointers, "%s%s%s (%s)", w->layout->name, path[0] && path[0] != '[' ? "." : "", path, type);
	if (w->file)
		buffer_printf(w->pointers, ", %s:%d", path_name(w->file), w->line);
}

static bool number_of(Dwarf_Die *die, unsigned attribute, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Word value;

	if (!dwarf_attr_integrate(die, attribute, &a) || dwarf_formudata(&a, &value) != 0)
		return false;
	*ret = value;
	return true;
}

static uint64_t bytes_of(struct walk *w, Dwarf_Die *type)
{
	Dwarf_Word size = 0;

	if (dwarf_aggregate_size(type, &size) < 0)
		w->whole = false;
	return size;
}

/* Leaves */

static enum layout_kind kind_of_float(Dwarf_Die *type, uint64_t bits)
{
	const char *name = dwarf_diename(type);

	if (bits == 16)
		return name && strstr(name, "bf") ? LAYOUT_BF16 : LAYOUT_FLOAT;
	if (bits == 128)
		return name && strcmp(name, "long double") == 0 ? LAYOUT_EXTENDED : LAYOUT_OTHER;
	return bits == 32 || bits == 64 ? LAYOUT_FLOAT : LAYOUT_OTHER;
}

static enum layout_kind kind_of_base(Dwarf_Die *type, uint64_t bits)
{
	uint64_t encoding = 0;

	number_of(type, DW_AT_encoding, &encoding);
	switch (encoding) {
	case DW_ATE_boolean:
		return LAYOUT_BOOL;
	case DW_ATE_signed:
	case DW_ATE_signed_char:
		return LAYOUT_SIGNED;
	case DW_ATE_unsigned:
	case DW_ATE_unsigned_char:
	case DW_ATE_UTF:
		return LAYOUT_UNSIGNED;
	case DW_ATE_float:
		return kind_of_float(type, bits);
	case DW_ATE_complex_float:
		return bits == 64 || bits == 128 ? LAYOUT_COMPLEX : LAYOUT_OTHER;
	default:
		return LAYOUT_OTHER;
	}
}

static int64_t value_of_constant(Dwarf_Die *constant)
{
	Dwarf_Attribute a;
	Dwarf_Sword with_sign = 0;
	Dwarf_Word without = 0;

	if (!dwarf_attr(constant, DW_AT_const_value, &a))
		return 0;
	if (dwarf_whatform(&a) != DW_FORM_sdata && dwarf_whatform(&a) != DW_FORM_implicit_const &&
	    dwarf_formudata(&a, &without) == 0)
		return (int64_t)without;
	dwarf_formsdata(&a, &with_sign);
	return with_sign;
}

/* Its constants into @ret. */
static enum layout_kind look_at_enum(Dwarf_Die *type, uint64_t bits, struct buffer *ret)
{
	Dwarf_Die under, constant;
	bool negative = false;
	unsigned n = 0;

	if (dwarf_child(type, &constant) == 0) {
		do {
			int64_t value = value_of_constant(&constant);
			const char *name = dwarf_diename(&constant);

			if (dwarf_tag(&constant) != DW_TAG_enumerator || !name)
				continue;
			buffer_printf(ret, "%s%s=%" PRId64, ret->size ? ";" : "", name, value);
			negative |= value < 0;
		} while (++n < MAX_CONSTANTS && dwarf_siblingof(&constant, &constant) == 0);
	}
	if (type_of(type, &under) && bare(&under) && dwarf_tag(&under) == DW_TAG_base_type)
		return kind_of_base(&under, bits);
	return negative ? LAYOUT_SIGNED : LAYOUT_UNSIGNED;
}

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
	bool pointer = mark_of(dwarf_tag(type)) != NULL;
	enum layout_kind kind = LAYOUT_OTHER;

	put_type(&name, pointer ? type : shown, 0);
	if (!at->bits)
		at->bits = bytes_of(w, type) * 8;
	if (pointer)
		kind = LAYOUT_POINTER;
	else if (dwarf_tag(type) == DW_TAG_enumeration_type)
		kind = look_at_enum(type, at->bits, &inside);
	else if (dwarf_tag(type) == DW_TAG_base_type)
		kind = kind_of_base(type, at->bits);
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

	if (dwarf_attr(member, DW_AT_data_member_location, &a) && !number_of(member, DW_AT_data_member_location, &bytes))
		w->whole = false; /* a virtual base class's, which is found by code */
	ret->bits = 0;
	number_of(member, DW_AT_bit_size, &ret->bits);
	ret->offset += bytes * 8;
	if (number_of(member, DW_AT_data_bit_offset, &bit))
		ret->offset += bit;
	else if (number_of(member, DW_AT_bit_offset, &bit) && number_of(member, DW_AT_byte_size, &storage))
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
	if (!type_of(member, &type)) {
		w->whole = false;
		return;
	}
	behind = type;
	is_union = bare(&behind) && dwarf_tag(&behind) == DW_TAG_union_type;
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
	put_type(&name, shown, 0);
	add_member(w, at, path, LAYOUT_UNION, buffer_text(&name), buffer_text(&inside));
}

/* Arrays */

static uint64_t elements_of(Dwarf_Die *subrange)
{
	uint64_t n;

	if (number_of(subrange, DW_AT_count, &n))
		return n;
	if (number_of(subrange, DW_AT_upper_bound, &n) && n < UINT64_C(1) << 40)
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
	if (!type_of(type, &element))
		w->whole = false;
	else if (put_extents(w, type, bytes_of(w, &element), &inner, at))
		look_into(w, &element, buffer_text(&inner), depth + 1, *at);
}

static void look_into(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth, struct place at)
{
	Dwarf_Die shown = *type;

	if (depth == MAX_DEPTH || ++w->looked_at >= MAX_LOOKED_AT || !bare(type)) {
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

/* Finding it */

static bool find_slot(Dwarf_Die *parent, unsigned depth, Dwarf_Die *ret)
{
	Dwarf_Die child;

	if (depth == MAX_DEPTH || dwarf_child(parent, &child) != 0)
		return false;
	do {
		const char *name = dwarf_diename(&child);

		if (dwarf_tag(&child) == DW_TAG_variable && name && strcmp(name, SLOT) == 0) {
			*ret = child;
			return true;
		}
		if (dwarf_tag(&child) == DW_TAG_namespace && find_slot(&child, depth + 1, ret))
			return true;
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

/* The type of the state, typedefs left. */
static bool find_state(Dwarf *dwarf, Dwarf_Die *ret)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die, slot, pointer;

	while (dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &die, NULL) == 0)
		if (find_slot(&die, 0, &slot))
			return type_of(&slot, &pointer) && bare(&pointer) &&
			       dwarf_tag(&pointer) == DW_TAG_pointer_type && type_of(&pointer, ret);
	return false;
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
	if (!dwarf || !find_state(dwarf, &state)) {
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
