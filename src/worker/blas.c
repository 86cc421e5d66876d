/* SPDX-License-Identifier: MIT */
#include "worker/blas.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "worker/gpu.h"
#include "worker/lane.h"
#include "worker/threads.h"

/* As the image has linked it: of one library there is one copy, whoever asks for it. */
static void *open_linked(const char *const names[2])
{
	void *library = dlopen(names[0], RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);

	if (!library)
		library = dlopen(names[1], RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
	threads_hold_also("/libcublas");
	return library;
}

static bool find(void *library, const char *name, void *ret)
{
	void *address = dlsym(library, name);

	memcpy(ret, &address, sizeof(address)); /* ISO C has no cast for it */
	return address;
}

static void *make_blas(void *library, cuda_stream stream)
{
	int (*make)(void **), (*set)(void *, cuda_stream);
	void *handle = NULL;

	if (!find(library, "cublasCreate_v2", &make) || !find(library, "cublasSetStream_v2", &set))
		return NULL;
	return make(&handle) || set(handle, stream) ? NULL : handle;
}

void *blas_handle(const struct gpu *g)
{
	static const char *const names[2] = { "libcublas.so.13", "libcublas.so.12" };
	static void *handles[N_LANES];
	void **handle = &handles[lane_index()], *library;

	if (*handle)
		return *handle;
	if (lane_spoils("it asks for a handle of cuBLAS for the first time"))
		return NULL;
	library = open_linked(names);
	if (library)
		*handle = make_blas(library, lane_stream(g));
	if (!library)
		lane_complain(EIO, "cuBLAS is not there: write \"ldlibs: [-lcublas]\" into deployment.yaml");
	else if (!*handle)
		lane_complain(EIO, "cuBLAS does not start on this GPU");
	return *handle;
}

static void *make_lt(void *library)
{
	int (*make)(void **);
	void *handle = NULL;

	return find(library, "cublasLtCreate", &make) && make(&handle) == 0 ? handle : NULL;
}

void *blas_lt_handle(void)
{
	static const char *const names[2] = { "libcublasLt.so.13", "libcublasLt.so.12" };
	static void *handles[N_LANES];
	void **handle = &handles[lane_index()], *library;

	if (*handle)
		return *handle;
	if (lane_spoils("it asks for a handle of cuBLASLt for the first time"))
		return NULL;
	library = open_linked(names);
	if (library)
		*handle = make_lt(library);
	if (!library)
		lane_complain(EIO, "cuBLASLt is not there: write \"ldlibs: [-lcublasLt]\" into deployment.yaml");
	else if (!*handle)
		lane_complain(EIO, "cuBLASLt does not start on this GPU");
	return *handle;
}
