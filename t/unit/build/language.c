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
	cr_assert_eq(of("#include <cublas_v2.h>\n"), LANGUAGE_CUDA);
	cr_assert_eq(of("#include <cublasLt.h> // kernels\n"), LANGUAGE_CUDA);
	cr_assert_eq(of("bool q = c == '\"'; void f() { k<<<1, 1>>>(); }\n"), LANGUAGE_CUDA);
}

Test(language, the_runtime_is_host_code_where_it_is_called)
{
	cr_expect_eq(of("#include <cuda_runtime.h>\n__global__ void k() {}\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include \"cuda_runtime_api.h\"\n// cudaMalloc(&p, 4)\n__global__ void k() {}\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include <cuda_runtime.h>\nvoid f() { cudaMalloc (&p, 4); }\n"), LANGUAGE_CUDA);
	cr_expect_eq(of("#include <cuda_runtime_api.h>\n#define FREE(p) cudaFree(p)\n"), LANGUAGE_CUDA);
	cr_expect_eq(of("#include <cuda_runtime.h>\n__device__ cudaError_t e; int my_cudaMalloc(int);\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include <cuda_runtime.h>\n__global__ void k() { cudaGridDependencySynchronize(); }\n"), LANGUAGE_DEVICE);
}

Test(language, a_library_for_kernels_is_no_host_code)
{
	cr_expect_eq(of("#include <cublasdx.hpp>\n__global__ void k() {}\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include <cufftdx.hpp>\n__global__ void k() {}\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include <cufftdx.hpp>\n#include <cufft.h>\n"), LANGUAGE_CUDA);
}

Test(language, a_comment_behind_a_directive_is_one)
{
	cr_expect_eq(of("#pragma once // k<<<1, 1>>>()\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#define A /* k<<<1, 1>>>()\nk<<<1, 1>>>() */\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include \"a.h\"\n#define LAUNCH k<<<1, 1>>>()\n"), LANGUAGE_CUDA);
}

Test(language, what_cannot_be_read_goes_by_its_name)
{
	cr_assert_eq(language_of_source("/nowhere/a.cu"), LANGUAGE_CUDA);
	cr_assert_eq(language_of_source("/nowhere/a.cc"), LANGUAGE_CXX);
	cr_assert_eq(of(""), LANGUAGE_CUDA);
}
