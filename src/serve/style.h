/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Style
 *
 * How text for people looks where it goes: colour and links or none, paths as short as they can
 * be; and the phrases that its lines are made of.
 *
 * All text that a plugin or a compiler may have chosen goes through style_harmless() or
 * compiler_text(): it must not move the cursor, or be taken for a line of ours.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

enum style_links {
	STYLE_NO_LINKS,
	STYLE_LINKS,          /* file://host/path: all that most terminals understand */
	STYLE_LINKS_WITH_LINE, /* …#line: kitty */
	STYLE_LINKS_VSCODE,   /* vscode://file/path:line:column */
};

struct style {
	bool color;
	enum style_links links;
	char *directory;  /* that we work in; NULL: not known */
	char *root;       /* of the plugins, without links; NULL: not known */
	char host[256];   /* for file:// */
};

/* For what goes to @fd. @root as it was given. */
void style_init(struct style *s, int fd, const char *root, bool no_color);
void style_fini(struct style *s);

/* Whether what goes to @fd may have colour: a terminal that isn't dumb, and no NO_COLOR. */
bool style_has_color(int fd, bool no_color);

/* The sequence, where there is colour, else "". */
const char *style_code(const struct style *s, const char *code);

#define PLAIN(s) style_code(s, "\033[0m")
#define BOLD(s) style_code(s, "\033[1m")
#define DIM(s) style_code(s, "\033[2m")
#define RED(s) style_code(s, "\033[31m")
#define GREEN(s) style_code(s, "\033[32m")
#define YELLOW(s) style_code(s, "\033[33m")

/* Text without escape sequences; control characters, and bytes that are no UTF-8, become '?'. */
void style_harmless(struct buffer *b, const char *text, size_t size);

/* A sentence without its full stop; several lines become one. */
void style_sentence(struct buffer *b, const char *text);

/* "14:03:22 matmul  "; NULL: devserve itself. */
void style_head(const struct style *s, struct buffer *b, const char *name);

/* "94", "0.2" */
void style_ms(struct buffer *b, uint64_t ns);
/* "94 ms", "12.3 s" */
void style_duration(struct buffer *b, uint64_t ns);

/* The part of @path to show: relative to where we work, or to the root. Points into it. */
const char *style_short(const struct style *s, const char *path);

/* @shown, of which a click opens @path. @line, @column: 0: not known. */
void style_link(const struct style *s, struct buffer *b, const char *shown, const char *path,
		unsigned line, unsigned column);

/* "matmul/matmul.c:3:5", a link; what isn't known is left out. */
void style_place(const struct style *s, struct buffer *b, const char *path, unsigned line,
		 unsigned column);
