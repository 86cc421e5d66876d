/* SPDX-License-Identifier: MIT */
#include "debug/type.h"

#include <dwarf.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"

#define SLOT "devserve_state_slot"
#define MAX_DEPTH 32
#define MAX_CONSTANTS 256
#define MAX_NAME 200u /* bytes: templates may go on for ever */

bool type_behind(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute a;

	return dwarf_attr_integrate(die, DW_AT_type, &a) && dwarf_formref_die(&a, ret);
}

static bool is_qualifier(int tag)
{
	return tag == DW_TAG_typedef || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
	       tag == DW_TAG_atomic_type || tag == DW_TAG_restrict_type;
}

bool type_bare(Dwarf_Die *type)
{
	Dwarf_Die next;

	for (unsigned i = 0; is_qualifier(dwarf_tag(type)); i++) {
		if (i == MAX_DEPTH || !type_behind(type, &next))
			return false;
		*type = next;
	}
	return true;
}

const char *type_mark(int tag)
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

void type_put(struct buffer *b, Dwarf_Die *type, unsigned depth)
{
	const char *name = dwarf_diename(type), *mark = type_mark(dwarf_tag(type));
	Dwarf_Die target;

	if (name) {
		buffer_append(b, name, strlen(name) < MAX_NAME ? strlen(name) : MAX_NAME);
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
	else if (type_behind(type, &target))
		type_put(b, &target, depth + 1);
	else
		buffer_puts(b, mark ? "void" : dwarf_tag(type) == DW_TAG_union_type ? "union" : "unnamed");
	buffer_puts(b, mark ? mark : dwarf_tag(type) == DW_TAG_array_type ? "[]" : "");
}

bool type_number(Dwarf_Die *die, unsigned attribute, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Word value;

	if (!dwarf_attr_integrate(die, attribute, &a) || dwarf_formudata(&a, &value) != 0)
		return false;
	*ret = value;
	return true;
}

/* What its values are */

static enum layout_kind kind_of_float(Dwarf_Die *type, uint64_t bits)
{
	const char *name = dwarf_diename(type);

	if (bits == 16)
		return name && strstr(name, "bf") ? LAYOUT_BF16 : LAYOUT_FLOAT;
	if (bits == 128)
		return name && strcmp(name, "long double") == 0 ? LAYOUT_EXTENDED : LAYOUT_OTHER;
	return bits == 32 || bits == 64 ? LAYOUT_FLOAT : LAYOUT_OTHER;
}

enum layout_kind type_kind(Dwarf_Die *type, uint64_t bits)
{
	uint64_t encoding = 0;

	type_number(type, DW_AT_encoding, &encoding);
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

enum layout_kind type_constants(Dwarf_Die *type, uint64_t bits, struct buffer *ret)
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
		} while (++n < MAX_CONSTANTS && ret->size < LAYOUT_MAX_INSIDE / 2 && dwarf_siblingof(&constant, &constant) == 0);
	}
	if (type_behind(type, &under) && type_bare(&under) && dwarf_tag(&under) == DW_TAG_base_type)
		return type_kind(&under, bits);
	return negative ? LAYOUT_SIGNED : LAYOUT_UNSIGNED;
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

bool type_of_state(Dwarf *dwarf, Dwarf_Die *ret)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die, slot, pointer;

	while (dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &die, NULL) == 0)
		if (find_slot(&die, 0, &slot))
			return type_behind(&slot, &pointer) && type_bare(&pointer) &&
			       dwarf_tag(&pointer) == DW_TAG_pointer_type && type_behind(&pointer, ret);
	return false;
}
