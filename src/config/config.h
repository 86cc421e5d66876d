/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Config
 *
 * What a plugin's deployment.yaml says. One mapping; a key that isn't known, is there twice,
 * or has a value that doesn't fit is a mistake with its line.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"

struct buffer;

#define CONFIG_FILE "deployment.yaml"
#define CONFIG_FILE_MISNAMED "deployment.yml"

/* Lists end with NULL; a list is NULL where the key isn't there. */
struct config {
	char *name;
	unsigned name_line;
	char **cflags, **ldlibs;
	char **sources, **weights;     /* paths or patterns, relative to the directory */
	unsigned sources_line, weights_line;
	unsigned *cflag_lines, *ldlib_lines; /* of each */
	char **kernels;                /* expressions: `scale<float, 4>` */
	unsigned *kernel_lines;        /* of each */
	unsigned num_replicas;         /* 1 … 16 */
	unsigned max_ongoing_requests; /* 0: no bound */
	unsigned request_timeout_ms;
	bool idempotent;
	unsigned checkpoint_ms;        /* of `state`; 0: not given */
	double rtol, atol;             /* of `tolerance`; < 0: not given */
	unsigned gate;                 /* of config_gates, counted from 1; 0: not given */
	char *replay, *user_config;    /* as JSON; nothing reads them yet */
	struct hash hash;              /* of the file's bytes; zero: there is none */
};

/*
 * 0; 1: a mistake, with its line (0: the whole file) and a sentence; or -ENOMEM. Where there is no
 * file everything has its default. @ret is valid after 1 as well: defaults, and the hash.
 */
int config_read(const char *path, struct config *ret, unsigned *ret_line, struct buffer *why);
int config_parse(const char *bytes, size_t size, struct config *ret, unsigned *ret_line, struct buffer *why);

/* From the strictest to none; NULL ends them. */
extern const char *const config_gates[];

/* As where there is no file. */
void config_init(struct config *c);
void config_fini(struct config *c); /* and init again */

/* Names become parts of URLs and of file names. */
bool config_name_is_good(const char *name);
