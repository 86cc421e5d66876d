/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cases
 *
 * Recordings that somebody will want to look at, kept as files with the image that they are about:
 *
 *	STATE/cases/ID/in/INPUT.npy, out/OUTPUT.npy   what was asked, and answered then
 *	STATE/cases/ID/image.so, device, state        the image; its device code, a state: where it has one
 *	STATE/cases/ID/source/PATH                    what an image that never served was compiled of, from the root
 *	STATE/cases/ID/case.json                      the rest; golden.json: what a golden case says of itself
 *
 * `devserve replay ID` runs them. Tensors are written by one of libuv's threads; the oldest cases go when
 * there are more than CASES_MAX. Loop's thread only.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct cases;
struct deployment;
struct history_build;

#define CASES_MAX 64
#define CASES_SOURCE "source" /* in a case */
#define CASES_ONCE ".once"    /* ends the path of one that is kept for its asker alone */

/* What is kept beside a recording. All borrowed; copied during the call. */
struct case_facts {
	const char *plugin;    /* path of its source */
	uint32_t generation;   /* of the image; 0: it never served */
	const char *image;     /* path */
	const char *weights, *device, *state, *runtime; /* paths, or NULL */
	bool cuda;
	double rtol, atol;     /* of the deployment's floating outputs; < 0: by datatype */
	const char *sentence;  /* what is wrong with the image, or NULL */
	bool once;             /* it lies beside the others, counts for none, and its asker removes it */
	struct history_build **built; /* its sources, which are taken (then NULL); NULL: the history has them */
};

/* In @state_dir, which may be gone for a while. */
struct cases *cases_new(uv_loop_t *loop, const char *state_dir);
/* When the loop has ended. NULL is fine. Returns NULL. */
struct cases *cases_free(struct cases *c);

/* The highest number of one that is there; 0: there is none. */
uint64_t cases_last(const struct cases *c);

/* @why: a sentence, NULL: it is there, at @path. */
typedef void (*cases_kept_fn)(void *context, uint64_t id, const char *path, const char *why);

/*
 * Keep recording @id of @d; what is there under that number goes. @kept comes once, later, unless this
 * returns -ENOENT (there is no such recording) or another -errno (the image can't be kept). NULL: nobody
 * wants to know.
 */
int cases_keep(struct cases *c, struct deployment *d, uint64_t id, const struct case_facts *f, cases_kept_fn kept,
	       void *context);

/*
 * Whether that case is being written: then @kept comes once, later. One that is there already lies at
 * cases_path().
 */
bool cases_await(struct cases *c, uint64_t id, cases_kept_fn kept, void *context);

/*
 * The same of a golden case, whose folder is @directory. It gets the next number, in *@ret_id at once. Its
 * state is zero, as it is in a trial. 0, or -errno: the image can't be kept.
 */
int cases_keep_golden(struct cases *c, struct deployment *d, const char *directory, const struct case_facts *f,
		      cases_kept_fn kept, void *context, uint64_t *ret_id);

/* "STATE/cases/17"; free(). */
char *cases_path(const char *state_dir, uint64_t id);
