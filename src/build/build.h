/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Build
 *
 * Sources → one image file. Each source becomes an object, found by content in the store
 * or compiled; the objects become an image, found or linked. At most `jobs` compilers run.
 * Nothing here knows of deployments that serve: the caller decides what a result means.
 *
 * The builder works on one loop's thread. Compilers are child processes without a shell.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/hash.h"

struct builder; /* the toolchain, the store and the queue of compilers; one a server */
struct build;   /* one attempt for one deployment */

struct builder_options {
	const char *state_dir;   /* absolute; the store is below it: objects/ images/ stubs/ */
	const char *include_dir; /* where <devserve/deployment.h> is found */
	const char *root;        /* plugins root: -I, for shared headers */
	unsigned jobs;           /* 0: one a CPU */
	uint64_t time_limit_ms;  /* of one compiler; 0: 120,000 */
	uint64_t memory_limit;   /* of one compiler; 0: 4 GiB */
	uint64_t store_limit;    /* bytes kept in the store; 0: 1 GiB */
	bool color;              /* diagnostics with colour as the compiler makes it */
	/* Whether a look (build/look.h) would be in nobody's way now; NULL: always. */
	bool (*is_quiet)(void *context);
	void *context;
};

/*
 * What is to be built. Sources are all `.c .cc .cpp .cxx .S .cu` below @path, in sorted
 * order (recipe_scan), or the one file @path.
 */
struct recipe {
	char *name;      /* of the deployment; for messages and file names */
	char *path;      /* absolute: directory or single source */
	char **sources;  /* absolute, sorted */
	size_t n_sources;
	char **weights;  /* all `.safetensors` below @path, sorted, ends with NULL: not built, listed in one go */
	char **cflags; /* after devserve's own, for those compilers that know them (build/flags.h); ends with NULL. NULL: none */
	unsigned *cflag_lines; /* of deployment.yaml, where each stands; NULL: not known */
	char **ldlibs; /* "-lcublas" or a path, for the linker; likewise */
	unsigned *ldlib_lines; /* likewise */
	char **kernels; /* expressions of C++ that name kernels of sources for the device alone; likewise */
	unsigned *kernel_lines; /* of deployment.yaml, where each stands; NULL without */
	bool afresh;   /* compile and link whatever the store has */
	bool tell_loops; /* have the compiler tell of them, so that a look (look.h) has its answer; takes longer */
	bool sanitize; /* with the address and the undefined behaviour sanitizer (build/sanitizer.h) */
};

enum build_outcome {
	BUILD_OK,
	BUILD_FAILED,      /* a compiler or the linker said no: see diagnostics */
	BUILD_UNSUPPORTED, /* e.g. a .cu and no CUDA toolkit: the sentence is in diagnostics */
};

struct diagnostic { /* one message of a compiler, as data */
	char *file;        /* absolute where the compiler named a file, else NULL */
	unsigned line, column; /* from 1; 0: not known */
	char *severity;    /* "error", "warning", "note" */
	char *message;
};

struct kernel_figures { /* of one CUDA kernel, as ptxas tells */
	char *name;         /* as the source has it */
	char architecture[16]; /* what it was compiled for, "sm_90a"; "": not known */
	unsigned registers; /* of a thread */
	unsigned spilled;   /* bytes of registers that went to memory, stores and loads */
	unsigned stack;     /* bytes of a thread's memory */
	unsigned shared;    /* bytes that a block declares */
};

struct build_file { /* that a compiler read */
	const char *path; /* absolute */
	struct hash hash; /* of its content then */
};

struct build_result {
	enum build_outcome outcome;
	const char *image;         /* path in the store; NULL unless OK */
	struct hash image_hash;    /* of the image's content */
	const char *device;        /* path of its device code (base/pack.h), NULL: it has none apart */
	struct hash device_hash;   /* of that file's content; zero without */
	/*
	 * Of all that went in: sources, headers, flags, compiler. What builder_fingerprint()
	 * will say as long as nothing changes; when something changed while it was read, a
	 * value that it never says.
	 */
	struct hash source_hash;
	bool cached;               /* no compiler ran at all */
	bool disturbed;            /* it failed by what is no fault of the source: killed, no room */
	const char *text;          /* what the compilers printed, verbatim, cut at 64 KiB */
	const struct diagnostic *diagnostics;
	size_t n_diagnostics;
	const struct kernel_figures *kernels;
	size_t n_kernels;
	const struct build_file *files; /* of the author's: sources, and headers below the root */
	size_t n_files;
	uint64_t compile_ns, link_ns; /* 0 when found in the store */
	const char *runtime;       /* what the sanitizer wants of its worker (build/sanitizer.h), a path; NULL unless asked for */
	const char *compiler;      /* "gcc", "g++", "nvcc", "nvrtc", the one that took longest: the stage's name in the save line */
};

/* The result and all it points to live during the callback. Never called for a cancelled build. */
typedef void (*build_done_fn)(void *context, const struct build_result *result);

int builder_new(uv_loop_t *loop, const struct builder_options *o, struct buffer *why,
		struct builder **ret);
/* Kills what runs; its handles are closed when the loop runs next. NULL is fine. Returns NULL. */
struct builder *builder_free(struct builder *b);

/* What variables say of the CUDA toolkit and isn't so, a sentence; or NULL. */
const char *builder_complaint(const struct builder *b);

/* Find the sources below @path; no flags, no libraries. -ENOENT: none (then it is no deployment, only headers). */
int recipe_scan(const char *name, const char *path, struct recipe *ret);
void recipe_fini(struct recipe *r);

/*
 * A fingerprint of everything that a build of @r would read, as far as earlier builds told
 * (sources, the headers in their depfiles, flags): the same fingerprint, the same image.
 */
int builder_fingerprint(struct builder *b, const struct recipe *r, struct hash *ret);

/* Whether @path (absolute) is a source of @r or was read by its last build. */
bool builder_depends(struct builder *b, const struct recipe *r, const char *path);

/* Copies what it needs of @r. Several builds may be under way; @done comes from the loop, later. */
int build_start(struct builder *b, const struct recipe *r, build_done_fn done, void *context,
		struct build **ret);
/* Kill its compilers; @done will not come. Returns NULL. */
struct build *build_cancel(struct build *b);

/*
 * What compiles @r: of its first source's compiler what it says of itself ("gcc version 12.2.0 (…)",
 * or its name), and the flags, without those that only say where headers are.
 */
void builder_describe(struct builder *b, const struct recipe *r, struct buffer *ret_compiler,
		      struct buffer *ret_flags);

/* Write @state_dir/../compile_commands.json for @recipes, so that clangd works in plugins. */
int builder_write_compile_commands(struct builder *b, const struct recipe *recipes, size_t n,
				   const char *path);

/* The path of an image that an earlier build made; free(). NULL: it isn't there any more, or not whole. */
char *builder_image(struct builder *b, struct hash image);
/* The same of device code. */
char *builder_device(struct builder *b, struct hash device);

/* What was kept about the layout of that image's state. 0, or -errno (-ENOENT). */
int builder_layout(struct builder *b, struct hash image, struct buffer *ret);
/* Keep it as long as images are. 0 or -errno. */
int builder_keep_layout(struct builder *b, struct hash image, const char *text, size_t size);

/* Remove the least recently used until the store is within its limit. Bytes freed, or -errno. */
int64_t builder_trim(struct builder *b);
