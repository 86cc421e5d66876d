/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Key
 *
 * The table of what deployment.yaml may say. Its reader (value.h), its JSON Schema (schema.h),
 * and hence editors, follow it: a new key is a row.
 */

#include <stddef.h>

enum key_kind {	      /* value in the file; its place in struct config */
	KEY_NAME,     /* letters, digits, '_', '-', '.'; char * */
	KEY_CHOICE,   /* one of `choices`; unsigned, its place there counted from 1 */
	KEY_TEXTS,    /* list of texts that aren't empty; char ** */
	KEY_LINES,    /* likewise, of one line each, without tabs */
	KEY_WHOLE,    /* whole number; unsigned */
	KEY_SECONDS,  /* number; unsigned, of milliseconds */
	KEY_NUMBER,   /* number; double */
	KEY_BOOL,     /* bool */
	KEY_MAPPING,  /* keys of its own; their places are in struct config too */
	KEY_ANY,      /* char *, as JSON */
};

enum { KEY_MAX_NAME = 64, KEY_MAX_TEXTS = 1024 };

struct keys {
	const struct key *rows;
	size_t n; /* < 64 */
};

struct key {
	const char *name;
	enum key_kind kind;
	size_t offset;         /* in struct config */
	double min, max;       /* KEY_WHOLE, KEY_SECONDS, KEY_NUMBER: both may be */
	struct keys keys;      /* KEY_MAPPING */
	const char *const *choices; /* KEY_CHOICE; NULL ends them */
	const char *fallback;  /* JSON; NULL: what isn't there isn't there */
	const char *example;   /* JSON */
	const char *help;      /* for who hovers over it in an editor */
};

/* Of the whole file. */
extern const struct keys config_keys;

const struct key *key_find(struct keys among, const char *name);
