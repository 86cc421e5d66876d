/* SPDX-License-Identifier: MIT */
#ifndef DEVSERVE_EXT_CUDA_H
#define DEVSERVE_EXT_CUDA_H

/*
 * CUDA, "devserve.cuda/1"
 *
 * A deployment whose tensors lie on the GPU. The kernels stand in a `.cu` beside this source,
 * without any host code, as `extern "C" __global__`; devserve compiles them by NVRTC for the GPU
 * that is there, and a save of that file changes nothing but them.
 *
 *	#include <devserve/deployment.h>
 *	#include <devserve/ext/cuda.h>
 *
 *	static int infer(const struct devserve_call *call)
 *	{
 *		const float *x = call->in[0].data;
 *		float *y = call->out[0].data;
 *		int n = (int)devserve_count(&call->in[0]);
 *
 *		return devserve_launch(call->host, "twice", devserve_xyz((n + 255) / 256, 1, 1),
 *				       devserve_xyz(256, 1, 1), 0, y, x, n);
 *	}
 *
 *	DEVSERVE_CUDA()
 *
 *	DEVSERVE_DEPLOYMENT(
 *		…
 *		.infer = infer,
 *		.extensions = { DEVSERVE_CUDA_EXTENSION },
 *	)
 *
 * Tensors.   `data` of inputs and outputs, and what devserve_output() returns, are addresses of
 *            the GPU (`device` is 2, as DLPack numbers it), 256-byte aligned. devserve copies
 *            inputs there before infer() and outputs back after it. BYTES tensors stay on the
 *            host, and so do those that `.host_inputs` and `.host_outputs` name by a bit each.
 * Order.     Everything that the functions below queue goes, with those copies, into one stream
 *            in order. infer() need not wait: the call is done when its last event is, and
 *            infer() may return before; it is an asynchronous infer() already. Where requests
 *            wait, infer() of the next is called before this call is done, and its inputs are
 *            copied while this one computes (not with a state). Work on streams of its own it must join to
 *            devserve_cuda_stream() by events.
 * Graphs.    DEVSERVE_CUDA(.graphs = 1) promises that what infer() queues depends on the shapes of
 *            the tensors alone (and on what create() left), and that it does nothing else that
 *            matters. The first call of each shape runs as it is; the second is captured as a CUDA
 *            graph, from then on devserve launches that and infer() isn't called. A save makes new
 *            ones. All tensors must be on the GPU; during the capture infer() may not wait,
 *            allocate, or copy to or from the host. If it does, that call is run once more without,
 *            a warning says why, and this image goes on as without graphs.
 * Threads.   infer() has one stream, create(), destroy() and check() another; the functions
 *            find out which. A context is current in all of them, the primary one, which the
 *            CUDA runtime and cuBLAS use as well.
 * Errors.    0 or a negative errno; NULL. The host has kept the sentence: return the error. A
 *            fault of a kernel (an illegal address …) ends the worker, for the context is lost;
 *            another takes its place, and the report names the kernel.
 * Templates. `kernels: ["scale<float, 4>"]` in deployment.yaml has that instance compiled, and
 *            devserve_launch(call->host, "scale<float, 4>", …) launches it.
 * Without a GPU or its driver the deployment is UNAVAILABLE, and says so.
 */

#include <devserve/deployment.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEVSERVE_CUDA_ID "devserve.cuda/1"
#define DEVSERVE_CUDA_MAX_ARGUMENTS 16

/* What the image offers. */
struct devserve_cuda_deployment {
	struct devserve_extension extension;
	uint32_t host_inputs DEVSERVE_ABSENT;  /* bit i: input i stays in the host's memory */
	uint32_t host_outputs DEVSERVE_ABSENT; /* likewise */
	uint32_t graphs DEVSERVE_ABSENT;       /* 1: what infer() queues depends on shapes alone */
	uint32_t reserved DEVSERVE_ABSENT;     /* 0 */
};

/* Blocks of a grid, threads of a block. 0 is 1. */
struct devserve_dim3 {
	uint32_t x, y, z;
};

/* A kernel's argument: up to 8 bytes in `value`, else what `at` points to. */
struct devserve_cuda_argument {
	uint64_t value;
	const void *at; /* NULL: `value` is it */
	uint64_t size;  /* bytes */
};

struct devserve_cuda_launch {
	const char *kernel;
	struct devserve_dim3 grid, block;
	uint64_t shared; /* bytes of dynamic shared memory; more than 48 KiB is asked for by the host */
	const struct devserve_cuda_argument *arguments;
	uint32_t n_arguments;
	uint32_t reserved; /* 0 */
};

/* The host's side. Use the functions further down instead of these pointers. */
struct devserve_cuda_extension {
	struct devserve_extension extension;

	/* The stream, as cudaStream_t or CUstream. */
	void *(*stream)(const struct devserve_host *host);
	/* @size bytes of device memory until the call ends (until create() … returns). */
	void *(*scratch)(const struct devserve_host *host, uint64_t size);
	/* @size bytes of device memory until release(), or until the image is closed. */
	void *(*allocate)(const struct devserve_host *host, uint64_t size);
	void (*release)(const struct devserve_host *host, void *memory);
	/* Queue a copy between any two of device and host; the latter must stay until it is done. */
	int (*copy)(const struct devserve_host *host, void *to, const void *from, uint64_t size);
	/* Queue a kernel. Its parameters' number and sizes are checked. */
	int (*launch)(const struct devserve_host *host, const struct devserve_cuda_launch *launch);
	/* Wait for all that is queued. */
	int (*synchronize)(const struct devserve_host *host);
	/* A cublasHandle_t on the stream, made once and kept across swaps; the image links cuBLAS. */
	void *(*blas)(const struct devserve_host *host);
	/* A cublasLtHandle_t, likewise. Absent in hosts whose table is shorter. */
	void *(*blaslt)(const struct devserve_host *host);
};

/* The host's table; NULL, and an error line, where this host has none. */
static inline const struct devserve_cuda_extension *devserve_cuda(const struct devserve_host *host)
{
	const void *table = devserve_get_extension(host, DEVSERVE_CUDA_ID);

	if (!table)
		host->log(host, DEVSERVE_ERROR, "this devserve has no " DEVSERVE_CUDA_ID);
	return (const struct devserve_cuda_extension *)table;
}

/* [any of infer(), create(), destroy(), check(), as are all that follow] */
static inline void *devserve_cuda_stream(const struct devserve_host *host)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	return cuda ? cuda->stream(host) : NULL;
}

/* Memory of the GPU that is used in this call only: `float *max = devserve_cuda_scratch(call->host, 4 * n);` */
static inline void *devserve_cuda_scratch(const struct devserve_host *host, uint64_t size)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	return cuda ? cuda->scratch(host, size) : NULL;
}

/* Memory of the GPU that stays, for weights. */
static inline void *devserve_cuda_allocate(const struct devserve_host *host, uint64_t size)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	return cuda ? cuda->allocate(host, size) : NULL;
}

static inline void devserve_cuda_release(const struct devserve_host *host, void *memory)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	if (cuda)
		cuda->release(host, memory);
}

static inline int devserve_cuda_copy(const struct devserve_host *host, void *to, const void *from,
				     uint64_t size)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	return cuda ? cuda->copy(host, to, from, size) : -38 /* ENOSYS */;
}

static inline int devserve_cuda_synchronize(const struct devserve_host *host)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	return cuda ? cuda->synchronize(host) : -38 /* ENOSYS */;
}

static inline void *devserve_cuda_blas(const struct devserve_host *host)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	return cuda ? cuda->blas(host) : NULL;
}

/*
 * A cublasLtHandle_t, made once and kept across swaps; the image links cuBLASLt. Tell its functions
 * devserve_cuda_stream().
 */
static inline void *devserve_cuda_blaslt(const struct devserve_host *host)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);

	if (!cuda)
		return NULL;
	if (cuda->extension.struct_size < offsetof(struct devserve_cuda_extension, blaslt) + sizeof(void *)) {
		host->log(host, DEVSERVE_ERROR, "this devserve is too old for devserve_cuda_blaslt()");
		return NULL;
	}
	return cuda->blaslt(host);
}

static inline struct devserve_dim3 devserve_xyz(uint32_t x, uint32_t y, uint32_t z)
{
	struct devserve_dim3 d;

	d.x = x;
	d.y = y;
	d.z = z;
	return d;
}

static inline int devserve_cuda_launch_with(const struct devserve_host *host, const char *kernel,
					    struct devserve_dim3 grid, struct devserve_dim3 block,
					    uint64_t shared,
					    const struct devserve_cuda_argument *arguments, uint32_t n)
{
	const struct devserve_cuda_extension *cuda = devserve_cuda(host);
	struct devserve_cuda_launch launch;

	launch.kernel = kernel;
	launch.grid = grid;
	launch.block = block;
	launch.shared = shared;
	launch.arguments = arguments;
	launch.n_arguments = n;
	launch.reserved = 0;
	return cuda ? cuda->launch(host, &launch) : -38 /* ENOSYS */;
}

/* An argument that is neither a number nor a pointer: a struct of the kernel's own. */
static inline struct devserve_cuda_argument devserve_argument_of(const void *at, uint64_t size)
{
	struct devserve_cuda_argument a;

	a.value = 0;
	a.at = at;
	a.size = size;
	return a;
}

static inline struct devserve_cuda_argument devserve_argument_bits(uint64_t value, uint64_t size)
{
	struct devserve_cuda_argument a;

	a.value = value;
	a.at = NULL;
	a.size = size;
	return a;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

/*
 * `devserve_launch(call->host, "softmax", grid, block, shared, y, x, columns);` 0 or a negative
 * errno. 1 to 16 arguments, each of the very type that the kernel declares (`(float)scale`, not
 * a double): numbers, pointers, or what devserve_argument_of(&it, sizeof(it)) makes.
 */
#ifdef __cplusplus
inline devserve_cuda_argument devserve_argument(const devserve_cuda_argument &a)
{
	return a;
}

template <typename T> inline devserve_cuda_argument devserve_argument(const T &value)
{
	uint64_t bits = 0;

	static_assert(sizeof(T) <= sizeof(bits), "use devserve_argument_of(&it, sizeof(it))");
	__builtin_memcpy(&bits, &value, sizeof(value));
	return devserve_argument_bits(bits, sizeof(value));
}

template <typename... Argument>
inline int devserve_launch(const devserve_host *host, const char *kernel, devserve_dim3 grid,
			   devserve_dim3 block, uint64_t shared, const Argument &...arguments)
{
	const devserve_cuda_argument list[] = { devserve_argument(arguments)... };

	return devserve_cuda_launch_with(host, kernel, grid, block, shared, list,
					 sizeof...(arguments));
}
#else
#define DEVSERVE_ARGUMENT_OF(name, type)                                              \
	static inline struct devserve_cuda_argument devserve_argument_##name(type x)  \
	{                                                                             \
		uint64_t bits = 0;                                                    \
		__builtin_memcpy(&bits, &x, sizeof(x));                               \
		return devserve_argument_bits(bits, sizeof(x));                       \
	}
DEVSERVE_ARGUMENT_OF(bool, _Bool)
DEVSERVE_ARGUMENT_OF(char, char)
DEVSERVE_ARGUMENT_OF(int8, signed char)
DEVSERVE_ARGUMENT_OF(uint8, unsigned char)
DEVSERVE_ARGUMENT_OF(int16, short)
DEVSERVE_ARGUMENT_OF(uint16, unsigned short)
DEVSERVE_ARGUMENT_OF(int32, int)
DEVSERVE_ARGUMENT_OF(uint32, unsigned)
DEVSERVE_ARGUMENT_OF(long, long)
DEVSERVE_ARGUMENT_OF(ulong, unsigned long)
DEVSERVE_ARGUMENT_OF(int64, long long)
DEVSERVE_ARGUMENT_OF(uint64, unsigned long long)
DEVSERVE_ARGUMENT_OF(float, float)
DEVSERVE_ARGUMENT_OF(double, double)
DEVSERVE_ARGUMENT_OF(pointer, const void *)
#undef DEVSERVE_ARGUMENT_OF
static inline struct devserve_cuda_argument devserve_argument_same(struct devserve_cuda_argument a)
{
	return a;
}

#define devserve_argument(x)                                                          \
	_Generic((x), _Bool: devserve_argument_bool, char: devserve_argument_char,    \
		 signed char: devserve_argument_int8,                                 \
		 unsigned char: devserve_argument_uint8, short: devserve_argument_int16, \
		 unsigned short: devserve_argument_uint16, int: devserve_argument_int32, \
		 unsigned: devserve_argument_uint32, long: devserve_argument_long,    \
		 unsigned long: devserve_argument_ulong,                              \
		 long long: devserve_argument_int64,                                  \
		 unsigned long long: devserve_argument_uint64,                        \
		 float: devserve_argument_float, double: devserve_argument_double,    \
		 struct devserve_cuda_argument: devserve_argument_same,               \
		 default: devserve_argument_pointer)(x)

/* devserve_argument() of each. */
#define DEVSERVE_ARGUMENTS_1(a) devserve_argument(a)
#define DEVSERVE_ARGUMENTS_2(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_1(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_3(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_2(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_4(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_3(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_5(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_4(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_6(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_5(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_7(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_6(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_8(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_7(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_9(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_8(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_10(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_9(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_11(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_10(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_12(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_11(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_13(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_12(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_14(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_13(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_15(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_14(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_16(a, ...) devserve_argument(a), DEVSERVE_ARGUMENTS_15(__VA_ARGS__)
#define DEVSERVE_ARGUMENTS_PICK(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, count, ...) \
	DEVSERVE_ARGUMENTS_##count
#define DEVSERVE_ARGUMENTS_COUNT(...)                                                 \
	DEVSERVE_ARGUMENTS_PICK(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define DEVSERVE_ARGUMENTS(...) DEVSERVE_ARGUMENTS_COUNT(__VA_ARGS__)(__VA_ARGS__)

#define devserve_launch(host, kernel, grid, block, shared, ...)                       \
	devserve_cuda_launch_with(                                                    \
		(host), (kernel), (grid), (block), (shared),                          \
		(const struct devserve_cuda_argument[]){ DEVSERVE_ARGUMENTS(__VA_ARGS__) }, \
		(uint32_t)(sizeof((const struct devserve_cuda_argument[]){            \
				   DEVSERVE_ARGUMENTS(__VA_ARGS__) }) /               \
			   sizeof(struct devserve_cuda_argument)))
#endif

/* The deployment's tensors lie on the GPU. Once, at file scope: DEVSERVE_CUDA(.host_inputs = 1 << 2) */
#define DEVSERVE_CUDA(...)                                                            \
	static DEVSERVE_CONSTANT struct devserve_cuda_deployment devserve_cuda_table = { \
		.extension = { DEVSERVE_CUDA_ID, sizeof(struct devserve_cuda_deployment), 0 }, \
		__VA_ARGS__                                                           \
	};

/* For `.extensions = { … }`. */
#define DEVSERVE_CUDA_EXTENSION &devserve_cuda_table.extension

#endif
