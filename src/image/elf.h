/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ELF
 *
 * A view of a shared object in memory, by addresses as the loader would assign them at
 * base 0. Nothing is copied and nothing of the file is believed: a function that is asked
 * for what the file doesn't hold says so.
 */

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

struct elf {
	const unsigned char *bytes; /* borrowed */
	uint64_t size;
	const unsigned char *segments; /* n_segments times Elf64_Phdr, not aligned */
	uint32_t n_segments;
	const unsigned char *dynamic; /* n_dynamic times Elf64_Dyn, without DT_NULL */
	uint64_t n_dynamic;
	const unsigned char *symbols; /* n_symbols times Elf64_Sym */
	uint64_t n_symbols;
	const char *strings;
	uint64_t strings_size;
	const unsigned char *rela; /* n_rela times Elf64_Rela */
	uint64_t n_rela;
	const unsigned char *relr; /* n_relr times Elf64_Relr */
	uint64_t n_relr;
	uint64_t flags, flags_1; /* DT_FLAGS, DT_FLAGS_1 */
};

/* What an 8-byte word of the image is after relocation. */
enum elf_word {
	ELF_PLAIN,   /* the bytes of the file */
	ELF_ADDRESS, /* an address of this image */
	ELF_FOREIGN, /* known only when it is loaded: another library's, or an ifunc's */
};

/* False with a sentence in @why: not a shared object that this machine could load. */
bool elf_open(struct elf *ret, const void *bytes, uint64_t size, struct buffer *why);

/* The @size bytes at @address, or NULL where the file doesn't hold them all. */
const void *elf_at(const struct elf *e, uint64_t address, uint64_t size);

/* Whether @address is mapped, but zeroed instead of read from the file (.bss). */
bool elf_is_zeroed(const struct elf *e, uint64_t address);
/* Whether nothing can change what is at @address once it is relocated. */
bool elf_is_constant(const struct elf *e, uint64_t address);
bool elf_is_code(const struct elf *e, uint64_t address);

/* The string at @address; NULL: none, or more than @max bytes. */
const char *elf_string(const struct elf *e, uint64_t address, size_t max);

/* The string at @offset of the dynamic string table; NULL likewise. */
const char *elf_name(const struct elf *e, uint64_t offset, size_t max);

void elf_dynamic(const struct elf *e, uint64_t i, Elf64_Dyn *ret);
void elf_symbol(const struct elf *e, uint64_t i, Elf64_Sym *ret);

/* The exported definition of @name. */
bool elf_find(const struct elf *e, const char *name, Elf64_Sym *ret);

/*
 * Copy @size bytes at @address with relocations applied; @ret_words, if not NULL, gets an
 * enum elf_word for each 8 of them. False where the file doesn't hold them all. @address
 * and @size must be multiples of 8.
 */
bool elf_load(const struct elf *e, uint64_t address, void *ret, size_t size,
	      unsigned char *ret_words);

/* The GNU build id; NULL: there is none. */
const unsigned char *elf_build_id_bytes(const struct elf *e, uint64_t *ret_size);
/* The same in hex, "" where there is none; cut to what @ret holds. */
void elf_build_id(const struct elf *e, char *ret, size_t size);
