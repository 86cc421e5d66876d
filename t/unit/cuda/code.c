/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pack.h"
#include "cuda/code.h"

static cuda_result make_event(cuda_event *ret, unsigned flags)
{
	(void)flags;
	*ret = NULL;
	return 0;
}

static cuda_result load(cuda_library *ret, const void *code, int *jit_options, void **jit_values, unsigned n_jit,
			int *options, void **values, unsigned n)
{
	(void)ret, (void)code, (void)jit_options, (void)jit_values, (void)n_jit, (void)options, (void)values, (void)n;
	return CUDA_ERROR_NO_BINARY_FOR_GPU;
}

static cuda_result name(cuda_result error, const char **ret)
{
	(void)error;
	*ret = "NO_BINARY";
	return 0;
}

static const struct driver driver = {
	.event_create = make_event, .library_load = load, .error_name = name, .error_string = name
};

/* What is said when the driver of an sm_80 has no use for a cubin with these @flags in its ELF header. */
static void expect_refused(unsigned char version, unsigned flags, const char *expected)
{
	const struct device device = { .driver = &driver, .major = 8, .minor = 0, .name = "GPU" };
	Elf64_Ehdr elf = { .e_ident = { 0x7f, 'E', 'L', 'F' }, .e_flags = flags };
	char part[] = "/tmp/devserve-code-XXXXXX", pack[] = "/tmp/devserve-pack-XXXXXX", why[512];
	const char *const parts[] = { part };
	struct code *code;

	elf.e_ident[EI_ABIVERSION] = version;
	close(mkstemp(part));
	close(mkstemp(pack));
	cr_assert_eq(file_write(part, (const char *)&elf, sizeof(elf), 0600), 0);
	cr_assert_eq(pack_write(pack, parts, 1), 0);
	cr_assert_eq(code_load(&device, pack, &code, why, sizeof(why)), -1);
	unlink(part);
	unlink(pack);
	cr_expect(strncmp(why, expected, strlen(expected)) == 0, "%s", why);
	cr_expect(!strstr(why, "without -arch"), "%s", why);
}

Test(code, for_another_gpu_is_told_with_what_builds_it_for_this_one)
{
	expect_refused(8, 0x06005a04, "the device code is for sm_90, and the GPU here (GPU) is sm_80; -arch=sm_80 in cflags of "
				      "deployment.yaml has it built for this one");
	expect_refused(7, 0x0050055a, "the device code is for sm_90, and the GPU here (GPU) is sm_80; ");
}

Test(code, for_this_gpu_is_not_told_as_that_for_another)
{
	expect_refused(8, 0x06005004, "the GPU (GPU, sm_80) does not take the device code of /tmp/");
}
