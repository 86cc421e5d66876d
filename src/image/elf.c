/* SPDX-License-Identifier: MIT */

/*
 * Only what the loader itself uses is read: program headers and the dynamic segment. The
 * section headers, which tools read, may be stripped or lie.
 *
 * All arithmetic on numbers of the file is of the form `offset <= size && n <= size - offset`,
 * which can't wrap, and structures are copied out, because offsets need not be aligned.
 * Tables are checked once, whole, so that loops over them cost what the file's size allows.
 */

#include "image/elf.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

#define MAX_SEGMENTS 128

static bool refuse(struct buffer *why, const char *sentence)
{
	buffer_puts(why, sentence);
	return false;
}

static const void *in_file(const struct elf *e, uint64_t offset, uint64_t size)
{
	return offset <= e->size && size <= e->size - offset ? e->bytes + offset : NULL;
}

static void segment(const struct elf *e, uint32_t i, Elf64_Phdr *ret)
{
	memcpy(ret, e->segments + i * sizeof(*ret), sizeof(*ret));
}

/* The loaded segment that @address lies in. */
static bool find_segment(const struct elf *e, uint64_t address, Elf64_Phdr *ret)
{
	for (uint32_t i = 0; i < e->n_segments; i++) {
		segment(e, i, ret);
		if (ret->p_type == PT_LOAD && address >= ret->p_vaddr &&
		    address - ret->p_vaddr < ret->p_memsz)
			return true;
	}
	return false;
}

/* Everything from @address on that its segment takes from the file. */
static const void *rest_at(const struct elf *e, uint64_t address, uint64_t *ret_size)
{
	uint64_t into;
	Elf64_Phdr s;

	*ret_size = 0;
	if (!find_segment(e, address, &s))
		return NULL;
	into = address - s.p_vaddr;
	if (into >= s.p_filesz || !in_file(e, s.p_offset, s.p_filesz))
		return NULL;
	*ret_size = s.p_filesz - into;
	return e->bytes + s.p_offset + into;
}

const void *elf_at(const struct elf *e, uint64_t address, uint64_t size)
{
	uint64_t rest;
	const void *p = rest_at(e, address, &rest);

	return p && size <= rest ? p : NULL;
}

bool elf_is_zeroed(const struct elf *e, uint64_t address)
{
	Elf64_Phdr s;

	return find_segment(e, address, &s) && address - s.p_vaddr >= s.p_filesz;
}

bool elf_is_code(const struct elf *e, uint64_t address)
{
	Elf64_Phdr s;

	return find_segment(e, address, &s) && (s.p_flags & PF_X);
}

/*
 * The loader write-protects PT_GNU_RELRO after relocation. Where an image has none, what is
 * constant can't be told, and the benefit of the doubt is given.
 */
bool elf_is_constant(const struct elf *e, uint64_t address)
{
	bool has_relro = false;
	Elf64_Phdr s;

	if (!find_segment(e, address, &s) || !(s.p_flags & PF_W))
		return true;
	for (uint32_t i = 0; i < e->n_segments; i++) {
		segment(e, i, &s);
		if (s.p_type != PT_GNU_RELRO)
			continue;
		has_relro = true;
		if (address >= s.p_vaddr && address - s.p_vaddr < s.p_memsz)
			return true;
	}
	return !has_relro;
}

static const char *ended_string(const char *s, uint64_t room, size_t max)
{
	uint64_t look = room <= max ? room : (uint64_t)max + 1;

	return s && memchr(s, '\0', look) ? s : NULL;
}

const char *elf_string(const struct elf *e, uint64_t address, size_t max)
{
	uint64_t room;
	const char *s = rest_at(e, address, &room);

	return ended_string(s, room, max);
}

const char *elf_name(const struct elf *e, uint64_t offset, size_t max)
{
	if (offset >= e->strings_size)
		return NULL;
	return ended_string(e->strings + offset, e->strings_size - offset, max);
}

void elf_dynamic(const struct elf *e, uint64_t i, Elf64_Dyn *ret)
{
	memcpy(ret, e->dynamic + i * sizeof(*ret), sizeof(*ret));
}

void elf_symbol(const struct elf *e, uint64_t i, Elf64_Sym *ret)
{
	memcpy(ret, e->symbols + i * sizeof(*ret), sizeof(*ret));
}

bool elf_find(const struct elf *e, const char *name, Elf64_Sym *ret)
{
	size_t size = strlen(name) + 1;

	for (uint64_t i = 1; i < e->n_symbols; i++) {
		elf_symbol(e, i, ret);
		if (ret->st_shndx != SHN_UNDEF && ELF64_ST_BIND(ret->st_info) != STB_LOCAL &&
		    ret->st_name < e->strings_size && size <= e->strings_size - ret->st_name &&
		    memcmp(e->strings + ret->st_name, name, size) == 0)
			return true;
	}
	return false;
}

/*
 * Relocation
 *
 * The base is 0, so R_X86_64_RELATIVE stores its addend, and a RELR word has its value in
 * the file already: it only has to be known as an address.
 */

struct block {
	uint64_t address;
	size_t size;
	unsigned char *bytes;
	unsigned char *words; /* enum elf_word each, or NULL */
};

static bool is_inside(const struct block *b, uint64_t address)
{
	uint64_t into = address - b->address; /* wraps to something large in front of it */

	return into < b->size && into % 8 == 0;
}

static void set_word(struct block *b, uint64_t address, uint64_t value, enum elf_word word)
{
	uint64_t into = address - b->address;

	memcpy(b->bytes + into, &value, sizeof(value));
	if (b->words)
		b->words[into / 8] = (unsigned char)word;
}

static void relocate_symbol(const struct elf *e, struct block *b, const Elf64_Rela *r)
{
	uint64_t index = ELF64_R_SYM(r->r_info);
	Elf64_Sym s = { .st_shndx = SHN_UNDEF };

	if (index < e->n_symbols)
		elf_symbol(e, index, &s);
	if (s.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(s.st_info) == STT_GNU_IFUNC)
		set_word(b, r->r_offset, 0, ELF_FOREIGN);
	else
		set_word(b, r->r_offset, s.st_value + (uint64_t)r->r_addend, ELF_ADDRESS);
}

static void apply_rela(const struct elf *e, struct block *b)
{
	Elf64_Rela r;

	for (uint64_t i = 0; i < e->n_rela; i++) {
		memcpy(&r, e->rela + i * sizeof(r), sizeof(r));
		if (!is_inside(b, r.r_offset))
			continue;
		if (ELF64_R_TYPE(r.r_info) == R_X86_64_RELATIVE)
			set_word(b, r.r_offset, (uint64_t)r.r_addend, ELF_ADDRESS);
		else if (ELF64_R_TYPE(r.r_info) == R_X86_64_64)
			relocate_symbol(e, b, &r);
		else if (ELF64_R_TYPE(r.r_info) != R_X86_64_NONE)
			set_word(b, r.r_offset, 0, ELF_FOREIGN);
	}
}

static void mark_address(struct block *b, uint64_t address)
{
	if (is_inside(b, address))
		b->words[(address - b->address) / 8] = ELF_ADDRESS;
}

/* An even entry is an address; an odd one says by its bits which of the next 63 words follow. */
static void apply_relr(const struct elf *e, struct block *b)
{
	uint64_t next = 0, entry;

	for (uint64_t i = 0; i < e->n_relr; i++) {
		memcpy(&entry, e->relr + i * sizeof(entry), sizeof(entry));
		if (!(entry & 1)) {
			mark_address(b, entry);
			next = entry + 8;
			continue;
		}
		for (unsigned bit = 1; bit < 64; bit++)
			if (entry >> bit & 1)
				mark_address(b, next + (bit - 1) * 8);
		next += 63 * 8;
	}
}

bool elf_load(const struct elf *e, uint64_t address, void *ret, size_t size,
	      unsigned char *ret_words)
{
	struct block b = { address, size, ret, ret_words };
	const void *bytes = elf_at(e, address, size);

	if (!bytes)
		return false;
	memcpy(ret, bytes, size);
	if (ret_words) {
		memset(ret_words, ELF_PLAIN, size / 8);
		apply_relr(e, &b);
	}
	apply_rela(e, &b);
	return true;
}

/* Opening */

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_AARCH64:
		return "AArch64";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "PowerPC";
	case EM_CUDA:
		return "an NVIDIA GPU";
	default:
		return "another machine";
	}
}

static bool check_header(const Elf64_Ehdr *h, struct buffer *why)
{
	if (h->e_ident[EI_CLASS] == ELFCLASS64 && h->e_ident[EI_DATA] == ELFDATA2LSB &&
	    h->e_machine == EM_X86_64) {
		if (h->e_type == ET_DYN)
			return true;
		return refuse(why,
			      h->e_type == ET_REL
				      ? "this is an object file; link it into a shared object "
					"with cc -shared"
				      : "this is not a shared object; link it with cc -shared");
	}
	buffer_printf(why, "this image is for %s, and devserve runs on x86-64 here; build it here",
		      h->e_ident[EI_DATA] == ELFDATA2LSB ? machine_name(h->e_machine)
							 : "a big-endian machine");
	return false;
}

static bool open_header(struct elf *e, struct buffer *why)
{
	Elf64_Ehdr h;

	if (e->size < EI_NIDENT || memcmp(e->bytes, ELFMAG, SELFMAG) != 0)
		return refuse(why, "this is not an ELF file; an image is made by cc -shared");
	if (e->size < sizeof(h))
		return refuse(why, "the file ends within its ELF header; build it again");
	memcpy(&h, e->bytes, sizeof(h));
	if (!check_header(&h, why))
		return false;
	e->n_segments = h.e_phnum;
	e->segments = in_file(e, h.e_phoff, (uint64_t)h.e_phnum * sizeof(Elf64_Phdr));
	if (!e->segments || h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum > MAX_SEGMENTS)
		return refuse(why, "the program headers are damaged; build it again");
	return true;
}

static bool open_dynamic(struct elf *e, struct buffer *why)
{
	Elf64_Phdr s = { .p_type = PT_NULL };
	uint64_t room;
	Elf64_Dyn d;

	for (uint32_t i = 0; i < e->n_segments && s.p_type != PT_DYNAMIC; i++)
		segment(e, i, &s);
	if (s.p_type != PT_DYNAMIC)
		return refuse(why, "this is not a shared object; link it with cc -shared");
	e->dynamic = elf_at(e, s.p_vaddr, s.p_filesz);
	if (!e->dynamic)
		return refuse(why, "the dynamic segment lies outside of the file; build it again");
	room = s.p_filesz / sizeof(d);
	for (e->n_dynamic = 0; e->n_dynamic < room; e->n_dynamic++) {
		elf_dynamic(e, e->n_dynamic, &d);
		if (d.d_tag == DT_NULL)
			break;
	}
	return true;
}

static uint64_t dynamic_value(const struct elf *e, int64_t tag)
{
	Elf64_Dyn d;

	for (uint64_t i = 0; i < e->n_dynamic; i++) {
		elf_dynamic(e, i, &d);
		if (d.d_tag == tag)
			return d.d_un.d_val;
	}
	return 0;
}

/* A table of @size bytes in the dynamic segment's words; an absent one has no entries. */
static bool open_table(const struct elf *e, int64_t tag, uint64_t size, size_t entry_size,
		       const unsigned char **ret, uint64_t *ret_n)
{
	*ret_n = size / entry_size;
	if (*ret_n == 0)
		return true;
	*ret = elf_at(e, dynamic_value(e, tag), size);
	return *ret != NULL;
}

static uint32_t word_at(const unsigned char *p, uint64_t i)
{
	uint32_t word;

	memcpy(&word, p + i * sizeof(word), sizeof(word));
	return word;
}

/*
 * How many symbols there are is only said by the hash tables. GNU's: the last chain ends
 * with the last symbol, and an odd word ends a chain.
 */
static bool count_by_gnu_hash(const unsigned char *table, uint64_t n_words, uint64_t *ret)
{
	uint64_t n_buckets, first, buckets, chains, last = 0;

	if (n_words < 4)
		return false;
	n_buckets = word_at(table, 0);
	first = word_at(table, 1);
	buckets = 4 + 2 * (uint64_t)word_at(table, 2);
	chains = buckets + n_buckets;
	if (chains > n_words)
		return false;
	for (uint64_t i = buckets; i < chains; i++)
		if (word_at(table, i) > last)
			last = word_at(table, i);
	*ret = first;
	if (last < first)
		return true;
	for (uint64_t i = chains + (last - first); i < n_words; i++) {
		if (word_at(table, i) & 1) {
			*ret = first + (i - chains) + 1;
			return true;
		}
	}
	return false;
}

static bool count_symbols(const struct elf *e, uint64_t *ret)
{
	uint64_t address = dynamic_value(e, DT_GNU_HASH), room;
	const unsigned char *table;

	*ret = 0;
	if (address) {
		table = rest_at(e, address, &room);
		return table && count_by_gnu_hash(table, room / 4, ret);
	}
	address = dynamic_value(e, DT_HASH);
	table = address ? elf_at(e, address, 8) : NULL;
	if (table)
		*ret = word_at(table, 1);
	return table || !address;
}

static bool open_tables(struct elf *e, struct buffer *why)
{
	uint64_t n;

	if (!count_symbols(e, &n) || !open_table(e, DT_SYMTAB, n * sizeof(Elf64_Sym),
						 sizeof(Elf64_Sym), &e->symbols, &e->n_symbols))
		return refuse(why, "the symbol table is damaged; build it again");
	if (!open_table(e, DT_STRTAB, dynamic_value(e, DT_STRSZ), 1,
			(const unsigned char **)&e->strings, &e->strings_size))
		return refuse(why, "the string table lies outside of the file; build it again");
	if (!open_table(e, DT_RELA, dynamic_value(e, DT_RELASZ), sizeof(Elf64_Rela), &e->rela,
			&e->n_rela) ||
	    !open_table(e, DT_RELR, dynamic_value(e, DT_RELRSZ), sizeof(Elf64_Relr), &e->relr,
			&e->n_relr))
		return refuse(why, "the relocations lie outside of the file; build it again");
	return true;
}

bool elf_open(struct elf *ret, const void *bytes, uint64_t size, struct buffer *why)
{
	struct elf e = { .bytes = bytes, .size = size };

	if (!open_header(&e, why) || !open_dynamic(&e, why) || !open_tables(&e, why))
		return false;
	e.flags = dynamic_value(&e, DT_FLAGS);
	e.flags_1 = dynamic_value(&e, DT_FLAGS_1);
	if (e.flags_1 & DF_1_PIE)
		return refuse(why, "this is a program; link it with cc -shared instead of -pie");
	*ret = e;
	return true;
}

/* One PT_NOTE segment: {name size, size, type}, then name and content, each padded to 4. */
static const unsigned char *build_id_of_notes(const unsigned char *p, uint64_t size, uint64_t *ret_size)
{
	Elf64_Nhdr h;

	while (size >= sizeof(h)) {
		uint64_t name, content;

		memcpy(&h, p, sizeof(h));
		name = ((uint64_t)h.n_namesz + 3) & ~UINT64_C(3);
		content = ((uint64_t)h.n_descsz + 3) & ~UINT64_C(3);
		p += sizeof(h);
		size -= sizeof(h);
		if (name + h.n_descsz > size)
			return NULL;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && memcmp(p, "GNU", 4) == 0) {
			*ret_size = h.n_descsz;
			return p + name;
		}
		if (name + content > size)
			return NULL; /* the last one may lack its padding */
		p += name + content;
		size -= name + content;
	}
	return NULL;
}

const unsigned char *elf_build_id_bytes(const struct elf *e, uint64_t *ret_size)
{
	const unsigned char *id = NULL;

	*ret_size = 0;
	for (uint32_t i = 0; i < e->n_segments && !id; i++) {
		const unsigned char *notes;
		Elf64_Phdr s;

		segment(e, i, &s);
		notes = s.p_type == PT_NOTE ? in_file(e, s.p_offset, s.p_filesz) : NULL;
		if (notes)
			id = build_id_of_notes(notes, s.p_filesz, ret_size);
	}
	return id;
}

void elf_build_id(const struct elf *e, char *ret, size_t size)
{
	uint64_t n;
	const unsigned char *id = elf_build_id_bytes(e, &n);

	ret[0] = '\0';
	for (size_t i = 0; i < n && 2 * i + 2 < size; i++)
		snprintf(ret + 2 * i, 3, "%02x", id[i]);
}
