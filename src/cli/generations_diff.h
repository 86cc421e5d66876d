/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Two generations of a deployment, and what they differ by.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/run_case.h"

struct buffer;
struct history_reader;

struct generation_side {
	uint32_t number, before; /* before: that served then */
	char *flags, *compiler, *image, *device, *weights; /* hashes as text; "" */
	struct generation_file {
		char *path, *text;
	} *files; /* in order of paths */
	size_t n_files;
};

/* A generation between the two, or the later one: a verdict about it and the one before it. */
struct speed_step {
	uint32_t number, before;
	char verdict[16]; /* "": none */
	double ratio, low, high;
};

struct answer_diff {
	char *what, *sentence; /* sentence: NULL where there is nothing to say */
	enum case_outcome outcome;
	double max_abs, max_rel;
};

struct function_diff {
	char *name;
	char *before, *after; /* assembly; NULL: it isn't there */
	size_t n_before, n_after; /* instructions */
};

struct generations_diff {
	struct generation_side a, b;
	struct speed_step *steps; /* from a to b, or the other way round; none: they aren't in line */
	size_t n_steps;
	bool backwards;           /* b came before a */
	bool has_images;          /* of both: the following is known */
	char *unasked;            /* a sentence: why neither was asked anything; or NULL */
	struct answer_diff *answers;
	size_t n_answers;
	struct function_diff *functions; /* that differ */
	size_t n_functions, n_same;
	bool other_constants;     /* what is in .rodata differs */
};

#define GENERATIONS_DIFF_NULL { .steps = NULL }

/* @a 0: the one that served before @b. 0, or a result of history/database.h with a sentence. */
int generations_diff_read(struct history_reader *r, const char *deployment, uint32_t a, uint32_t b,
			  struct generations_diff *ret, struct buffer *why);

struct generations_place {
	const char *name, *root, *state_dir;
};

/* Answers and code, where both images are kept. 0; or the status to exit with and a sentence. */
int generations_diff_compare(struct generations_diff *d, const struct generations_place *place, struct buffer *why);

void generations_diff_fini(struct generations_diff *d);

/* The files that differ, in unified form. 0, or as above. */
int generations_diff_source(const struct generations_diff *d, bool color, struct buffer *ret, struct buffer *why);

/* "1.34× faster [1.31, 1.37]" */
void generations_diff_speed(const struct generations_diff *d, struct buffer *ret);

/* Its members, into an object that is open. 0, or as above. */
int generations_diff_json(const struct generations_diff *d, struct buffer *json, struct buffer *why);
