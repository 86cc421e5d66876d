/* SPDX-License-Identifier: MIT */

/*
 * What a loader maps is hashed, segment by segment, and where it belongs. Line tables and all
 * other debug information lie outside of the segments. Two things inside of them tell of what
 * is outside: the ELF header, which says where in the file the sections are listed, and the
 * build id, which is a hash of the whole file. Both are left out.
 *
 * A cubin has no segments to go by. Of its sections those count that are loaded, and those that say
 * how kernels are launched (.nv.info…); lines and the text of the intermediate code do not.
 */

#include "image/identity.h"

#include <stdbool.h>
#include <string.h>

#include "base/pack.h"
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
		const unsigned char *from = gaps[i].at, *to = from ? from + gaps[i].size : NULL;

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

/* Device code */

struct cubin {
	const char *bytes;
	size_t size;
	Elf64_Ehdr header;
	Elf64_Shdr names; /* the section with their names */
};

static bool read_section(const struct cubin *c, uint64_t i, Elf64_Shdr *ret)
{
	uint64_t at = c->header.e_shoff + i * sizeof(*ret);

	if (i >= c->header.e_shnum || c->header.e_shoff > c->size || at > c->size || sizeof(*ret) > c->size - at)
		return false;
	memcpy(ret, c->bytes + at, sizeof(*ret));
	return ret->sh_type == SHT_NOBITS || (ret->sh_offset <= c->size && ret->sh_size <= c->size - ret->sh_offset);
}

/* NULL: it has none that ends. */
static const char *name_of(const struct cubin *c, const Elf64_Shdr *s)
{
	const char *names = c->bytes + c->names.sh_offset;

	if (s->sh_name >= c->names.sh_size || !memchr(names + s->sh_name, '\0', c->names.sh_size - s->sh_name))
		return NULL;
	return names + s->sh_name;
}

static bool read_header(struct cubin *c)
{
	if (c->size < sizeof(c->header))
		return false;
	memcpy(&c->header, c->bytes, sizeof(c->header));
	return memcmp(c->header.e_ident, ELFMAG, SELFMAG) == 0 && c->header.e_shentsize == sizeof(Elf64_Shdr) &&
	       read_section(c, c->header.e_shstrndx, &c->names) && c->names.sh_type == SHT_STRTAB;
}

static bool counts(const Elf64_Shdr *s, const char *name)
{
	return (s->sh_flags & SHF_ALLOC) || strncmp(name, ".nv.info", 8) == 0;
}

/* Whatever can't be read counts as it is. */
static void add_cubin(struct hash_state *h, const void *bytes, size_t size)
{
	struct cubin c = { .bytes = bytes, .size = size };
	bool good = read_header(&c);

	for (uint64_t i = 0; good && i < c.header.e_shnum; i++) {
		const char *name = NULL;
		Elf64_Shdr s;

		good = read_section(&c, i, &s) && (name = name_of(&c, &s));
		if (!good || !counts(&s, name))
			continue;
		hash_state_add_string(h, name);
		hash_state_add(h, &s.sh_size, sizeof(s.sh_size));
		if (s.sh_type != SHT_NOBITS)
			hash_state_add(h, c.bytes + s.sh_offset, s.sh_size);
	}
	if (!good)
		hash_state_add(h, bytes, size);
}

int device_identity(const char *path, struct hash *ret)
{
	struct hash_state *h;
	struct pack pack;
	int r = pack_read(path, &pack);

	if (r < 0)
		return r;
	h = hash_state_new();
	for (size_t i = 0; i < pack.n; i++)
		add_cubin(h, pack.parts[i].bytes, pack.parts[i].size);
	*ret = hash_state_end(h);
	pack_fini(&pack);
	return 0;
}
