/* SPDX-License-Identifier: MIT */
#ifndef DEVSERVE_EXT_WEIGHTS_H
#define DEVSERVE_EXT_WEIGHTS_H

/*
 * Weights, "devserve.weights/1"
 *
 * Every `*.safetensors` file beside the sources (or those that deployment.yaml lists) is
 * there for create(), by the names of its tensors:
 *
 *	#include <devserve/deployment.h>
 *	#include <devserve/ext/weights.h>
 *
 *	static struct { const float *weight, *bias; } fc1;
 *
 *	static int create(const struct devserve_host *host, void **self)
 *	{
 *		fc1.weight = devserve_weight(host, "fc1.weight", DEVSERVE_FP32, 64, 32);
 *		fc1.bias = devserve_weight(host, "fc1.bias", DEVSERVE_FP32, 32);
 *		return fc1.weight && fc1.bias ? 0 : -1;
 *	}
 *
 * What is missing or of another shape is NULL, and the host has kept the sentence that says
 * so: the generation is refused before its first call.
 *
 * Memory.    devserve maps a copy of the file that nobody changes, once for all generations
 *            and workers, read-only: writing to it is a crash. Pointers live until destroy()
 *            returns. A tensor lies at a multiple of its element's size, and at one of 64
 *            bytes where it does so in the file; data is little-endian and row-major.
 * Changes.   A file that changes is a new generation: create() runs anew with the new one.
 * Names.     With several files a name that is in more than one of them is written
 *            "FILE/NAME", FILE being its path below the plugin without ".safetensors".
 * Threads.   All of it is for create(): [control]. Keep the pointers, not the names.
 */

#include <devserve/deployment.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEVSERVE_WEIGHTS_ID "devserve.weights/1"

/* The host's side. Use the functions further down instead of these pointers. */
struct devserve_weights_extension {
	struct devserve_extension extension;

	/* Number @index, in order of file and offset; NULL: there are no more. */
	const struct devserve_tensor *(*at)(const struct devserve_host *host, uint32_t index);

	/* The one called @name, or NULL without a word. */
	const struct devserve_tensor *(*find)(const struct devserve_host *host, const char *name);

	/* Its data if it is of @dtype and @shape (-1: any extent), else NULL and an error line. */
	const void *(*get)(const struct devserve_host *host, const char *name, uint32_t dtype,
			   const int64_t *shape, uint32_t rank);
};

/* The host's table; NULL, and an error line, where this host has none. */
static inline const struct devserve_weights_extension *
devserve_weights(const struct devserve_host *host)
{
	const void *table = devserve_get_extension(host, DEVSERVE_WEIGHTS_ID);

	if (!table)
		devserve_log(host, DEVSERVE_ERROR, "this devserve has no " DEVSERVE_WEIGHTS_ID);
	return (const struct devserve_weights_extension *)table;
}

/*
 * Look at weight number @index without knowing its name, or at @name without knowing its
 * shape: name, dtype, shape and data. NULL: there is none, which is no error.
 *
 *	for (uint32_t i = 0; (t = devserve_weight_at(host, i)); i++)
 */
static inline const struct devserve_tensor *devserve_weight_at(const struct devserve_host *host,
								uint32_t index)
{
	const struct devserve_weights_extension *weights = devserve_weights(host);

	return weights ? weights->at(host, index) : NULL;
}

static inline const struct devserve_tensor *devserve_find_weight(const struct devserve_host *host,
								 const char *name)
{
	const struct devserve_weights_extension *weights = devserve_weights(host);

	return weights ? weights->find(host, name) : NULL;
}

static inline const void *devserve_weight_of_shape(const struct devserve_host *host,
						   const char *name, uint32_t dtype,
						   const int64_t *shape, uint32_t rank)
{
	const struct devserve_weights_extension *weights = devserve_weights(host);

	return weights ? weights->get(host, name, dtype, shape, rank) : NULL;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

/*
 * `const float *w = devserve_weight(host, "fc1.weight", DEVSERVE_FP32, 64, 32);` its data, or
 * NULL: return an error from create() then, the host has kept the reason. -1 fits any extent.
 * A scalar has no extents; in C devserve_find_weight() gives it.
 * C++: `auto *w = devserve_weight<float>(host, "fc1.weight", 64, 32);`
 */
#ifdef __cplusplus
template <typename... Extent>
inline const void *devserve_weight(const devserve_host *host, const char *name,
				   devserve_dtype dtype, Extent... extents)
{
	const int64_t shape[] = { static_cast<int64_t>(extents)..., 0 };

	return devserve_weight_of_shape(host, name, dtype, shape, sizeof...(extents));
}

/* Types that say which datatype they are; FP16 and BF16 need the form above. */
template <typename T> struct devserve_dtype_of;
#define DEVSERVE_DTYPE_OF(type, dtype)                                            \
	template <> struct devserve_dtype_of<type> {                              \
		static constexpr devserve_dtype value = dtype;                    \
	};
DEVSERVE_DTYPE_OF(bool, DEVSERVE_BOOL)
DEVSERVE_DTYPE_OF(uint8_t, DEVSERVE_UINT8)
DEVSERVE_DTYPE_OF(uint16_t, DEVSERVE_UINT16)
DEVSERVE_DTYPE_OF(uint32_t, DEVSERVE_UINT32)
DEVSERVE_DTYPE_OF(uint64_t, DEVSERVE_UINT64)
DEVSERVE_DTYPE_OF(int8_t, DEVSERVE_INT8)
DEVSERVE_DTYPE_OF(int16_t, DEVSERVE_INT16)
DEVSERVE_DTYPE_OF(int32_t, DEVSERVE_INT32)
DEVSERVE_DTYPE_OF(int64_t, DEVSERVE_INT64)
DEVSERVE_DTYPE_OF(float, DEVSERVE_FP32)
DEVSERVE_DTYPE_OF(double, DEVSERVE_FP64)
#undef DEVSERVE_DTYPE_OF

template <typename T, typename... Extent>
inline const T *devserve_weight(const devserve_host *host, const char *name, Extent... extents)
{
	return static_cast<const T *>(
		devserve_weight(host, name, devserve_dtype_of<T>::value, extents...));
}
#else
#define devserve_weight(host, name, dtype, ...)                                   \
	devserve_weight_of_shape((host), (name), (dtype), (const int64_t[]){ __VA_ARGS__ }, \
				 (uint32_t)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))
#endif

#endif
