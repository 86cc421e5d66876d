/* SPDX-License-Identifier: MIT */

/*
 * What the compiler's process made of kernels' names, beside a cubin in one file: the lines that give expressions to
 * symbols, whatever they are, or the whole file, if the input begins as one does. The driver is ours and has two kernels.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pack.h"
#include "cuda/code.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char magic[] = "DEVPACK1", cubin[] = "a cubin";
static const char *const symbols[] = { "_Z5scaleIfLi4EEvPT_", "table" };
static char kernels[2]; /* their addresses are what the driver calls them */

static cuda_result make_event(cuda_event *ret, unsigned flags)
{
	(void)flags;
	*ret = NULL;
	return 0;
}

static cuda_result load(cuda_library *ret, const void *code, int *jit_options, void **jit_values, unsigned n_jit,
			int *options, void **values, unsigned n)
{
	(void)code, (void)jit_options, (void)jit_values, (void)n_jit, (void)options, (void)values, (void)n;
	*ret = NULL;
	return 0;
}

static cuda_result unload(cuda_library library)
{
	(void)library;
	return 0;
}

static cuda_result count(unsigned *ret, cuda_library library)
{
	(void)library;
	*ret = 2;
	return 0;
}

static cuda_result list(cuda_kernel *ret, unsigned n, cuda_library library)
{
	(void)library;
	for (unsigned i = 0; i < n; i++)
		ret[i] = (cuda_kernel)(void *)&kernels[i];
	return 0;
}

static cuda_result name(const char **ret, cuda_kernel kernel)
{
	*ret = symbols[(char *)kernel - kernels];
	return 0;
}

static cuda_result function(cuda_function *ret, cuda_kernel kernel)
{
	(void)kernel;
	*ret = NULL;
	return 0;
}

static cuda_result function_load(cuda_function f)
{
	(void)f;
	return 0;
}

static cuda_result attribute(int *ret, int which, cuda_kernel kernel, int device)
{
	(void)which, (void)kernel, (void)device;
	*ret = 0;
	return 0;
}

static cuda_result parameter(cuda_kernel kernel, size_t index, size_t *ret_offset, size_t *ret_size)
{
	(void)kernel, (void)index, (void)ret_offset, (void)ret_size;
	return 1; /* there is none */
}

static const struct driver driver = {
	.event_create = make_event,
	.library_load = load,
	.library_unload = unload,
	.library_count = count,
	.library_kernels = list,
	.kernel_name = name,
	.kernel_function = function,
	.function_load = function_load,
	.kernel_attribute = attribute,
	.kernel_parameter = parameter,
};
static const struct device device = { .driver = &driver };

static void pad(struct buffer *b)
{
	while (b->size % 16)
		buffer_putc(b, '\0');
}

static void put_file(struct buffer *b, const uint8_t *lines, size_t size)
{
	const uint64_t head[] = { 2, sizeof(cubin), strlen(CODE_NAMES) + size };

	buffer_puts(b, magic);
	buffer_append(b, (const char *)head, sizeof(head));
	pad(b);
	buffer_append(b, cubin, sizeof(cubin));
	pad(b);
	buffer_puts(b, CODE_NAMES);
	buffer_append(b, (const char *)lines, size);
	pad(b);
}

static void look(struct code *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		const struct kernel *k = code_find(c, symbols[i]);

		if (!k) /* a file may hold no cubin */
			continue;
		assert(strcmp(k->symbol, symbols[i]) == 0);
		assert(!strchr(k->name, '\n') && code_find(c, k->name));
	}
	code_find(c, "scale < float,4 >");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	bool whole = size >= strlen(magic) && memcmp(bytes, magic, strlen(magic)) == 0;
	_cleanup_buffer_ struct buffer file = BUFFER_NULL;
	int fd = memfd_create("pack", MFD_CLOEXEC);
	_cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);
	struct code *c = NULL;
	char why[256];
	int r;

	assert(fd >= 0);
	if (whole)
		buffer_append(&file, (const char *)bytes, size);
	else
		put_file(&file, bytes, size);
	assert(file_write_all(fd, file.data, file.size) == 0);
	r = code_load(&device, path, &c, why, sizeof(why));
	close(fd);
	assert(r == 0 || (whole && strstr(why, "cannot read the device code")));
	if (r == 0)
		look(c);
	code_unload(c);
	return 0;
}
