/* SPDX-License-Identifier: MIT */

/*
 * Two lanes, one for each thread that runs a plugin's code: a stream, a pool, and what was
 * launched. All of a call goes into one stream in order (copies in, kernels, copies out), and is
 * waited for once, so infer() need not wait for anything. When it has returned, nothing of the
 * image is under way: a swap between two calls finds the GPU idle, as far as that image goes.
 *
 * After a fault of a kernel every call of the driver fails, for good, in every thread. The worker
 * then crashes on purpose (main.c), which is what the server knows how to mend.
 */

#include "worker/gpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cuda/code.h"
#include "cuda/pinned.h"
#include "cuda/pool.h"
#include "worker/host.h"
#include "worker/threads.h"

#define MAX_LAUNCHES 4 /* that a fault may be blamed on, by name */
#define CUDA_OUT_OF_MEMORY 2
#define USUAL_SHARED 49152

struct launch {
	char kernel[48];
	struct devserve_dim3 grid, block;
};

struct lane_state {
	struct gpu *gpu; /* whose code runs; NULL: nobody's */
	const struct devserve_call *call; /* or NULL */
	struct pool pool;
	struct launch launches[MAX_LAUNCHES];
	unsigned n_launches;
	cuda_result fault; /* sticky */
};

struct block {
	struct block *next;
	cuda_address at;
};

struct memory { /* that create() allocated: of the host code, which may see several generations */
	unsigned n_users;
	struct block *blocks;
};

struct gpu {
	const struct device *device;
	struct code *code; /* NULL: it is in the image, or there is none */
	const struct devserve_cuda_deployment *offer;
	struct memory *memory;
};

static struct lane_state lanes[N_LANES];
static struct pinned pinned; /* of LANE_INFER */
static _Thread_local enum lane own = LANE_CONTROL;

static void *blas_handles[N_LANES];

/* Telling */

static int complain(int error, const char *format, ...)
{
	struct lane_state *l = &lanes[own];
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (l->call)
		return l->call->host->fail(l->call, error, "%s", text);
	host_table()->log(host_table(), DEVSERVE_ERROR, "%s", text);
	return -error;
}

static size_t put_launch(const struct launch *l, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s, grid %u×%u×%u, block %u×%u×%u", l->kernel, l->grid.x, l->grid.y,
			 l->grid.z, l->block.x, l->block.y, l->block.z);

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* "in kernel …", or the last few of several: which one it was the driver doesn't tell. */
static void blame(const struct lane_state *l, char *ret, size_t size)
{
	unsigned n = l->n_launches < MAX_LAUNCHES ? l->n_launches : MAX_LAUNCHES;
	size_t at;

	if (!n)
		return;
	at = (size_t)snprintf(ret, size, n == 1 ? ", in kernel " : ", in one of the kernels ");
	for (unsigned i = 0; i < n && at + 1 < size; i++) {
		if (i)
			at += (size_t)snprintf(ret + at, size - at, "; ");
		if (at < size)
			at += put_launch(&l->launches[(l->n_launches - n + i) % MAX_LAUNCHES], ret + at, size - at);
	}
}

static int tell(const struct gpu *g, cuda_result r, const char *what)
{
	struct lane_state *l = &lanes[own];
	char text[256], where[256] = "";

	if (r == 0)
		return 0;
	driver_describe(g->device->driver, r, text, sizeof(text));
	if (driver_is_sticky(r)) {
		l->fault = r;
		blame(l, where, sizeof(where));
	}
	return complain(r == CUDA_OUT_OF_MEMORY ? ENOMEM : EIO, "%s: %s%s", what, text, where);
}

/* Images */

/* Threads of the driver, and of the libraries that it brings, outlive every image. */
static const struct device *open_device(char *why, size_t size)
{
	const struct device *d;

	driver_map();
	threads_hold_also("/libcuda.so");
	d = device_open(why, size);
	threads_hold_also("/libnvidia-");
	return d;
}

void gpu_warm(void)
{
	char why[512];

	open_device(why, sizeof(why));
}

static struct memory *memory_ref(struct memory *m)
{
	if (!m)
		m = xcalloc(1, sizeof(*m));
	m->n_users++;
	return m;
}

static void memory_unref(const struct device *d, struct memory *m)
{
	if (--m->n_users)
		return;
	for (struct block *b = m->blocks, *next; b; b = next) {
		next = b->next;
		d->driver->release(b->at);
		free(b);
	}
	free(m);
}

int gpu_open(const struct link_load *load, struct gpu *before, struct gpu **ret, char *sentence, size_t size)
{
	const struct device *d = open_device(sentence, size);
	struct gpu *g;

	if (!d)
		return ENODEV;
	for (int i = 0; i < N_LANES; i++)
		lanes[i].pool.device = d;
	g = xcalloc(1, sizeof(*g));
	g->device = d;
	if (load->device[0] && code_load(d, load->device, &g->code, sentence, size) < 0) {
		free(g);
		return ENOEXEC;
	}
	g->memory = memory_ref(before ? before->memory : NULL);
	if (before)
		g->offer = before->offer;
	*ret = g;
	return 0;
}

void gpu_set_offer(struct gpu *g, const struct devserve_cuda_deployment *offer)
{
	g->offer = offer;
}

struct gpu *gpu_close(struct gpu *g)
{
	if (!g)
		return NULL;
	device_enter(g->device);
	code_unload(g->code);
	memory_unref(g->device, g->memory);
	free(g);
	return NULL;
}

void gpu_settle(struct gpu *g)
{
	device_enter(g->device);
	g->device->driver->synchronize();
}

/* Lanes */

static void enter(struct gpu *g, enum lane lane, const struct devserve_call *call)
{
	struct lane_state *l = &lanes[lane];

	own = lane;
	device_enter(g->device);
	l->gpu = g;
	l->call = call;
	l->n_launches = 0;
}

static cuda_stream stream_of(const struct gpu *g)
{
	return g->device->streams[own];
}

/* Everything on this lane has ended; its pool is free again. */
static cuda_result finish(struct gpu *g)
{
	struct lane_state *l = &lanes[own];
	cuda_result r;

	if (g->code)
		code_mark(g->code, stream_of(g));
	r = g->offer ? g->device->driver->stream_synchronize(stream_of(g)) : g->device->driver->synchronize();
	pool_reset(&l->pool);
	return r;
}

void gpu_enter(struct gpu *g)
{
	if (g)
		enter(g, LANE_CONTROL, NULL);
}

int gpu_leave(struct gpu *g)
{
	int r = g ? tell(g, finish(g), "the GPU failed") : 0;

	lanes[LANE_CONTROL].gpu = NULL;
	return r;
}

/* Calls */

void gpu_begin(struct gpu *g, const struct devserve_call *call, char *arena, size_t size)
{
	enter(g, LANE_INFER, call);
	pinned_set(&pinned, g->device, arena, size);
}

bool gpu_has_input(const struct gpu *g, uint32_t index, uint32_t dtype)
{
	return g && g->offer && dtype != DEVSERVE_BYTES && !(g->offer->host_inputs >> index & 1);
}

bool gpu_has_output(const struct gpu *g, uint32_t index, uint32_t dtype)
{
	return g && g->offer && dtype != DEVSERVE_BYTES && !(g->offer->host_outputs >> index & 1);
}

void *gpu_make(struct gpu *g, uint64_t size)
{
	cuda_address at;
	cuda_result r = pool_take(&lanes[own].pool, size, &at);

	if (r != 0)
		tell(g, r, "no memory of the GPU");
	return r == 0 ? (void *)(uintptr_t)at : NULL;
}

int gpu_bring(struct gpu *g, struct devserve_tensor *t, const char *host)
{
	void *at = gpu_make(g, t->size);

	if (!at)
		return -ENOMEM;
	t->data = at;
	t->device = 2; /* kDLCUDA */
	t->device_id = g->device->ordinal;
	return tell(g, pinned_copy_in(&pinned, (uintptr_t)at, host, t->size, stream_of(g)),
		    "copying an input to the GPU failed");
}

int gpu_fetch(struct gpu *g, char *host, const struct devserve_tensor *t)
{
	return tell(g, pinned_copy_out(&pinned, host, (uintptr_t)t->data, t->size, stream_of(g)),
		    "copying an output from the GPU failed");
}

int gpu_end(struct gpu *g, char *ret, size_t size)
{
	struct lane_state *l = &lanes[LANE_INFER];
	int r = tell(g, finish(g), "the GPU failed");
	char text[256], where[256] = "";

	l->call = NULL;
	l->gpu = NULL;
	if (l->fault) {
		driver_describe(g->device->driver, l->fault, text, sizeof(text));
		blame(l, where, sizeof(where));
		snprintf(ret, size, "hit %s%s", text, where);
	}
	return r;
}

/* The extension */

static struct gpu *current(void)
{
	struct gpu *g = lanes[own].gpu;

	if (!g)
		complain(EPERM, "the GPU's functions are for infer(), create(), destroy() and check()");
	return g;
}

static void *host_stream(const struct devserve_host *host)
{
	struct gpu *g = current();

	(void)host;
	return g ? stream_of(g) : NULL;
}

static void *host_scratch(const struct devserve_host *host, uint64_t size)
{
	struct gpu *g = current();

	(void)host;
	return g ? gpu_make(g, size) : NULL;
}

static void *host_allocate(const struct devserve_host *host, uint64_t size)
{
	struct gpu *g = current();
	struct block *b;
	cuda_address at;

	(void)host;
	if (!g || tell(g, g->device->driver->allocate(&at, size ? size : 1), "no memory of the GPU") != 0)
		return NULL;
	b = xcalloc(1, sizeof(*b));
	b->at = at;
	b->next = g->memory->blocks;
	g->memory->blocks = b;
	return (void *)(uintptr_t)at;
}

static void host_release(const struct devserve_host *host, void *memory)
{
	struct gpu *g = current();

	(void)host;
	for (struct block **at = g ? &g->memory->blocks : NULL; at && *at; at = &(*at)->next) {
		struct block *b = *at;

		if (b->at != (uintptr_t)memory)
			continue;
		*at = b->next;
		g->device->driver->stream_synchronize(stream_of(g)); /* it may be in use */
		g->device->driver->release(b->at);
		free(b);
		return;
	}
}

static int host_copy(const struct devserve_host *host, void *to, const void *from, uint64_t size)
{
	struct gpu *g = current();

	(void)host;
	if (!g)
		return -EPERM;
	return tell(g, g->device->driver->copy((uintptr_t)to, (uintptr_t)from, size, stream_of(g)),
		    "the copy failed");
}

static int host_synchronize(const struct devserve_host *host)
{
	struct gpu *g = current();

	(void)host;
	return g ? tell(g, g->device->driver->stream_synchronize(stream_of(g)), "the GPU failed") : -EPERM;
}

static struct kernel *find_kernel(struct gpu *g, const char *name)
{
	struct kernel *k = g->code ? code_find(g->code, name) : NULL;

	if (!k)
		complain(EIO, g->code ? "there is no kernel \"%s\"; it must be extern \"C\" __global__, in a .cu "
					"without host code"
				      : "there is no kernel \"%s\": no .cu without host code is beside this source",
			 name);
	return k;
}

static int check_arguments(const struct kernel *k, const struct devserve_cuda_launch *l)
{
	if (l->n_arguments != k->n_parameters)
		return complain(EIO, "kernel %s has %u parameters and was given %u arguments", k->name,
				k->n_parameters, l->n_arguments);
	for (unsigned i = 0; i < l->n_arguments; i++)
		if (l->arguments[i].size != k->sizes[i])
			return complain(EIO, "parameter %u of kernel %s has %zu bytes, its argument %llu; give it "
					"the very type that the kernel declares", i + 1, k->name, k->sizes[i],
					(unsigned long long)l->arguments[i].size);
	return 0;
}

/* More than the usual must be asked for, once for each kernel. */
static int allow_shared(struct gpu *g, struct kernel *k, uint64_t shared)
{
	cuda_result r;

	if (shared > (uint64_t)g->device->max_shared)
		return complain(EIO, "kernel %s wants %llu bytes of shared memory, a block of this GPU has %d",
				k->name, (unsigned long long)shared, g->device->max_shared);
	if (shared <= (uint64_t)k->dynamic || shared + (unsigned)k->shared <= USUAL_SHARED)
		return 0;
	r = g->device->driver->kernel_set(CUDA_KERNEL_DYNAMIC_SHARED, (int)shared, k->kernel, g->device->ordinal);
	if (r == 0)
		k->dynamic = (int)shared;
	return tell(g, r, "the kernel cannot have so much shared memory");
}

static struct devserve_dim3 dim(struct devserve_dim3 d)
{
	return (struct devserve_dim3){ d.x ? d.x : 1, d.y ? d.y : 1, d.z ? d.z : 1 };
}

static void remember(const struct devserve_cuda_launch *launch, struct devserve_dim3 grid,
		     struct devserve_dim3 block)
{
	struct lane_state *l = &lanes[own];
	struct launch *at = &l->launches[l->n_launches++ % MAX_LAUNCHES];

	snprintf(at->kernel, sizeof(at->kernel), "%s", launch->kernel);
	at->grid = grid;
	at->block = block;
}

static int host_launch(const struct devserve_host *host, const struct devserve_cuda_launch *l)
{
	struct gpu *g = current();
	struct devserve_dim3 grid = dim(l->grid), block = dim(l->block);
	void *arguments[KERNEL_MAX_PARAMETERS];
	char what[160] = "";
	struct kernel *k;
	int r;

	(void)host;
	if (!g || !(k = find_kernel(g, l->kernel)))
		return -EIO;
	r = check_arguments(k, l);
	if (r == 0)
		r = allow_shared(g, k, l->shared);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < l->n_arguments; i++)
		arguments[i] = l->arguments[i].at ? (void *)l->arguments[i].at : (void *)&l->arguments[i].value;
	remember(l, grid, block);
	r = g->device->driver->launch(k->function, grid.x, grid.y, grid.z, block.x, block.y, block.z,
				      (unsigned)l->shared, stream_of(g), arguments, NULL);
	if (r == 0)
		return 0;
	put_launch(&lanes[own].launches[(lanes[own].n_launches - 1) % MAX_LAUNCHES], what, sizeof(what));
	return driver_is_sticky(r) ? tell(g, r, "the GPU failed")
				   : complain(EIO, "the kernel cannot be launched (%s)%s", what,
					      r == 701 ? ": it has too few registers for so many threads; fewer "
							 "threads, or __launch_bounds__" : "");
}

/* cuBLAS, as the image has linked it: of one library there is one copy, whoever asks for it. */
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

static void *host_blas(const struct devserve_host *host)
{
	struct gpu *g = current();
	void *library;

	(void)host;
	if (!g || blas_handles[own])
		return g ? blas_handles[own] : NULL;
	library = open_blas();
	if (!library) {
		complain(EIO, "cuBLAS is not there: write \"ldlibs: [-lcublas]\" into deployment.yaml");
		return NULL;
	}
	if (call_blas(library, "cublasCreate_v2", "cublasSetStream_v2", &blas_handles[own], stream_of(g)) < 0) {
		complain(EIO, "cuBLAS does not start on this GPU");
		return NULL;
	}
	return blas_handles[own];
}

const void *gpu_extension(void)
{
	static const struct devserve_cuda_extension table = {
		.extension = { DEVSERVE_CUDA_ID, sizeof(struct devserve_cuda_extension), 0 },
		.stream = host_stream,
		.scratch = host_scratch,
		.allocate = host_allocate,
		.release = host_release,
		.copy = host_copy,
		.launch = host_launch,
		.synchronize = host_synchronize,
		.blas = host_blas,
	};

	return &table;
}
