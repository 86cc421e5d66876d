/* SPDX-License-Identifier: MIT */

/*
 * What a loader maps is hashed, segment by segment, and where it belongs. Line tables and all
 * other debug information lie outside of the segments. Two things inside of them tell of what
 * is outside: the ELF header, which says where in the file the sections are listed, and the
 * build id, which is a hash of the whole file. Both are left out.
 */

#include "image/identity.h"

#include <string.h>

#include "image/elf.h"

struct gap {
	const unsigned char *at;
	uint64_t size;
};

/* The bytes from @at to @end but for those of the gaps, which are in ascending order. */
static void add_around(struct hash_state *s, const unsigned char *at, const unsigned char *end,
		       const struct gap *gaps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned char *from = gaps[i].at, *to = gaps[i].at + gaps[i].size;

		if (!from || to <= at || from >= end)
			continue;
		if (from > at)
			hash_state_add(s, at, (size_t)(from - at));
		at = to < end ? to : end;
	}
	hash_state_add(s, at, (size_t)(end - at));
}

struct hash elf_identity(const struct elf *e)
{
	struct gap gaps[2] = { { e->bytes, sizeof(Elf64_Ehdr) } };
	struct hash_state *s = hash_state_new();

	gaps[1].at = elf_build_id_bytes(e, &gaps[1].size);
	for (uint32_t i = 0; i < e->n_segments; i++) {
		const unsigned char *bytes;
		Elf64_Phdr p;

		memcpy(&p, e->segments + i * sizeof(p), sizeof(p));
		bytes = p.p_type == PT_LOAD ? elf_at(e, p.p_vaddr, p.p_filesz) : NULL;
		if (p.p_type != PT_LOAD)
			continue;
		hash_state_add(s, &p.p_vaddr, sizeof(p.p_vaddr));
		hash_state_add(s, &p.p_memsz, sizeof(p.p_memsz));
		hash_state_add(s, &p.p_flags, sizeof(p.p_flags));
		if (bytes)
			add_around(s, bytes, bytes + p.p_filesz, gaps, 2);
	}
	return hash_state_end(s);
}
