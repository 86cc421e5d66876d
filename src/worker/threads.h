/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Threads
 *
 * Which threads run that an image started: it must not be unmapped under them. The program
 * exports these functions as pthread_create() and thrd_create() (Makefile), so that images and
 * their libraries find ours first. A thread belongs to the image on whose behalf the thread that
 * started it runs. Those of libraries that stay (OpenBLAS, OpenMP) belong to nobody.
 */

#include <pthread.h>
#include <threads.h>

struct threads; /* of one image */

struct threads *threads_new(void);
/* None of them may be left. NULL is fine. Returns NULL. */
struct threads *threads_free(struct threads *t);

/* What is mapped now is never unmapped. Once, before the first image. */
void threads_hold(void);

/* Neither are libraries that came later and have @part in their path. [control] or [infer], one at a time. */
void threads_hold_also(const char *part);

/*
 * The calling thread is one of ours and must not end: should the image end it (pthread_exit()),
 * the process ends, and says so as `@who ended its thread`. Once a thread.
 */
void threads_pin(const char *who);

/* The calling thread runs on behalf of @t from now on; NULL: of nobody. */
void threads_enter(struct threads *t);

/* How many of them run. Those that are just ending get a moment for it. */
unsigned threads_left(struct threads *t);

#pragma GCC visibility push(default)
int threads_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int threads_create_c11(thrd_t *ret, thrd_start_t run, void *argument);
#pragma GCC visibility pop
