/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "build/language.h"

static enum language of(const char *text)
{
	char path[] = "/tmp/devserve-language-XXXXXX.cu";
	int fd = mkstemps(path, 3);
	enum language l;

	cr_assert_geq(fd, 0);
	cr_assert_eq(file_write_all(fd, text, strlen(text)), 0);
	close(fd);
	l = language_of_source(path);
	unlink(path);
	return l;
}

Test(language, a_cu_without_host_code_is_for_the_device_alone)
{
	cr_assert_eq(of("extern \"C\" __global__ void k() {}\n"), LANGUAGE_DEVICE);
	cr_assert_eq(of("#include <cuda_fp16.h>\n__global__ void k() {}\n"), LANGUAGE_DEVICE);
	cr_assert_eq(of("// launched by k<<<1, 1>>>()\n/* <<< */ const char *s = \"\\\"<<<\";\n"), LANGUAGE_DEVICE);
	cr_assert_eq(of("__device__ bool quoted(char c) { return c == '\"'; }\n"), LANGUAGE_DEVICE);
}

Test(language, a_cu_with_host_code_is_both)
{
	cr_assert_eq(of("void f() { k<<<1, 1>>>(); }\n"), LANGUAGE_CUDA);
	cr_assert_eq(of("# include \t\"devserve/deployment.h\"\n"), LANGUAGE_CUDA);
	cr_assert_eq(of("#include <cuda_runtime.h>\n"), LANGUAGE_CUDA);
	cr_assert_eq(of("bool q = c == '\"'; void f() { k<<<1, 1>>>(); }\n"), LANGUAGE_CUDA);
}

Test(language, what_cannot_be_read_goes_by_its_name)
{
	cr_assert_eq(language_of_source("/nowhere/a.cu"), LANGUAGE_CUDA);
	cr_assert_eq(language_of_source("/nowhere/a.cc"), LANGUAGE_CXX);
	cr_assert_eq(of(""), LANGUAGE_CUDA);
}
