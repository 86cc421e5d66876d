/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Symbols
 *
 * Of objects, archives and shared libraries of x86-64: what the former lack and what the
 * latter have. The files are the system's own or a compiler's; still, no offset in them is
 * used unchecked.
 */

#include <elf.h>
#include <stddef.h>

struct words;

/*
 * Append the names that the object or archive at @path uses and doesn't define itself (of
 * an archive: that any of its members does).
 */
int undefined_names(const char *path, struct words *ret);

struct elf { /* a file, or a part of one; read-only */
	const unsigned char *bytes;
	size_t size;
	const Elf64_Shdr *sections;
	size_t n_sections;
};

struct library {
	struct elf elf;
	const char *name; /* DT_SONAME, else the file's */
	const Elf64_Shdr *dynsym;
	const Elf64_Sym *symbols;
	size_t n_symbols;
	const Elf64_Half *versions; /* NULL: it has none */
	const Elf64_Shdr *verdef;
	const uint32_t *hash; /* .gnu.hash */
	size_t hash_size;     /* words */
};

/* Map it. library_close() after a failure, too. */
int library_open(struct library *l, const char *path);
void library_close(struct library *l);

/* The index of the default version of @name, or 0. */
size_t library_find(const struct library *l, const char *name);
/* What the version of symbol @i is called; NULL: it has none. */
const char *library_version(const struct library *l, size_t i);
