/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON, reading
 *
 * simdjson's DOM behind a C interface: the text is checked as a whole, then read through
 * nodes, which are values. There is one document a thread: nodes, and the strings they give
 * out, live until json_close() or the next json_parse().
 *
 * Strings may hold NULs. Numbers are 64-bit integers, or else doubles: -0 is the integer 0,
 * -0.0 keeps its sign, and what no double holds makes the text JSON_E_SYNTAX.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_PADDING 64   /* bytes that must be readable after the text */
#define JSON_MAX_DEPTH 100
#define JSON_KEPT (4 * 1024 * 1024) /* bytes of text for which memory is kept from one to the next */

enum {
	_JSON_E_SUCCESS,

	JSON_E_SYNTAX,
	JSON_E_DEPTH,     /* nested deeper than JSON_MAX_DEPTH */
	JSON_E_TOO_LARGE, /* 4 GiB */
	JSON_E_MEMORY,
};

enum node_type {
	NODE_ABSENT, /* a member that isn't there */
	NODE_NULL,
	NODE_BOOL,
	NODE_NUMBER,
	NODE_STRING,
	NODE_ARRAY,
	NODE_OBJECT,
};

struct node {
	size_t at; /* 0: absent */
};

/* 0 and the outermost value, or JSON_E_*; *@ret_why is a static text then. */
int json_parse(const char *text, size_t size, struct node *ret, const char **ret_why);

/* Bytes of memory that json_parse() writes to, at most; 0 for what is kept anyway. */
size_t json_memory(const char *text, size_t size);

/* The document isn't needed any more. Memory for more than JSON_KEPT is given back. */
void json_close(void);

/* Nothing has come for a while: keep only what a small one needs. */
void json_trim(void);

enum node_type node_type(struct node n);
static inline bool node_is_absent(struct node n)
{
	return !n.at;
}

/* false: it isn't one. */
bool node_bool(struct node n, bool *ret);
bool node_string(struct node n, const char **ret, size_t *ret_size);
bool node_uint(struct node n, uint64_t *ret); /* 1e3 is one */
bool node_number(struct node n, double *ret);  /* rounded, where it has more digits */

/*
 * Elements of an array, or members of an object, one after the other; none of anything else.
 *
 *	for (c = node_elements(array); node_next(&c, &element);)
 *	for (c = node_members(object); node_next_member(&c, &key, &size, &value);)
 */
struct node_cursor {
	struct node next, end;
};
struct node_cursor node_elements(struct node n);
struct node_cursor node_members(struct node n);
bool node_next(struct node_cursor *c, struct node *ret);
bool node_next_member(struct node_cursor *c, const char **ret_key, size_t *ret_size,
		      struct node *ret);

/*
 * The members of object @n that have these keys, or absent nodes. NULL, or the first key that
 * comes twice: who looked at the text before us may have taken the other one.
 */
struct node_key {
	const char *text;
	size_t size;
};
#define NODE_KEY(literal) { literal, sizeof(literal) - 1 }
static inline bool node_is_key(const struct node_key *key, const char *text, size_t size)
{
	if (key->size != size)
		return false;
	for (size_t i = 0; i < size; i++) /* too short for a call of memcmp() */
		if (key->text[i] != text[i])
			return false;
	return true;
}
const struct node_key *node_pick(struct node n, const struct node_key *keys, size_t n_keys,
				 struct node *ret);

/* What is wrong with the data of a tensor. */
enum {
	_NODE_E_SUCCESS,

	NODE_E_SHAPE, /* neither flat with as many elements as @shape has, nor nested like it */
	NODE_E_TYPE,  /* an element is of another kind than the datatype */
	NODE_E_RANGE, /* an element is a number that the datatype cannot hold */
};

/* Where in the data: data[index[0]][index[1]]…; depth 0 is the data itself. */
struct node_place {
	uint32_t depth;
	uint64_t index[DEVSERVE_MAX_RANK];
};

/* Bytes of array @n as a BYTES tensor of @shape (its product fits). 0 or NODE_E_* and where. */
int node_bytes_size(struct node n, const int64_t *shape, uint32_t rank, uint64_t *ret,
		    struct node_place *ret_place);

/*
 * Write array @n to @data as a tensor: @data has room for what @shape and @dtype promise, or
 * for what node_bytes_size() said. Not for FP16 and BF16. 0 or NODE_E_* and where.
 */
int node_fill(struct node n, uint32_t dtype, const int64_t *shape, uint32_t rank, void *data,
	      struct node_place *ret_place);

bool json_is_utf8(const char *text, size_t size);

#ifdef __cplusplus
}
#endif
