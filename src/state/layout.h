/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Layout
 *
 * Where the members of a state's struct lie, flat: each that has no members itself, by the name
 * that leads to it. `devserve-debug` reads it from an image's debug information; as text it goes
 * to the server, to the workers, and into checkpoints. All of them parse it as foreign: what
 * layout_parse() lets through lies within the struct.
 *
 *	state 1 SIZE NAME
 *	KIND BITS OFFSET EXTENTS NAME TAB TYPE TAB INSIDE
 *	i 64 0 - count TAB int64_t TAB
 *	f 32 64 10x16 items[].price TAB float TAB
 *
 * BITS and OFFSET in bits, of the first element; EXTENTS "-" or "10x16,3x4", the outermost first:
 * how many, and how many bytes from one to the next.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

#define LAYOUT_MAX_MEMBERS 4096u
#define LAYOUT_MAX_EXTENTS 8u
#define LAYOUT_MAX_NAME 1000u /* bytes, as of types */
#define LAYOUT_MAX_INSIDE 16384u
#define LAYOUT_MAX_TEXT (UINT64_C(1) << 20)

enum layout_kind {
	LAYOUT_SIGNED = 'i',   /* two's complement, as are enums */
	LAYOUT_UNSIGNED = 'u',
	LAYOUT_BOOL = 'b',
	LAYOUT_FLOAT = 'f',    /* IEEE 754: 16, 32 or 64 bits */
	LAYOUT_BF16 = 'h',
	LAYOUT_EXTENDED = 'x', /* x87's: 80 bits in 128 */
	LAYOUT_COMPLEX = 'c',  /* IEEE 754; its two parts are an extent */
	LAYOUT_UNION = 'v',
	LAYOUT_POINTER = 'p',
	LAYOUT_OTHER = 'o',    /* bytes, whose meaning the type's name says */
};

struct layout_extent {
	uint64_t n, stride; /* elements; bytes */
};

struct layout_member {
	char *name; /* "items[].price"; "" where the state isn't a struct */
	char *type; /* as the source says it: "float" */
	/*
	 * Of an enum its constants, "IDLE=0;BUSY=1", of a union what may be in it, "f:f 32 0 -;…";
	 * else "".
	 */
	char *inside;
	enum layout_kind kind;
	uint64_t bits, offset; /* offset in bits; whole bytes but for integers of at most 64 */
	unsigned n_extents;
	struct layout_extent extents[LAYOUT_MAX_EXTENTS];
};

struct layout {
	_Atomic unsigned n_refs;
	char *name; /* of the struct */
	uint64_t size; /* bytes */
	struct layout_member *members; /* in the order of the source */
	size_t n_members;
	bool doubled; /* two have the same name (a base class's and another one) */
};

/* Empty, one reference. Counted, by any thread; not changed once it is shared. */
struct layout *layout_new(const char *name, uint64_t size);
struct layout *layout_ref(struct layout *l);
struct layout *layout_unref(struct layout *l); /* NULL is fine. Returns NULL. */

/* Strings are copied. False: there are too many. */
bool layout_add(struct layout *l, const struct layout_member *m);

void layout_format(const struct layout *l, struct buffer *ret);

/* NULL: it isn't one, or says what can't be. */
struct layout *layout_parse(const char *text, size_t size);

/* Whether they are the same in every letter. @b: or NULL. */
bool layout_same_text(const struct layout *a, const struct layout *b);

/* How many elements it has: the product of its extents. */
uint64_t layout_count(const struct layout_member *m);

/* The member of that name, or NULL. */
const struct layout_member *layout_find(const struct layout *l, const char *name);
