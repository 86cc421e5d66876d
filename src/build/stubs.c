/* SPDX-License-Identifier: MIT */

/*
 * Most of a link's 30 ms goes into reading the 17,000 names of libopenblas, libstdc++ and
 * libc for the dozen that a plugin takes from them. Without these libraries, on the other
 * hand, references carry no version and bind to the oldest symbol there is (expf of 1998),
 * and a misspelt function is found by dlopen() instead of by the linker.
 *
 * So the objects are asked what they lack, each library is asked for these names as the
 * loader would ask it (.gnu.hash), and what it answers is written down as the ELF sections
 * that a linker reads of a shared library:
 *
 *	.dynsym .dynstr     the symbols, by their default versions
 *	.gnu.version        one half word for each symbol
 *	.gnu.version_d      the versions that occur
 *	.dynamic            DT_SONAME
 *	.text .data .tdata  what the symbols are in, by their kind; no bytes
 *
 * Nothing is ever loaded from it: no segments, and values are only kept because linkers
 * find aliases (environ, __environ) by them. An indirect function is a function to its
 * caller, a unique object is a global one.
 */

#include "build/stubs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/words.h"

struct elf { /* a file, or a part of one; read-only */
	const unsigned char *bytes;
	size_t size;
	const Elf64_Shdr *sections;
	size_t n_sections;
};

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

static const char *find_soname(const struct elf *e)
{
	const Elf64_Shdr *s = find_section(e, SHT_DYNAMIC);
	const Elf64_Dyn *d = content(e, s);

	for (size_t i = 0; s && i < s->sh_size / sizeof(*d); i++)
		if (d[i].d_tag == DT_SONAME)
			return string_of(e, s, d[i].d_un.d_val);
	return "";
}

static int library_open(struct library *l, const char *path)
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

static void library_close(struct library *l)
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

/* The index of the default version of @name, or 0. The table: buckets, then chains. */
static size_t find_symbol(const struct library *l, const char *name)
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

/* What version @index is called. NULL: it has no name, as the base has none. */
static const char *version_name(const struct library *l, Elf64_Half index)
{
	const unsigned char *p = content(&l->elf, l->verdef);
	const unsigned char *end = p ? p + l->verdef->sh_size : NULL;

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

enum section {
	SECTION_NULL, SECTION_TEXT, SECTION_DATA, SECTION_TDATA, SECTION_DYNSYM, SECTION_DYNSTR,
	SECTION_VERSYM, SECTION_VERDEF, SECTION_DYNAMIC, SECTION_NAMES, N_SECTIONS,
};

static const char section_names[] = "\0.text\0.data\0.tdata\0.dynsym\0.dynstr\0.gnu.version\0"
				    ".gnu.version_d\0.dynamic\0.shstrtab";

struct stub { /* being written */
	struct buffer symbols, strings, versions, verdef;
	struct words version_names; /* the i-th is version 2 + i; 1 is the base */
	Elf64_Word soname;
};

static void stub_fini(struct stub *s)
{
	buffer_fini(&s->symbols);
	buffer_fini(&s->strings);
	buffer_fini(&s->versions);
	buffer_fini(&s->verdef);
	words_fini(&s->version_names);
}

static Elf64_Word add_string(struct stub *s, const char *string)
{
	Elf64_Word offset = (Elf64_Word)s->strings.size;

	buffer_append(&s->strings, string, strlen(string) + 1);
	return offset;
}

static Elf64_Half number_version(struct stub *s, const char *name)
{
	size_t i = 0;

	if (!name)
		return VER_NDX_GLOBAL;
	while (i < s->version_names.n && strcmp(s->version_names.at[i], name) != 0)
		i++;
	if (i == s->version_names.n)
		words_add(&s->version_names, name);
	return (Elf64_Half)(i + 2);
}

static void add_symbol(struct stub *s, const struct library *l, size_t i, const char *name)
{
	unsigned type = ELF64_ST_TYPE(l->symbols[i].st_info);
	unsigned bind = ELF64_ST_BIND(l->symbols[i].st_info);
	Elf64_Sym symbol = l->symbols[i];
	Elf64_Half version;

	type = type == STT_GNU_IFUNC ? STT_FUNC : type;
	bind = bind == STB_GNU_UNIQUE ? STB_GLOBAL : bind;
	symbol.st_name = add_string(s, name);
	symbol.st_info = ELF64_ST_INFO(bind, type);
	symbol.st_shndx = type == STT_TLS ? SECTION_TDATA
			  : type == STT_FUNC ? SECTION_TEXT : SECTION_DATA;
	version = number_version(s, l->versions ? version_name(l, l->versions[i]) : NULL);
	buffer_append(&s->symbols, &symbol, sizeof(symbol));
	buffer_append(&s->versions, &version, sizeof(version));
}

/* As in the System V ABI. */
static Elf64_Word elf_hash(const char *name)
{
	Elf64_Word h = 0;

	for (; *name; name++) {
		h = (h << 4) + (unsigned char)*name;
		h = (h ^ (h & 0xf0000000) >> 24) & 0x0fffffff;
	}
	return h;
}

static void add_version(struct stub *s, Elf64_Half number, const char *name, Elf64_Word string,
			bool last)
{
	Elf64_Verdef d = { .vd_version = 1, .vd_flags = number == 1 ? VER_FLG_BASE : 0,
			   .vd_ndx = number, .vd_cnt = 1, .vd_hash = elf_hash(name),
			   .vd_aux = sizeof(d),
			   .vd_next = last ? 0 : sizeof(d) + sizeof(Elf64_Verdaux) };
	Elf64_Verdaux a = { .vda_name = string };

	buffer_append(&s->verdef, &d, sizeof(d));
	buffer_append(&s->verdef, &a, sizeof(a));
}

/* False: the library has none of @names. */
static bool stub_fill(struct stub *s, const struct library *l, const struct words *names)
{
	const struct words *v = &s->version_names;
	const Elf64_Sym none = { 0 };
	const Elf64_Half local = 0;

	add_string(s, "");
	s->soname = add_string(s, l->name);
	buffer_append(&s->symbols, &none, sizeof(none));
	buffer_append(&s->versions, &local, sizeof(local));
	for (size_t i = 0; i < names->n; i++) {
		size_t at = find_symbol(l, names->at[i]);

		if (at)
			add_symbol(s, l, at, names->at[i]);
	}
	add_version(s, 1, l->name, s->soname, !v->n);
	for (size_t i = 0; i < v->n; i++)
		add_version(s, (Elf64_Half)(i + 2), v->at[i], add_string(s, v->at[i]), i + 1 == v->n);
	return s->symbols.size > sizeof(none);
}

struct file { /* being written */
	struct buffer bytes;
	Elf64_Shdr sections[N_SECTIONS];
};

static Elf64_Word section_name(enum section which)
{
	const char *p = section_names;

	for (int i = 0; i < (int)which; i++)
		p += strlen(p) + 1;
	return (Elf64_Word)(p - section_names);
}

static Elf64_Shdr *put(struct file *f, enum section which, uint32_t type, const void *bytes,
		       size_t size)
{
	Elf64_Shdr *s = &f->sections[which];
	static const char zeros[8];

	buffer_append(&f->bytes, zeros, -f->bytes.size % 8);
	*s = (Elf64_Shdr){ .sh_name = section_name(which), .sh_type = type, .sh_flags = SHF_ALLOC,
			   .sh_offset = f->bytes.size, .sh_size = size, .sh_addralign = 8 };
	if (type == SHT_NOBITS)
		s->sh_flags |= which == SECTION_TEXT ? SHF_EXECINSTR : SHF_WRITE;
	else
		buffer_append(&f->bytes, bytes, size);
	return s;
}

static Elf64_Shdr *put_table(struct file *f, enum section which, uint32_t type,
			     const struct buffer *b, enum section link, size_t entry_size)
{
	Elf64_Shdr *s = put(f, which, type, b->data, b->size);

	s->sh_link = link;
	s->sh_entsize = entry_size;
	return s;
}

static void put_sections(struct file *f, const struct stub *s)
{
	const Elf64_Dyn dynamic[] = { { .d_tag = DT_SONAME, .d_un.d_val = s->soname },
				      { .d_tag = DT_NULL } };
	const struct buffer d = { .data = (char *)dynamic, .size = sizeof(dynamic) };

	for (int i = SECTION_TEXT; i <= SECTION_TDATA; i++)
		put(f, i, SHT_NOBITS, NULL, 1 << 30)->sh_flags |= i == SECTION_TDATA ? SHF_TLS : 0;
	put_table(f, SECTION_DYNSYM, SHT_DYNSYM, &s->symbols, SECTION_DYNSTR, sizeof(Elf64_Sym))
		->sh_info = 1;
	put_table(f, SECTION_DYNSTR, SHT_STRTAB, &s->strings, 0, 0);
	if (s->version_names.n) {
		put_table(f, SECTION_VERSYM, SHT_GNU_versym, &s->versions, SECTION_DYNSYM,
			  sizeof(Elf64_Half));
		put_table(f, SECTION_VERDEF, SHT_GNU_verdef, &s->verdef, SECTION_DYNSTR, 0)
			->sh_info = (Elf64_Word)s->version_names.n + 1;
	}
	put_table(f, SECTION_DYNAMIC, SHT_DYNAMIC, &d, SECTION_DYNSTR, sizeof(Elf64_Dyn));
	put(f, SECTION_NAMES, SHT_STRTAB, section_names, sizeof(section_names))->sh_flags = 0;
}

static int stub_write(const struct stub *s, const char *path)
{
	struct file f = { .bytes = BUFFER_NULL };
	Elf64_Ehdr h = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_ehsize = sizeof(h), .e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = N_SECTIONS, .e_shstrndx = SECTION_NAMES,
	};
	int r;

	buffer_append(&f.bytes, &h, sizeof(h));
	put_sections(&f, s);
	put(&f, SECTION_NULL, SHT_NULL, "", 0); /* aligns what follows */
	f.sections[SECTION_NULL] = (Elf64_Shdr){ 0 };
	h.e_shoff = f.bytes.size;
	memcpy(f.bytes.data, &h, sizeof(h));
	buffer_append(&f.bytes, f.sections, sizeof(f.sections));
	r = file_write(path, f.bytes.data, f.bytes.size, 0644);
	buffer_fini(&f.bytes);
	return r;
}

static int make_one(const char *library, const struct words *names, const char *directory,
		    struct words *ret, struct buffer *why)
{
	_cleanup_free_ char *path = path_join(directory, path_name(library));
	struct stub s = { .soname = 0 };
	struct library l;
	int r = library_open(&l, library);

	if (r < 0) {
		buffer_printf(why, "cannot read the symbols of %s: %s", library, strerror(-r));
	} else if (stub_fill(&s, &l, names)) {
		r = stub_write(&s, path);
		if (r < 0)
			buffer_printf(why, "cannot write %s: %s", path, strerror(-r));
		else
			words_add(ret, path);
	}
	stub_fini(&s);
	library_close(&l);
	return r;
}

int stubs_make(const struct words *libraries, const struct words *names, const char *directory,
	       struct words *ret, struct buffer *why)
{
	int r = mkdir(directory, 0777) < 0 ? -errno : 0;

	if (r < 0)
		buffer_printf(why, "cannot make %s: %s", directory, strerror(-r));
	for (size_t i = 0; r == 0 && i < libraries->n; i++)
		r = make_one(libraries->at[i], names, directory, ret, why);
	return r;
}
