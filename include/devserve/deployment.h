/* SPDX-License-Identifier: MIT */
#ifndef DEVSERVE_DEPLOYMENT_H
#define DEVSERVE_DEPLOYMENT_H

/*
 * Deployment ABI
 *
 * An image (one shared object) is one deployment. It exports one data symbol,
 * `devserve_entry`, which the macro DEVSERVE_DEPLOYMENT() below defines:
 *
 *	#include <devserve/deployment.h>
 *
 *	static int infer(const struct devserve_call *call)
 *	{
 *		const float *x = call->in[0].data;
 *		float *y = call->out[0].data;
 *
 *		for (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i++)
 *			y[i] = 2 * x[i];
 *		return 0;
 *	}
 *
 *	DEVSERVE_DEPLOYMENT(
 *		.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
 *		.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { -1 } }),
 *		.shape = DEVSERVE_SAME_SHAPE,
 *		.infer = infer,
 *	)
 *
 * Threads.   [infer]    one thread of the worker; one call at a time.
 *            [control]  another thread of the worker; runs while [infer] may be
 *                       busy with an older generation, never with this one.
 *            [any]      any thread, at any time between create() and destroy().
 * Errors.    0, or a negative errno. -EINVAL and -ERANGE blame the request (the
 *            client gets 400), -EAGAIN asks it to come back (503), -ENOSYS says
 *            the request is not supported (501); everything else is the
 *            deployment's own failure (500). devserve_refuse() and
 *            devserve_fail() add the sentence that the client reads.
 * Lifetime.  Strings and tables of the image live while it is mapped. The host's
 *            tables live as long as the worker. Tensors live during their call.
 * Growth.    The layouts below are frozen (t/00-abi.t holds every offset). What
 *            comes later comes as an extension with a name, asked for with
 *            devserve_get_extension() or offered in `.extensions`, or as a field at
 *            the end, which `struct_size` tells of. DEVSERVE_ABI_MINOR grows by one
 *            in the next release when anything of that came since the last one; what
 *            came before the first release is 1.0. It is for people: code looks
 *            at names and sizes, which say exactly what is there.
 *
 * No symbol of the host is needed: everything arrives through `call->host`.
 * C11, C++17 (C++20 for the macro); other languages write the struct by hand.
 */

#include <stddef.h>
#include <stdint.h>

/* C++ wants a default beside each member that a designated initialiser may leave out. */
#ifdef __cplusplus
#define DEVSERVE_ABSENT = {}
extern "C" {
#else
#define DEVSERVE_ABSENT
#endif

/* The entry must be a constant of the file: C++ that would fill it at run time doesn't compile. */
#ifdef __cpp_constinit
#define DEVSERVE_CONSTANT constinit const
#else
#define DEVSERVE_CONSTANT const
#endif

/* Arguments are checked against the format, as printf()'s are. */
#define DEVSERVE_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

#define DEVSERVE_ABI_MAJOR 1u /* differs: the image is refused with a sentence */
#define DEVSERVE_ABI_MINOR 0u /* grows with a release that adds: see Growth     */

#define DEVSERVE_MAX_TENSORS 32   /* inputs, and outputs, of one deployment */
#define DEVSERVE_MAX_RANK 8       /* extents of a shape, the batch's included */
#define DEVSERVE_MAX_EXTENSIONS 16

/* Datatypes of the Open Inference Protocol. Row-major, little-endian. */
enum devserve_dtype {
	DEVSERVE_BOOL = 1, /* 1 byte, 0 or 1 */
	DEVSERVE_UINT8 = 2,
	DEVSERVE_UINT16 = 3,
	DEVSERVE_UINT32 = 4,
	DEVSERVE_UINT64 = 5,
	DEVSERVE_INT8 = 6,
	DEVSERVE_INT16 = 7,
	DEVSERVE_INT32 = 8,
	DEVSERVE_INT64 = 9,
	DEVSERVE_FP16 = 10, /* IEEE binary16, as uint16_t */
	DEVSERVE_FP32 = 11,
	DEVSERVE_FP64 = 12,
	DEVSERVE_BYTES = 13, /* each element: uint32_t length, then that many bytes */
	DEVSERVE_BF16 = 14   /* the upper half of an FP32, as uint16_t */
};

/* Severity of a log line. */
enum devserve_level {
	DEVSERVE_DEBUG = 0,
	DEVSERVE_INFO = 1,
	DEVSERVE_WARNING = 2,
	DEVSERVE_ERROR = 3
};

/*
 * One tensor of a call: a view, never an owner. Frozen: it is carried in arrays.
 * Field by field a DLTensor (device numbers are DLPack's: 1 CPU, 2 CUDA).
 */
struct devserve_tensor {
	const char *name;
	void *data;           /* 64-byte aligned; read-only in call->in */
	const int64_t *shape; /* `rank` extents; the batch's first where there is one */
	uint64_t size;        /* bytes at `data` */
	uint32_t rank;
	uint32_t dtype; /* enum devserve_dtype */
	uint32_t device;
	int32_t device_id;
};

/* A tensor as declared: extent -1 is free, the list ends at the first 0. */
struct devserve_port {
	const char *name;
	uint32_t dtype; /* enum devserve_dtype */
	int64_t shape[DEVSERVE_MAX_RANK];
};

/* What an extension's struct starts with. `id` is "devserve.NAME/REVISION". */
struct devserve_extension {
	const char *id;
	uint32_t struct_size;
	uint32_t reserved; /* 0 */
};

struct devserve_call;

/* The host's side. Use the functions further down instead of these pointers. */
struct devserve_host {
	uint32_t struct_size;
	uint16_t abi_major, abi_minor;
	void *context; /* the host's own */

	/* A line to the author's terminal. Cut at 1,000 bytes. [any] */
	void (*log)(const struct devserve_host *host, int level, const char *format, ...)
		DEVSERVE_PRINTF(3, 4);

	/* The host's table for @id, or NULL where this host has none. [any] */
	const void *(*extension)(const struct devserve_host *host, const char *id);

	/* Give output @index its shape, and memory for it. [infer] */
	void *(*output)(const struct devserve_call *call, uint32_t index, const int64_t *shape,
			uint32_t rank);

	/* Add one element to the BYTES output @index. [infer] */
	int (*append)(const struct devserve_call *call, uint32_t index, const void *bytes,
		      size_t size);

	/* Keep the sentence that goes with @error; returns -@error. [infer] */
	int (*fail)(const struct devserve_call *call, int error, const char *format, ...)
		DEVSERVE_PRINTF(3, 4);
};

/* One call. Everything it points to ends with it. */
struct devserve_call {
	uint32_t struct_size;
	uint32_t n_in, n_out; /* as declared, in that order */
	uint32_t batch;       /* first extent of every tensor; 1 where max_batch_size is 0 */
	const struct devserve_tensor *in;
	const struct devserve_tensor *out;
	void *self; /* what create() left in it, or NULL */
	const struct devserve_host *host;
	void *context; /* the host's own */
};

/* How the host knows the shape of outputs that have free extents. */
enum devserve_shape {
	DEVSERVE_OWN_SHAPE = 0, /* infer() calls devserve_output() */
	DEVSERVE_SAME_SHAPE = 1 /* output i has the shape of input i */
};

/*
 * What an image is. All of it is constant data: devserve reads it from the file,
 * without running any of the image's code. Leave out what you don't need; C++
 * wants the fields in this order.
 */
struct devserve_deployment {
	uint32_t struct_size; /* these three never move; the macro fills them */
	uint16_t abi_major, abi_minor;

	const char *description DEVSERVE_ABSENT; /* a sentence for people, or NULL */

	struct devserve_port inputs[DEVSERVE_MAX_TENSORS] DEVSERVE_ABSENT;
	struct devserve_port outputs[DEVSERVE_MAX_TENSORS] DEVSERVE_ABSENT;

	/*
	 * 0: tensors arrive exactly as declared. n > 0: every tensor has one more
	 * extent in front, the batch, 1..n; requests that wait at the same time and
	 * agree in their other extents are handed over together.
	 */
	uint32_t max_batch_size DEVSERVE_ABSENT;
	/* How long the first request of a batch waits for company. 0: not at all. */
	uint32_t max_queue_delay_microseconds DEVSERVE_ABSENT;
	uint32_t shape DEVSERVE_ABSENT; /* enum devserve_shape */

	/*
	 * Once for each generation in each worker, before its first infer(). May
	 * leave a pointer in *@self, which every call then carries. The host's
	 * table stays valid until destroy(). [control]
	 */
	int (*create)(const struct devserve_host *host, void **self) DEVSERVE_ABSENT;
	/* After the last infer(); end your threads and free what create() made. [control] */
	void (*destroy)(void *self) DEVSERVE_ABSENT;

	/*
	 * Compute call->out from call->in. Inputs are checked against the
	 * declaration before. Every output has memory of its full size already, not
	 * zeroed, unless it has free extents or is BYTES. Before an image serves it
	 * is tried on requests that were answered earlier (docs/proof.md), so what
	 * infer() does beside answering may happen again. Required. [infer]
	 */
	int (*infer)(const struct devserve_call *call) DEVSERVE_ABSENT;

	/*
	 * What else this image can do; NULL ends the list. A host ignores those it
	 * doesn't know: what an image can't do without, create() asks the host for.
	 */
	const struct devserve_extension *extensions[DEVSERVE_MAX_EXTENSIONS] DEVSERVE_ABSENT;
};

#ifdef __cplusplus
#define DEVSERVE_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define DEVSERVE_EXPORT extern __attribute__((visibility("default")))
#endif

/* The one symbol. The attribute must sit on the declaration: g++ ignores it below. */
DEVSERVE_EXPORT const struct devserve_deployment devserve_entry;

#define DEVSERVE_TENSORS(...) { __VA_ARGS__ }
#define DEVSERVE_DEPLOYMENT(...)                                        \
	DEVSERVE_CONSTANT struct devserve_deployment devserve_entry = { \
		.struct_size = sizeof(struct devserve_deployment),      \
		.abi_major = DEVSERVE_ABI_MAJOR,                        \
		.abi_minor = DEVSERVE_ABI_MINOR,                        \
		__VA_ARGS__                                             \
	};

/*
 * Elements of @t, those of the whole batch. Ask before the loop, not in its condition:
 * what the loop stores might be @t for all that the compiler knows. [any]
 */
static inline size_t devserve_count(const struct devserve_tensor *t)
{
	size_t count = 1;

	for (uint32_t i = 0; i < t->rank; i++)
		count *= (size_t)t->shape[i];
	return count;
}

/* Extent @i of @t; a negative @i counts from the end: -1 is the last. [any] */
static inline int64_t devserve_dim(const struct devserve_tensor *t, int i)
{
	return t->shape[i < 0 ? (int)t->rank + i : i];
}

/*
 * Give output @index its shape (all @rank extents, the batch's included) and get
 * memory for it, 64-byte aligned, not zeroed. Once for each output that has free
 * extents; for BYTES it only states the shape. NULL: the shape contradicts the
 * declaration or there is no memory; return any error then, the host has kept
 * the reason. [infer]
 */
static inline void *devserve_output(const struct devserve_call *call, uint32_t index,
				    const int64_t *shape, uint32_t rank)
{
	return call->host->output(call, index, shape, rank);
}

/* Add one element to the BYTES output @index, row by row. 0, or -ENOMEM. [infer] */
static inline int devserve_append(const struct devserve_call *call, uint32_t index,
				  const void *bytes, size_t size)
{
	return call->host->append(call, index, bytes, size);
}

/* One element of a BYTES tensor; not terminated. */
struct devserve_bytes {
	const char *data;
	size_t size;
};

/*
 * The element at byte *@at of BYTES tensor @t; moves *@at (0 at first) past it.
 * 1, or 0 at the end. [any]
 *
 *	for (size_t at = 0; devserve_next(&call->in[0], &at, &word);)
 */
static inline int devserve_next(const struct devserve_tensor *t, size_t *at,
				struct devserve_bytes *ret)
{
	const unsigned char *p = (const unsigned char *)t->data + *at;

	if (*at + 4 > t->size)
		return 0;
	ret->size = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
	ret->data = (const char *)p + 4;
	if (ret->size > t->size - *at - 4)
		return 0;
	*at += 4 + ret->size;
	return 1;
}

/* The host's table for extension @id, or NULL. [any] */
static inline const void *devserve_get_extension(const struct devserve_host *host, const char *id)
{
	return host->extension(host, id);
}

#ifdef __cplusplus
} /* extern "C" */
#endif

/* `return devserve_refuse(call, "…", …);` the request is wrong: 400 and this sentence. */
#define devserve_refuse(call, ...) ((call)->host->fail((call), 22 /* EINVAL */, __VA_ARGS__))
/* `return devserve_fail(call, "…", …);` we are wrong: 500 and this sentence. */
#define devserve_fail(call, ...) ((call)->host->fail((call), 5 /* EIO */, __VA_ARGS__))
/* `devserve_log(call->host, DEVSERVE_INFO, "…", …);` */
#define devserve_log(host, level, ...) ((host)->log((host), (level), __VA_ARGS__))

/* `float *c = devserve_make(call, 0, m, n);` devserve_output() with the extents at hand. */
#ifdef __cplusplus
template <typename... Extent>
inline void *devserve_make(const devserve_call *call, uint32_t index, Extent... extents)
{
	const int64_t shape[] = { static_cast<int64_t>(extents)... };

	return devserve_output(call, index, shape, sizeof...(extents));
}
#else
#define devserve_make(call, index, ...)                                                         \
	devserve_output((call), (index), (const int64_t[]){ __VA_ARGS__ },                      \
			(uint32_t)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))
#endif

#endif
