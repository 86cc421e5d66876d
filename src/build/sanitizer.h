/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sanitizer
 *
 * Images that find their own mistakes: compiled with the address sanitizer, which sees each access
 * beside or after a variable or a block of memory, and the undefined behaviour sanitizer. They
 * need a library of the compiler's in the process before anything else is: build_result.runtime,
 * for LD_PRELOAD.
 *
 * They know nothing of a GPU. What has CUDA sources or libraries is built as it is usually, and
 * the runtime is NVIDIA's compute-sanitizer, a program that its worker is started by.
 */

#include <stdbool.h>

struct build;
struct cuda;
struct compiler;
struct recipe;
struct words;

/* Part of the keys of what is built so: another text, another meaning of the flags. */
#define SANITIZER_NAME "address,undefined 1"

void sanitizer_add_flags(const struct compiler *c, struct words *ret);
void sanitizer_add_link_flags(const struct compiler *c, struct words *ret);

/* Whether the compiler makes something else of @r than usually. */
bool sanitizer_instruments(const struct recipe *r);

/* compute-sanitizer, of that toolkit or in PATH; free(). NULL: nowhere. */
char *sanitizer_find_for_gpu(const struct cuda *c);

/* Find b->runtime; build_sanitizer_found() comes, maybe at once. */
void sanitizer_ask(struct build *b);
