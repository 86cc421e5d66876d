/* SPDX-License-Identifier: MIT */
#include "worker/blas.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
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

static void *make_blas(void *library, const struct gpu *g)
{
	int (*make)(void **), (*set)(void *, cuda_stream);
	void *handle = NULL;

	if (!find(library, "cublasCreate_v2", &make) || !find(library, "cublasSetStream_v2", &set))
		return NULL;
	return make(&handle) || set(handle, lane_stream(g)) ? NULL : handle;
}

static void *make_lt(void *library, const struct gpu *g)
{
	int (*make)(void **);
	void *handle = NULL;

	(void)g;
	return find(library, "cublasLtCreate", &make) && make(&handle) == 0 ? handle : NULL;
}

struct kind {
	const char *name, *option, *files[2];
	void *(*make)(void *library, const struct gpu *g);
	void *handles[N_LANES];
};

static struct kind blas = {
	.name = "cuBLAS",
	.option = "-lcublas",
	.files = { "libcublas.so.13", "libcublas.so.12" },
	.make = make_blas,
};
static struct kind lt = {
	.name = "cuBLASLt",
	.option = "-lcublasLt",
	.files = { "libcublasLt.so.13", "libcublasLt.so.12" },
	.make = make_lt,
};

static void *handle_of(struct kind *k, const struct gpu *g)
{
	void **handle = &k->handles[lane_index()], *library;
	char why[64];

	if (*handle)
		return *handle;
	snprintf(why, sizeof(why), "it asks for a handle of %s for the first time", k->name);
	if (lane_spoils(why))
		return NULL;
	library = open_linked(k->files);
	if (library)
		*handle = k->make(library, g);
	if (!library)
		lane_complain(EIO, "%s is not there: write \"ldlibs: [%s]\" into deployment.yaml", k->name, k->option);
	else if (!*handle)
		lane_complain(EIO, "%s does not start on this GPU", k->name);
	return *handle;
}

void *blas_handle(const struct gpu *g)
{
	return handle_of(&blas, g);
}

void *blas_lt_handle(const struct gpu *g)
{
	return handle_of(&lt, g);
}
