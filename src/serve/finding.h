/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finding
 *
 * A sanitizer's report (replica/sanitizer.h), read: its stacks as addresses in files, which
 * devserve-debug makes lines of, and the places that it names itself. The text comes from a
 * worker, and none of it is believed beyond what can be shown.
 */

#include <stddef.h>

struct crash;

#define FINDING_STACKS 4

struct finding_place { /* file NULL: not known; line 0: neither */
	char *file;
	unsigned line, column;
};

struct finding {
	char *what; /* "heap-buffer-overflow: wrote 4 bytes, …" */
	struct crash *crash; /* the frames of all stacks; a frame with address 0 is between two of them */
	const char *roles[FINDING_STACKS]; /* of each stack: "" of where it happened; "allocated here" */
	size_t n_stacks;
	struct finding_place place;    /* where it happened, if the report says */
	char *function; /* of the GPU, there; or NULL */
	struct finding_place variable; /* declaration of the variable at hand; without a file: in the first stack's */
	char *variable_name;           /* or NULL */
};

/* free() by finding_free(). */
struct finding *finding_read(const char *report);
struct finding *finding_free(struct finding *f);
