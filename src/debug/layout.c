/* SPDX-License-Identifier: MIT */

/*
 * The state's struct is what `devserve_state_slot` points to, a variable that the macro of
 * <devserve/ext/state.h> defines. Its members are listed flat, "inner.name" and "items[].name",
 * down to what has no members. DWARF may be wrong or made to hurt: depth and number of what is
 * looked at are bounded, and the caller bounds time and memory.
 */

#include "debug/layout.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"

#define SLOT "devserve_state_slot"
#define MAX_DEPTH 32
#define MAX_LOOKED_AT 100000

/* Exit statuses; layout.h has their meaning. */
enum { FINE = 0, UNUSABLE = 1, POINTER = 3 };

struct walk {
	struct buffer *json;
	struct buffer *pointers; /* sentence; empty: none yet */
	unsigned looked_at;
	bool whole; /* everything was seen */
	const char *file; /* where the outermost member stands that is looked into */
	int line;
};

static void look_into(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth);

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
		buffer_puts(b, name);
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
		buffer_puts(b, mark ? "void" : "unnamed");
	buffer_puts(b, mark ? mark : dwarf_tag(type) == DW_TAG_array_type ? "[]" : "");
}

static void tell_pointer(struct walk *w, const char *path, const char *type)
{
	if (w->pointers->size)
		return; /* one is enough to refuse */
	buffer_printf(w->pointers, "%s (%s)", path, type);
	if (w->file)
		buffer_printf(w->pointers, ", %s:%d", path_name(w->file), w->line);
}

static void list_member(struct walk *w, Dwarf_Die *type, const char *path)
{
	_cleanup_buffer_ struct buffer name = BUFFER_NULL;
	bool pointer = mark_of(dwarf_tag(type)) != NULL;
	Dwarf_Word size = 0;

	put_type(&name, type, 0);
	if (dwarf_aggregate_size(type, &size) < 0)
		size = 0;
	json_object(w->json, NULL);
	json_string(w->json, "name", path);
	json_string(w->json, "type", buffer_text(&name));
	json_uint(w->json, "size", size);
	json_bool(w->json, "pointer", pointer);
	json_object_end(w->json);
	if (pointer)
		tell_pointer(w, path, buffer_text(&name));
}

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

static void look_at_member(struct walk *w, Dwarf_Die *member, const char *path, unsigned depth)
{
	_cleanup_buffer_ struct buffer inner = BUFFER_NULL;
	const char *name = dwarf_diename(member);
	Dwarf_Die type;

	if (is_static(member))
		return;
	if (depth == 0)
		w->file = NULL;
	if (!w->file) { /* a base class has none, so its members' */
		w->file = file_of(member);
		dwarf_decl_line(member, &w->line);
	}
	buffer_puts(&inner, path);
	if (dwarf_tag(member) == DW_TAG_member && name)
		buffer_printf(&inner, ".%s", name);
	if (type_of(member, &type))
		look_into(w, &type, buffer_text(&inner), depth + 1);
	else
		w->whole = false;
}

static void look_at_members(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth)
{
	Dwarf_Attribute a;
	Dwarf_Die child;

	if (dwarf_attr(type, DW_AT_declaration, &a))
		w->whole = false; /* its members are described nowhere here */
	if (dwarf_child(type, &child) != 0)
		return;
	do {
		if (dwarf_tag(&child) == DW_TAG_member || dwarf_tag(&child) == DW_TAG_inheritance)
			look_at_member(w, &child, path, depth);
	} while (w->looked_at < MAX_LOOKED_AT && dwarf_siblingof(&child, &child) == 0);
}

static void look_into(struct walk *w, Dwarf_Die *type, const char *path, unsigned depth)
{
	_cleanup_buffer_ struct buffer inner = BUFFER_NULL;
	Dwarf_Die shown = *type, element;

	if (depth == MAX_DEPTH || ++w->looked_at >= MAX_LOOKED_AT || !bare(type)) {
		w->whole = false;
		return;
	}
	switch (dwarf_tag(type)) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
		look_at_members(w, type, path, depth);
		break;
	case DW_TAG_array_type:
		buffer_printf(&inner, "%s[]", path);
		if (type_of(type, &element))
			look_into(w, &element, buffer_text(&inner), depth + 1);
		break;
	default:
		list_member(w, mark_of(dwarf_tag(type)) ? type : &shown, path);
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

static void put_layout(struct walk *w, Dwarf_Die *state)
{
	const char *name = dwarf_diename(state);
	Dwarf_Word size = 0;

	if (dwarf_aggregate_size(state, &size) < 0)
		w->whole = false;
	name = name ? name : "state";
	json_object(w->json, NULL);
	json_string(w->json, "name", name);
	json_uint(w->json, "size", size);
	json_array(w->json, "members");
	look_into(w, state, name, 0);
	json_array_end(w->json);
	json_bool(w->json, "whole", w->whole);
	json_object_end(w->json);
}

int debug_layout(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL, pointers = BUFFER_NULL;
	struct walk w = { .json = &json, .pointers = &pointers, .whole = true };
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	Dwarf *dwarf = fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);
	Dwarf_Die state;

	(void)argc;
	if (!dwarf || !find_state(dwarf, &state)) {
		fprintf(stderr, "%s\n", fd < 0 ? "the image cannot be read" : "it has no debug information of the state");
		return UNUSABLE;
	}
	put_layout(&w, &state);
	printf("%s\n", buffer_text(&json));
	if (pointers.size)
		fprintf(stderr, "%s\n", buffer_text(&pointers));
	else if (!w.whole)
		fprintf(stderr, "not all of its members are described\n");
	dwarf_end(dwarf);
	close(fd);
	return pointers.size ? POINTER : w.whole ? FINE : UNUSABLE;
}
