/* SPDX-License-Identifier: MIT */
#include "worker/blas.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "worker/gpu.h"
#include "worker/lane.h"
#include "worker/threads.h"

/* As the image has linked it: of one library there is one copy, whoever asks for it. */
static void *open_blas(void)
{
	static const char *const names[] = { "libcublas.so.13", "libcublas.so.12" };
	void *library = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !library; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
	threads_hold_also("/libcublas");
	return library;
}

static int call_blas(void *library, const char *create, const char *set_stream, void **handle, cuda_stream stream)
{
	int (*make)(void **), (*set)(void *, cuda_stream);
	void *a = dlsym(library, create), *b = dlsym(library, set_stream);

	if (!a || !b)
		return -1;
	memcpy(&make, &a, sizeof(make)); /* ISO C has no cast for it */
	memcpy(&set, &b, sizeof(set));
	return make(handle) || set(*handle, stream) ? -1 : 0;
}

void *blas_handle(const struct gpu *g)
{
	static void *handles[N_LANES];
	void **handle = &handles[lane_index()], *library = *handle ? NULL : open_blas();

	if (*handle)
		return *handle;
	if (!library)
		lane_complain(EIO, "cuBLAS is not there: write \"ldlibs: [-lcublas]\" into deployment.yaml");
	else if (call_blas(library, "cublasCreate_v2", "cublasSetStream_v2", handle, lane_stream(g)) < 0)
		lane_complain(EIO, "cuBLAS does not start on this GPU");
	return *handle;
}
