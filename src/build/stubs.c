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
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/symbols.h"
#include "build/words.h"

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
	version = number_version(s, library_version(l, i));
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
		size_t at = library_find(l, names->at[i]);

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
