/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Handle
 *
 * What an ingress holds to call a deployment: it outlives generations, images and
 * workers. All on the loop's thread. Fields are for reading; deploy/ writes them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deploy;
struct infer_memory;
struct infer_request;
struct signature;

enum handle_state {
	HANDLE_LOADING,     /* its first build or load is under way: 503 and Retry-After */
	HANDLE_READY,
	HANDLE_UNAVAILABLE, /* no generation serves; `reason` says why */
};

struct handle {
	const char *name;
	enum handle_state state;
	const char *reason;          /* a sentence, when UNAVAILABLE */
	bool no_device;              /* UNAVAILABLE for want of one: trying again is of no use */
	struct signature *signature; /* of the serving generation; NULL unless READY */
	struct infer_memory *memory; /* NULL unless READY */
	uint32_t generation;         /* that serves; 0: none yet */
	const char *stale;           /* "building", "build-failed", … while the newest save isn't served */
};

/* NULL: no deployment of that name. Counted: handle_unref() it; a removed one then says so. */
struct handle *handle_find(struct deploy *d, const char *name, size_t size);
struct handle *handle_ref(struct handle *h);
struct handle *handle_unref(struct handle *h);

/* In order of names; for listings. Returns how many there are; @i counts from 0. */
size_t handle_count(const struct deploy *d);
struct handle *handle_at(const struct deploy *d, size_t i);

/*
 * Run @r, whose body has ended well (infer/request.h). r->done comes exactly once, later,
 * never from inside this call, unless the request is cancelled.
 */
void handle_submit(struct handle *h, struct infer_request *r);

/*
 * The client has gone: `done` will not come, and @r may be freed after infer_request_fini().
 * Memory that a kernel may still be writing is kept until it has finished.
 */
void handle_cancel(struct handle *h, struct infer_request *r);

/* The response was sent (or given up): outputs are not read any more. After `done`, once. */
void handle_release(struct handle *h, struct infer_request *r);
