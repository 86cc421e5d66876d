/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Findings
 *
 * What `devserve doctor` looked at: each a thing, how it is, and what mends it.
 */

#include <stdbool.h>
#include <stddef.h>

struct buffer;

enum finding_state {
	FINDING_OK,
	FINDING_NOTE,    /* something doesn't work, or not as fast, that can be done without */
	FINDING_MISSING, /* no deployment can be built or served so */
};

struct finding {
	const char *name; /* "linker" */
	enum finding_state state;
	char *value;      /* a clause */
	char *mend;       /* a command, or what to do; NULL */
};

struct findings {
	struct finding *at;
	size_t n;
};

#define FINDINGS_NULL { .at = NULL }

void findings_fini(struct findings *f);

/* @value and @mend (or NULL) become the finding's. */
void findings_add(struct findings *f, const char *name, enum finding_state state, char *value, char *mend);

bool findings_are_good(const struct findings *f); /* nothing is missing */

void findings_put_text(const struct findings *f, size_t width, bool color, struct buffer *ret);
void findings_put_json(const struct findings *f, struct buffer *ret); /* an array's elements */

/* The command that installs a package here, by what it is called in each distribution; free(). */
struct package {
	const char *debian, *fedora, *arch; /* NULL: not there */
};
char *package_command(const struct package *p);

/* "Debian GNU/Linux 12 (bookworm)"; free(). */
char *distribution_name(void);

/* Each looks at a few things. */
struct options;
void examine_tools(struct findings *f, const char *root);              /* compilers, linker, headers */
void examine_libraries(struct findings *f);                            /* BLAS, CUDA */
void examine_programs(struct findings *f);                             /* our own */
void examine_peaks(struct findings *f, bool measure);                  /* how fast the machine can be */
void examine_system(struct findings *f, const char *root, const char *state_dir);
