/* SPDX-License-Identifier: MIT */
#include "build/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/words.h"

static int map_file(const char *path, const unsigned char **ret, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	void *p = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		r = -errno;
	close(fd);
	if (r < 0)
		return r;
	*ret = p;
	*ret_size = (size_t)st.st_size;
	return 0;
}

static bool is_inside(const struct elf *e, uint64_t offset, uint64_t size)
{
	return offset <= e->size && size <= e->size - offset;
}

/* Check all that is used later. */
static bool elf_init(struct elf *e, const unsigned char *bytes, size_t size)
{
	Elf64_Ehdr h;

	*e = (struct elf){ .bytes = bytes, .size = size };
	if (size < sizeof(h))
		return false;
	memcpy(&h, bytes, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_machine != EM_X86_64 || h.e_shentsize != sizeof(Elf64_Shdr) || !h.e_shnum ||
	    !is_inside(e, h.e_shoff, (uint64_t)h.e_shnum * sizeof(Elf64_Shdr)))
		return false;
	e->sections = (const void *)(bytes + h.e_shoff);
	e->n_sections = h.e_shnum;
	for (size_t i = 0; i < e->n_sections; i++)
		if (e->sections[i].sh_type != SHT_NOBITS &&
		    !is_inside(e, e->sections[i].sh_offset, e->sections[i].sh_size))
			return false;
	return true;
}

static const Elf64_Shdr *find_section(const struct elf *e, uint32_t type)
{
	for (size_t i = 0; i < e->n_sections; i++)
		if (e->sections[i].sh_type == type)
			return &e->sections[i];
	return NULL;
}

static const void *content(const struct elf *e, const Elf64_Shdr *s)
{
	return s ? e->bytes + s->sh_offset : NULL;
}

/* The string at @offset of the table that belongs to @s, or "". */
static const char *string_of(const struct elf *e, const Elf64_Shdr *s, uint64_t offset)
{
	const Elf64_Shdr *strings = s->sh_link < e->n_sections ? &e->sections[s->sh_link] : NULL;
	const char *table = content(e, strings);

	if (!strings || offset >= strings->sh_size || table[strings->sh_size - 1])
		return "";
	return table + offset;
}

static void add_undefined(const struct elf *e, struct words *ret)
{
	const Elf64_Shdr *s = find_section(e, SHT_SYMTAB);
	const Elf64_Sym *all = content(e, s);

	for (size_t i = 0; s && i < s->sh_size / sizeof(*all); i++) {
		const char *name = string_of(e, s, all[i].st_name);

		if (all[i].st_shndx == SHN_UNDEF && *name)
			words_add(ret, name);
	}
}

/* A member lies at any even address: a copy is aligned. */
static void add_undefined_of_member(const unsigned char *bytes, size_t size, struct words *ret)
{
	_cleanup_free_ unsigned char *copy = xmalloc(size + 1);
	struct elf e;

	memcpy(copy, bytes, size);
	if (elf_init(&e, copy, size))
		add_undefined(&e, ret);
}

struct ar_header { /* ar(5), all of it text */
	char name[16], date[12], uid[6], gid[6], mode[8], size[10], end[2];
};

static void add_undefined_of_archive(const unsigned char *bytes, size_t size, struct words *ret)
{
	for (size_t at = 8; at + sizeof(struct ar_header) <= size;) {
		const struct ar_header *h = (const void *)(bytes + at);
		char digits[sizeof(h->size) + 1] = "";
		size_t n;

		memcpy(digits, h->size, sizeof(h->size));
		n = strtoul(digits, NULL, 10);
		at += sizeof(*h);
		if (n > size - at)
			return;
		add_undefined_of_member(bytes + at, n, ret);
		at += n + n % 2;
	}
}

int undefined_names(const char *path, struct words *ret)
{
	const unsigned char *bytes;
	size_t size;
	struct elf e;
	int r = map_file(path, &bytes, &size);

	if (r < 0)
		return r;
	if (size > 8 && memcmp(bytes, "!<arch>\n", 8) == 0)
		add_undefined_of_archive(bytes, size, ret);
	else if (elf_init(&e, bytes, size))
		add_undefined(&e, ret);
	else
		r = -ENOEXEC;
	munmap((void *)bytes, size);
	return r;
}

static const char *find_soname(const struct elf *e)
{
	const Elf64_Shdr *s = find_section(e, SHT_DYNAMIC);
	const Elf64_Dyn *d = content(e, s);

	for (size_t i = 0; s && i < s->sh_size / sizeof(*d); i++)
		if (d[i].d_tag == DT_SONAME)
			return string_of(e, s, d[i].d_un.d_val);
	return "";
}

int library_open(struct library *l, const char *path)
{
	const unsigned char *bytes;
	const Elf64_Shdr *s;
	size_t size;
	int r = map_file(path, &bytes, &size);

	*l = (struct library){ .name = NULL };
	if (r < 0)
		return r;
	if (!elf_init(&l->elf, bytes, size))
		return -ENOEXEC;
	l->name = find_soname(&l->elf);
	if (!*l->name)
		l->name = path_name(path);
	l->dynsym = find_section(&l->elf, SHT_DYNSYM);
	l->symbols = content(&l->elf, l->dynsym);
	l->n_symbols = l->dynsym ? l->dynsym->sh_size / sizeof(*l->symbols) : 0;
	s = find_section(&l->elf, SHT_GNU_versym);
	l->versions = s && s->sh_size / sizeof(*l->versions) >= l->n_symbols ? content(&l->elf, s)
									       : NULL;
	l->verdef = find_section(&l->elf, SHT_GNU_verdef);
	s = find_section(&l->elf, SHT_GNU_HASH);
	l->hash = content(&l->elf, s);
	l->hash_size = s ? s->sh_size / sizeof(*l->hash) : 0;
	return l->n_symbols && l->hash_size > 4 ? 0 : -ENOEXEC;
}

void library_close(struct library *l)
{
	if (l->elf.bytes)
		munmap((void *)l->elf.bytes, l->elf.size);
}

static bool is_exported(const struct library *l, size_t i)
{
	const Elf64_Sym *s = &l->symbols[i];
	unsigned visibility = ELF64_ST_VISIBILITY(s->st_other);

	return s->st_shndx != SHN_UNDEF && s->st_shndx != SHN_ABS &&
	       (!l->versions || !(l->versions[i] & 0x8000)) && /* hidden: an old version */
	       (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* The table is a bloom filter, buckets, then chains; a chain's last word is odd. */
size_t library_find(const struct library *l, const char *name)
{
	uint32_t n_buckets = l->hash[0], first = l->hash[1], n_bloom = l->hash[2], h = 5381;
	size_t buckets = 4 + (size_t)n_bloom * 2, chains = buckets + n_buckets;

	for (const char *p = name; *p; p++)
		h = h * 33 + (unsigned char)*p;
	if (!n_buckets || chains > l->hash_size)
		return 0;
	for (size_t i = l->hash[buckets + h % n_buckets]; i >= first && i < l->n_symbols; i++) {
		uint32_t chain = chains + i - first < l->hash_size ? l->hash[chains + i - first] : 1;

		if ((chain | 1) == (h | 1) && is_exported(l, i) &&
		    strcmp(string_of(&l->elf, l->dynsym, l->symbols[i].st_name), name) == 0)
			return i;
		if (chain & 1)
			return 0;
	}
	return 0;
}

const char *library_version(const struct library *l, size_t i)
{
	const unsigned char *p = content(&l->elf, l->verdef);
	const unsigned char *end = p ? p + l->verdef->sh_size : NULL;
	Elf64_Half index = l->versions ? l->versions[i] : VER_NDX_GLOBAL;

	while (p && p + sizeof(Elf64_Verdef) <= end) {
		const Elf64_Verdef *d = (const void *)p;
		const Elf64_Verdaux *a = (const void *)(p + d->vd_aux);

		if (d->vd_ndx == index && !(d->vd_flags & VER_FLG_BASE) &&
		    (const unsigned char *)(a + 1) <= end)
			return string_of(&l->elf, l->verdef, a->vda_name);
		p = d->vd_next ? p + d->vd_next : NULL;
	}
	return NULL;
}
