/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "build/language.h"

static char *put(const char *text)
{
	static char path[40];
	int fd;

	snprintf(path, sizeof(path), "/tmp/devserve-language-XXXXXX.cu");
	fd = mkstemps(path, 3);
	cr_assert_geq(fd, 0);
	cr_assert_eq(file_write_all(fd, text, strlen(text)), 0);
	close(fd);
	return path;
}

static enum language of(const char *text)
{
	const char *path = put(text);
	enum language l = language_of_source(path);

	unlink(path);
	return l;
}

static bool has_zero(const char *text)
{
	const char *path = put(text);
	bool ret = language_has_kernel(path, "zero");

	unlink(path);
	return ret;
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

Test(language, a_template_of_the_runtime_is_called_too)
{
	cr_expect_eq(of("#include <cuda_runtime.h>\n__global__ void k() {}\nvoid f() { cudaMallocManaged<float>(&p, n); }\n"),
		     LANGUAGE_CUDA);
	cr_expect_eq(of("#include <cuda_runtime.h>\n__global__ void k();\nvoid f() { cudaMalloc < a<b<c>> >\n(&p, n); }\n"),
		     LANGUAGE_CUDA);
	cr_expect_eq(of("#include <cuda_runtime.h>\n__global__ void k(int e) { if (cudaSuccess < e) g(); }\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include <cuda_runtime.h>\n__global__ void k(int e) { e = cudaSuccess<"), LANGUAGE_DEVICE);
}

Test(language, what_the_host_launches_is_host_code)
{
	static const char *const of_the_host[] = {
		"thrust/device_vector.h", "thrust/sort.h", "cutlass/gemm/device/gemm.h", "cutlass/reduction/device/tensor_reduce.h",
		"nvToolsExt.h", "nvtx3/nvToolsExt.h", "npp.h", "nppi_filtering_functions.h", "nvjpeg.h", "cutensor.h",
		"cub/cub.cuh", "cub/device/device_reduce.cuh",
	};
	static const char *const of_the_device[] = {
		"cute/tensor.hpp", "cutlass/numeric_types.h", "cutlass/gemm/threadblock/mma.h", "cutlass/device_kernel.h",
		"cub/block/block_reduce.cuh", "cub/warp/warp_scan.cuh", "thrust/complex.h", "thrust/tuple.h",
	};
	char text[200];

	for (size_t i = 0; i < sizeof(of_the_host) / sizeof(*of_the_host); i++) {
		snprintf(text, sizeof(text), "#include <cuda_runtime.h>\n#include <%s>\n__global__ void k() {}\n", of_the_host[i]);
		cr_expect_eq(of(text), LANGUAGE_CUDA, "%s", of_the_host[i]);
	}
	for (size_t i = 0; i < sizeof(of_the_device) / sizeof(*of_the_device); i++) {
		snprintf(text, sizeof(text), "#include <cuda_runtime.h>\n#include <%s>\n__global__ void k() {}\n", of_the_device[i]);
		cr_expect_eq(of(text), LANGUAGE_DEVICE, "%s", of_the_device[i]);
	}
	cr_expect_eq(of("#include <cutlass/numeric_types.h>\n#include \"my/device/gemm.h\"\n__global__ void k() {}\n"), LANGUAGE_DEVICE);
}

Test(language, the_runtime_without_a_kernel_is_host_code)
{
	cr_expect_eq(of("#include <cuda_runtime.h>\nint size(cudaStream_t s) { return sizeof(s); }\n"), LANGUAGE_CUDA);
	cr_expect_eq(of("#include \"cuda_runtime.h\"\n// __global__\nint size(cudaStream_t s) { return sizeof(s); }\n"), LANGUAGE_CUDA);
	cr_expect_eq(of("int size() { return 3; }\n"), LANGUAGE_DEVICE);
	cr_expect_eq(of("#include <cuda_runtime.h>\n#include \"scale.h\"\n"), LANGUAGE_DEVICE, "its kernels may be there");
	cr_expect_eq(of("#include <cuda_runtime.h>\n#include <scale.cuh>\n"), LANGUAGE_DEVICE);
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

Test(language, a_kernel_is_what_is_global_and_has_a_body)
{
	cr_expect(has_zero("extern \"C\" __global__ void zero(float *y) { *y = 0; }\n"));
	cr_expect(has_zero("__global__ void __launch_bounds__(256, 2) zero (float *y)\n{\n}\n"));
	cr_expect(has_zero("__launch_bounds__(256) __global__ static void\nzero\n(float (*f)(int), int n = f(3)) {}\n"));
	cr_expect(has_zero("template <typename T> __global__ void zero(T *y) {}\n"));
	cr_expect(has_zero("template <> __global__ void zero<float, a<3>>(float *y) {}\n"));
	cr_expect(has_zero("__global__ void zero(float *y);\n__global__ void zero(float *y) {}\n"));
	cr_expect(has_zero("__global__ void k() {}\n__global__ void zero() {}\n"));
}

Test(language, a_mention_is_no_kernel)
{
	cr_expect_not(has_zero("// __global__ void zero() {}\n/* __global__ void zero() {} */\n__global__ void k() {}\n"));
	cr_expect_not(has_zero("__global__ void k() { zero(); printf(\"__global__ void zero() {}\"); }\n"));
	cr_expect_not(has_zero("extern \"C\" __global__ void zero(float *y);\n__global__ void k() {}\n"));
	cr_expect_not(has_zero("template __global__ void zero<int>(int *y);\nvoid k() {}\n"));
	cr_expect_not(has_zero("__device__ void zero(float *y) {}\n__global__ void k(int zero) {}\n"));
	cr_expect_not(has_zero("__global__ void zeros() {}\n__global__ void nonzero() {}\n__global__ void"));
	cr_expect_not(language_has_kernel("/nowhere/a.cu", "zero"));
}
