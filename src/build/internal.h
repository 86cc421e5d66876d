/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What object.c, link.c and build.c share. A build is a list of units, one a source, and
 * then a link; each runs as a job of the builder's queue.
 */

#include <sys/queue.h>
#include <uv.h>

#include "build/build.h"
#include "build/content.h"
#include "build/diagnostic.h"
#include "build/driver.h"
#include "build/figures.h"
#include "build/job.h"
#include "build/language.h"
#include "build/loops.h"
#include "build/manifest.h"
#include "build/names.h"
#include "build/probe.h"
#include "build/source.h"
#include "build/store.h"
#include "build/toolchain.h"
#include "build/warm.h"

struct build;

/*
 * C++ sources are compiled as C++17, and as C++20 when that fails: the standard headers cost
 * twice as much there (ranges come with <algorithm>), which every save would pay.
 */
#define STANDARD_EARLY "-std=gnu++17"
#define STANDARD_LATE "-std=gnu++20"

struct unit {
	struct build *build;
	const char *source;         /* borrowed from the build's recipe */
	enum language language;
	struct hash key;            /* of its manifest */
	struct manifest_entry entry; /* once it is there: the object, what it read, what was said */
	bool found, failed;
	bool late;                  /* compiled by the later C++ standard */
	bool stale;                 /* something changed while it was read */
	size_t first_kernel, n_kernels; /* its own among the build's figures */
	size_t first_diagnostic, n_diagnostics; /* likewise */
	bool explained; /* why it failed is a sentence of ours, and no compiler's complaint */
	struct job *job;
	char *object, *depends;     /* temporary files of the job */
	char *loops;                /* another, what the compiler told of them; NULL: it wasn't asked */
	uint64_t started_wall_ns, started_ns, ended_ns;
};

TAILQ_HEAD(builds, build);

TAILQ_HEAD(looks, look);

struct builder {
	uv_loop_t *loop;
	uv_timer_t timer; /* advances builds that wait for nothing but the loop */
	char *state_dir, *include_dir, *root;
	uint64_t time_limit_ms, memory_limit;
	bool color;
	struct queue *queue;
	struct store store;
	struct contents *contents;
	struct sources *sources;
	struct toolchain toolchain;
	struct warm *warm;
	struct probing *probing;
	bool probed;
	char *exports; /* the linker's version script, a temporary file */
	bool told; /* that the driver links */
	bool freed;
	struct builds builds;
	struct looks looks; /* the first one's compilers run */
	uv_timer_t look_timer;
	bool (*is_quiet)(void *context); /* or NULL */
	void *quiet_context;
};

enum build_state { BUILD_WAITING, BUILD_COMPILING, BUILD_LINKING };

struct build {
	TAILQ_ENTRY(build) entry;
	struct builder *builder;
	struct recipe recipe;
	enum build_state state;
	char *own; /* the deployment's directory */
	struct unit *units;
	size_t n_open; /* units whose job runs */
	struct hash inputs;
	struct buffer text; /* plain or coloured, as the compilers wrote it */
	size_t n_lost;      /* lines that had no room in it */
	struct diagnostics diagnostics;
	struct figures figures;
	struct names names;
	bool failed, unsupported, ran, disturbed;
	uint64_t compile_ns, link_ns;

	char *runtime;   /* of the sanitizers, where they were asked for and are there */
	struct job *job; /* of the link, or what asks for that */
	bool full;       /* it's the compiler's driver that links */
	struct buffer why; /* it does */
	struct hash link_key, image, device_hash;
	char *device;              /* path of the pack, or NULL */
	char *image_temporary, *stub_directory;
	uint64_t link_started_ns;
	build_done_fn done;
	void *context;
};

/* Somebody may have removed the store while we run. */
void builder_mend(struct builder *b);
/* What a build, or a look, needs of it; recipe_fini() */
struct recipe recipe_copy(const struct recipe *from);
/* The directory of the deployment itself; free() */
char *recipe_directory(const struct recipe *r);
/* The compiler's command for @source; all the paths filled in. False: run cc1 | as instead. */
bool object_command(const struct compiler *c, enum language l, const struct recipe *r,
		    const struct driver_paths *paths, struct words *command, struct words *reader);
/* The directories where the author's headers are looked for first. */
void object_searched(const struct builder *b, const char *own, struct words *ret);
/* 0, or -errno: the source can't be read. */
int object_key(struct builder *b, const struct recipe *r, const char *source, const char *own,
	       struct hash *ret);
/* What its entry's `inputs` are, or would be as far as is known. 0 or -errno. */
int object_inputs(struct builder *b, const struct recipe *r, const char *source, const char *own,
		  struct hash *ret);
/* Find the object in the store, or start to compile it; build_unit_done() comes, maybe at once. */
void object_start(struct unit *u);
void unit_fini(struct unit *u);
/* The inputs that the unit really read; some hash that nothing equals where that isn't certain. */
struct hash unit_inputs(struct unit *u);

/* look.c: whether the compiler of @r can tell of loops. */
bool look_can_tell(const struct compiler *c, enum language l, const struct recipe *r);
/* What it told, a file, is what there is to know of all that has these inputs; added to @ret, or NULL. */
int look_keep(struct builder *b, const char *told, struct hash inputs, struct loops *ret);

/* device.c: start the compilation of a source for the device alone. 0 or -errno. */
int device_compile(struct unit *u, job_done_fn done);
/* What it depends on besides flags: the kernels that deployment.yaml names. */
void device_add_names(const struct recipe *r, struct hash_state *s);
/*
 * And the author's headers that are called as one of NVRTC's stand-ins: where one is added no other file that
 * was read has changed.
 */
void device_add_headers(const struct builder *b, const struct recipe *r, const char *source, const char *own,
			struct hash_state *s);
/* Each kernel that deployment.yaml names is in some source, or the build fails. */
void device_check_names(struct build *b);
/* No kernel is in two sources, for one would be launched by the name of the other, or the build fails. */
void device_check_kernels(struct build *b);
/* Append to @ret a warning for each kernel of @u, whose figures are read, that no launch can name. */
void device_warn_of_unreachable(const struct build *b, const struct unit *u, struct buffer *ret);
/* The cubins as one file, b->device; the build fails where that can't be. */
void device_pack(struct build *b);

/* describe.c: result.files; free() it. */
struct build_file *build_files(struct build *b, size_t *ret_n);

/* Find the image in the store, or start to link it; build_linked() comes, maybe at once. */
void link_start(struct build *b);

/* The compiler whose driver would link, and did what it can't without. */
const struct compiler *link_driver(struct build *b);

/* b->runtime is there, or the build has failed. */
void build_sanitizer_found(struct build *b);

void build_unit_done(struct unit *u);
void build_linked(struct build *b);
/* Add a sentence of ours to the text and the diagnostics; the build fails. */
void build_fail(struct build *b, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Move @d to @line of deployment.yaml, where @word stands, an item of @key; adds a note of that to @places,
 * where it isn't there.
 */
void build_place(struct build *b, struct diagnostic *d, unsigned line, const char *key, const char *word,
		 struct buffer *places);
/* Add what a compiler or linker printed. */
void build_say(struct build *b, const char *text);
/*
 * Add a line to @text, what @name printed, that says why it failed, where it hasn't said so itself; in
 * front where that is the reason for all of it. @source is what it compiled, or NULL. Whether there was
 * such a reason.
 */
bool build_explain(struct build *b, const struct job_end *end, const char *name, const char *source, struct buffer *text);
