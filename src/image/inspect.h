/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inspect
 *
 * Reads what an image is from its file, without running a byte of it: ELF64 structures
 * as in elf(5) and the x86-64 psABI; the entry is the data symbol `devserve_entry`, whose
 * pointers are found by applying the R_X86_64_RELATIVE, R_X86_64_64 and RELR relocations
 * that fall into it. The file is hostile: every offset is checked before it is used.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct buffer;
struct signature;

enum {
	_IMAGE_E_SUCCESS,
	IMAGE_E_INVALID,      /* not an ELF image of this machine, or a broken one */
	IMAGE_E_NO_ENTRY,     /* no devserve_entry, or one that C++ fills at run time */
	IMAGE_E_INCOMPATIBLE, /* another ABI major */
	IMAGE_E_REFUSED,      /* a declaration that can't be: the sentence says which */
};

struct image_info {
	struct signature *signature; /* one reference, the caller's */
	uint32_t struct_size;
	uint16_t abi_major, abi_minor;
	bool has_create, has_destroy;
	bool nodelete;      /* DF_1_NODELETE: dlclose() will not unmap it */
	bool unique;        /* has STB_GNU_UNIQUE symbols: likewise */
	bool static_tls;    /* DF_STATIC_TLS */
	char **needed;      /* DT_NEEDED, NULL-terminated */
	char build_id[64];  /* hex, "" where there is none */
	struct hash identity; /* of code and data, without debug information (image/identity.h) */
	char *extensions[17]; /* ids, NULL-terminated */
	uint64_t file_size;
};

/*
 * 0, an IMAGE_E_* with a sentence and a hint appended to @why, or -errno. @ret is written on
 * success only.
 */
int image_inspect(const char *path, struct image_info *ret, struct buffer *why);
/* The same for a file that is in memory; never -errno. */
int image_inspect_bytes(const void *bytes, uint64_t size, struct image_info *ret,
			struct buffer *why);
/* All zero is fine. */
void image_info_fini(struct image_info *info);

/* For `devserve inspect`: a text for people, or one JSON object. */
void image_info_text(const struct image_info *info, const char *path, struct buffer *ret);
void image_info_json(const struct image_info *info, const char *path, struct buffer *ret);
