/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Type
 *
 * What debug information says of one type: what is behind it, what it is called, what its values are.
 * All of it may be wrong, and is bounded.
 */

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#include "state/layout.h"

struct buffer;

/* Of the state, typedefs left. False: the image says nothing of one. */
bool type_of_state(Dwarf *dwarf, Dwarf_Die *ret);

/* DW_AT_type of a variable, a member, a type. */
bool type_behind(Dwarf_Die *die, Dwarf_Die *ret);
/* The type behind typedefs and qualifiers, in its place. False: there is no end of them. */
bool type_bare(Dwarf_Die *type);
/* A number that is an attribute of @die. */
bool type_number(Dwarf_Die *die, unsigned attribute, uint64_t *ret);

/* As the source calls it. */
void type_put(struct buffer *b, Dwarf_Die *type, unsigned depth);
/* " *" and its like of pointers and references; NULL: it is none. @tag: of its DIE. */
const char *type_mark(int tag);

/* Of a base type. */
enum layout_kind type_kind(Dwarf_Die *type, uint64_t bits);
/* Of an enum, with its constants in @ret. */
enum layout_kind type_constants(Dwarf_Die *type, uint64_t bits, struct buffer *ret);
