/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Code
 *
 * The device part of one generation: the cubins of its sources, loaded as libraries that belong
 * to no context, and their kernels by name, also by the expressions that deployment.yaml has. Loading is eager, so that no first launch waits for
 * it. Its last launch is marked by an event, before which nothing is unloaded.
 */

#include "cuda/device.h"

#define KERNEL_MAX_PARAMETERS 64

struct kernel {
	struct kernel *next;
	char *symbol; /* in the cubin */
	const char *name; /* the author's: its expression, where it has one */
	cuda_kernel kernel;
	cuda_function function; /* in our context */
	size_t sizes[KERNEL_MAX_PARAMETERS]; /* of its parameters, bytes */
	unsigned n_parameters;
	int shared;  /* bytes that it declares */
	int dynamic; /* that a launch may ask for beside, so far */
};

struct code;

/* The part of a pack that begins so names kernels by expressions of C++: lines of SYMBOL, a tab, EXPRESSION. */
#define CODE_NAMES "devserve kernels\n"

/* Load the pack (base/pack.h) of cubins at @path. 0, or -1 with a sentence. [control] */
int code_load(const struct device *d, const char *path, struct code **ret, char *why, size_t size);

/* All of them: the first, NULL if there are none. [any] */
const struct kernel *code_kernels(const struct code *c);

/* When what was launched has ended. NULL is fine. Returns NULL. [control] */
struct code *code_unload(struct code *c);

/* The kernel called @name, however an expression is spaced; NULL: there is none. [any] */
struct kernel *code_find(struct code *c, const char *name);

/* What was launched on @s so far is to end before the code goes. */
void code_mark(struct code *c, cuda_stream s);
