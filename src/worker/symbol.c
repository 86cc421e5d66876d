/* SPDX-License-Identifier: MIT */

/*
 * From the file, for the image isn't mapped here. It may be cut short or wrong: each table is looked at
 * only where it lies in the file.
 */

#include "worker/symbol.h"

#include <ctype.h>
#include <elf.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

#define SHOWN 40 /* characters of a literal */

struct file {
	struct buffer bytes;
	const Elf64_Ehdr *header;
};

/* @n structs of @size bytes at @offset, or NULL. */
static const void *table(const struct file *f, uint64_t offset, uint64_t n, uint64_t size)
{
	if (n > f->bytes.size || offset % 8 || offset > f->bytes.size || n * size > f->bytes.size - offset)
		return NULL;
	return f->bytes.data + offset;
}

static bool open_file(const char *path, struct file *ret)
{
	ret->bytes = (struct buffer)BUFFER_NULL;
	if (file_read(path, &ret->bytes) < 0)
		return false;
	ret->header = table(ret, 0, 1, sizeof(*ret->header));
	return ret->header && memcmp(ret->header->e_ident, ELFMAG, SELFMAG) == 0 &&
	       ret->header->e_ident[EI_CLASS] == ELFCLASS64;
}

/* Functions and variables */

static bool is_there(const Elf64_Sym *s, uint64_t address)
{
	unsigned type = ELF64_ST_TYPE(s->st_info);

	return (type == STT_FUNC || type == STT_OBJECT) && s->st_shndx != SHN_UNDEF && address >= s->st_value &&
	       address - s->st_value < s->st_size;
}

static bool describe_symbol(const struct file *f, const Elf64_Shdr *symbols, const Elf64_Shdr *names, uint64_t address,
			    struct buffer *ret)
{
	uint64_t n = symbols->sh_size / sizeof(Elf64_Sym);
	const Elf64_Sym *s = table(f, symbols->sh_offset, n, sizeof(*s));
	const char *name;

	if (names->sh_offset > f->bytes.size || names->sh_size > f->bytes.size - names->sh_offset)
		return false;
	for (uint64_t i = 0; s && i < n; i++) {
		if (!is_there(&s[i], address) || s[i].st_name >= names->sh_size)
			continue;
		name = f->bytes.data + names->sh_offset + s[i].st_name;
		buffer_append(ret, name, strnlen(name, names->sh_size - s[i].st_name));
		buffer_puts(ret, ELF64_ST_TYPE(s[i].st_info) == STT_FUNC ? "()" : "");
		return true;
	}
	return false;
}

static bool describe_by_symbols(const struct file *f, uint64_t address, struct buffer *ret)
{
	uint64_t n = f->header->e_shnum;
	const Elf64_Shdr *sections = table(f, f->header->e_shoff, n, sizeof(*sections));

	for (uint64_t i = 0; sections && i < n; i++)
		if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < n &&
		    describe_symbol(f, &sections[i], &sections[sections[i].sh_link], address, ret))
			return true;
	return false;
}

/* Literals */

static bool describe_text(const char *text, uint64_t left, struct buffer *ret)
{
	size_t n = strnlen(text, left);

	if (n == 0 || n == left)
		return false;
	for (size_t i = 0; i < n && i < SHOWN; i++)
		if (!isprint((unsigned char)text[i]))
			return false;
	buffer_printf(ret, "\"%.*s%s\"", SHOWN, text, n > SHOWN ? "…" : "");
	return true;
}

static bool describe_literal(const struct file *f, uint64_t address, struct buffer *ret)
{
	uint64_t n = f->header->e_phnum;
	const Elf64_Phdr *p = table(f, f->header->e_phoff, n, sizeof(*p));

	for (uint64_t i = 0; p && i < n; i++) {
		uint64_t into = address - p[i].p_vaddr;

		if (p[i].p_type != PT_LOAD || p[i].p_flags & PF_W || address < p[i].p_vaddr || into >= p[i].p_filesz)
			continue;
		return p[i].p_offset <= f->bytes.size && p[i].p_filesz <= f->bytes.size - p[i].p_offset &&
		       describe_text(f->bytes.data + p[i].p_offset + into, p[i].p_filesz - into, ret);
	}
	return false;
}

bool symbol_describe(const char *path, uint64_t address, struct buffer *ret)
{
	struct file f;
	bool found = open_file(path, &f) && (describe_by_symbols(&f, address, ret) || describe_literal(&f, address, ret));

	buffer_fini(&f.bytes);
	return found;
}
