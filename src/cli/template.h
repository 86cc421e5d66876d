/* SPDX-License-Identifier: MIT */
#pragma once

/* What `devserve new` writes. All of them compute the same: Y = 2 X. */

struct template_file {
	const char *suffix; /* ".c", behind the deployment's name; NULL: there is no more */
	const char *text;
};

struct template {
	const char *language; /* "c", "c++", "cuda" */
	struct template_file files[3];
};

/* NULL: there is none for @language. */
const struct template *template_find(const char *language);
