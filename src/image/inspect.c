/* SPDX-License-Identifier: MIT */

/*
 * The file is read, not mapped: one that shrinks under a mapping would end the server with
 * SIGBUS. Opened without blocking, and only a regular one, because the path may come from a
 * command line.
 */

#include "image/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "image/declaration.h"
#include "image/elf.h"
#include "image/identity.h"
#include "infer/signature.h"

#define ENTRY "devserve_entry"
#define MAX_FILE (UINT64_C(1) << 30)
#define MAX_NEEDED 256
#define MAX_PATH 4096

static int refuse(struct buffer *why, int error, const char *sentence)
{
	buffer_puts(why, sentence);
	return error;
}

/* Why there is no exported devserve_entry. */
static int explain_missing(const struct elf *e, struct buffer *why)
{
	if (memmem(e->bytes, e->size, ENTRY, sizeof(ENTRY)))
		return refuse(
			why, IMAGE_E_NO_ENTRY,
			"devserve_entry is not exported; include <devserve/deployment.h> in the "
			"source that defines it, and in C++ define it outside of any namespace");
	if (memmem(e->bytes, e->size, ENTRY, sizeof(ENTRY) - 1))
		return refuse(
			why, IMAGE_E_NO_ENTRY,
			"devserve_entry has a C++ name; define it outside of any namespace and as "
			"extern \"C\", which DEVSERVE_DEPLOYMENT(...) does");
	return refuse(
		why, IMAGE_E_NO_ENTRY,
		"the image has no devserve_entry; end one source with DEVSERVE_DEPLOYMENT(...) "
		"(a hand-written one in C++ must be extern \"C\")");
}

static int find_entry(const struct elf *e, Elf64_Sym *ret, struct buffer *why)
{
	if (!elf_find(e, ENTRY, ret))
		return explain_missing(e, why);
	if (ELF64_ST_TYPE(ret->st_info) != STT_OBJECT && ELF64_ST_TYPE(ret->st_info) != STT_NOTYPE)
		return refuse(why, IMAGE_E_NO_ENTRY,
			      "devserve_entry is not a variable; end one source with "
			      "DEVSERVE_DEPLOYMENT(...)");
	if (elf_is_zeroed(e, ret->st_value) || !elf_is_constant(e, ret->st_value))
		return refuse(
			why, IMAGE_E_NO_ENTRY,
			"devserve_entry is not constant, so something may fill it when the image "
			"is loaded; make it const and every initialiser constant (in C++20, "
			"constinit tells which one isn't)");
	return 0;
}

static int read_needed(const struct elf *e, struct image_info *info, struct buffer *why)
{
	unsigned n = 0;
	Elf64_Dyn d;

	info->needed = xcalloc(MAX_NEEDED + 1, sizeof(*info->needed));
	for (uint64_t i = 0; i < e->n_dynamic; i++) {
		const char *name;

		elf_dynamic(e, i, &d);
		if (d.d_tag != DT_NEEDED)
			continue;
		name = elf_name(e, d.d_un.d_val, MAX_PATH);
		if (!name || n == MAX_NEEDED)
			return refuse(why, IMAGE_E_INVALID,
				      "the list of needed libraries is damaged; build it again");
		info->needed[n++] = xstrdup(name);
	}
	return 0;
}

static bool has_unique(const struct elf *e)
{
	Elf64_Sym s;

	for (uint64_t i = 1; i < e->n_symbols; i++) {
		elf_symbol(e, i, &s);
		if (ELF64_ST_BIND(s.st_info) == STB_GNU_UNIQUE && s.st_shndx != SHN_UNDEF)
			return true;
	}
	return false;
}

/* nvcc's code for the device lies in a section of this name. */
static bool has_device_code(const struct elf *e)
{
	static const char name[] = ".nv_fatbin";

	return memmem(e->bytes, e->size, name, sizeof(name));
}

static int fill(const struct elf *e, struct image_info *info, struct buffer *why)
{
	Elf64_Sym entry;
	int r = find_entry(e, &entry, why);

	if (r == 0)
		r = declaration_read(e, entry.st_value, entry.st_size, info, why);
	if (r == 0)
		r = read_needed(e, info, why);
	info->nodelete = e->flags_1 & DF_1_NODELETE;
	info->static_tls = e->flags & DF_STATIC_TLS;
	info->unique = has_unique(e);
	info->signature->cuda |= has_device_code(e);
	elf_build_id(e, info->build_id, sizeof(info->build_id));
	info->identity = elf_identity(e);
	return r;
}

int image_inspect_bytes(const void *bytes, uint64_t size, struct image_info *ret,
			struct buffer *why)
{
	struct image_info info = { .file_size = size };
	struct elf e;
	int r;

	if (!elf_open(&e, bytes, size, why))
		return IMAGE_E_INVALID;
	info.signature = signature_new();
	r = fill(&e, &info, why);
	if (r == 0)
		*ret = info;
	else
		image_info_fini(&info);
	return r;
}

/* 0; *@ret_bytes is to be freed. */
static int read_regular(int fd, struct buffer *why, void **ret_bytes, uint64_t *ret_size)
{
	uint64_t size = 0;
	struct stat st;
	ssize_t n = 1;
	char *bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return refuse(why, IMAGE_E_INVALID, "this is not a file; name the .so");
	if ((uint64_t)st.st_size > MAX_FILE)
		return refuse(why, IMAGE_E_INVALID,
			      "the file is larger than 1 GiB; load data from a file of its own");
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	while (size < (uint64_t)st.st_size && n != 0) {
		n = read(fd, bytes + size, (size_t)st.st_size - size);
		if (n < 0 && errno != EINTR) {
			n = -errno;
			free(bytes);
			return (int)n;
		}
		size += n > 0 ? (uint64_t)n : 0;
	}
	*ret_bytes = bytes;
	*ret_size = size;
	return 0;
}

int image_inspect(const char *path, struct image_info *ret, struct buffer *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint64_t size = 0;
	void *bytes = NULL;
	int r;

	if (fd < 0)
		return -errno;
	r = read_regular(fd, why, &bytes, &size);
	close(fd);
	if (r != 0)
		return r;
	r = image_inspect_bytes(bytes, size, ret, why);
	free(bytes);
	return r;
}

void image_info_fini(struct image_info *info)
{
	signature_unref(info->signature);
	for (char **s = info->needed; s && *s; s++)
		free(*s);
	free(info->needed);
	for (char **s = info->extensions; *s; s++)
		free(*s);
	*info = (struct image_info){ .signature = NULL };
}
