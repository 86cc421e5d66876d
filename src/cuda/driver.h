/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Driver
 *
 * The functions of CUDA's driver that we use, found at run time: nothing of ours links to a
 * CUDA library, so that everything else works where there is none. Types, numbers and versioned
 * names are those of NVIDIA's <cuda.h>, which promises not to change them; no header of theirs
 * is needed to build.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int cuda_result; /* CUresult: 0, or what cuda_error_name() names */
typedef uint64_t cuda_address; /* CUdeviceptr */

typedef struct CUctx_st *cuda_context;
typedef struct CUstream_st *cuda_stream;
typedef struct CUevent_st *cuda_event;
typedef struct CUlib_st *cuda_library;
typedef struct CUkern_st *cuda_kernel;
typedef struct CUfunc_st *cuda_function;
typedef struct CUgraph_st *cuda_graph;
typedef struct CUgraphExec_st *cuda_graph_exec;

enum { /* CUdevice_attribute */
	CUDA_L2_CACHE = 38, /* bytes */
	CUDA_MAJOR = 75,
	CUDA_MINOR = 76,
	CUDA_MAX_SHARED = 97, /* of a block, when it asks for more than the usual 48 KiB */
};

enum { /* CUfunction_attribute */
	CUDA_KERNEL_SHARED = 1,         /* bytes that the kernel declares */
	CUDA_KERNEL_DYNAMIC_SHARED = 8, /* how many more a launch may ask for */
};

enum { CUDA_CAPTURE_THREAD_LOCAL = 1 }; /* CUstreamCaptureMode */

enum { CUDA_ERROR_NO_BINARY_FOR_GPU = 209 };

enum { CUDA_MEMORY_TYPE = 2 }; /* CUpointer_attribute */
enum { CUDA_MEMORY_DEVICE = 2 }; /* CUmemorytype */

enum { CUDA_STREAM_NON_BLOCKING = 1, CUDA_EVENT_NO_TIMING = 2 };

/* field, the symbol's name, arguments */
#define CUDA_FUNCTIONS(X)                                                                       \
	X(init, cuInit, (unsigned flags))                                                       \
	X(version, cuDriverGetVersion, (int *ret))                                              \
	X(count, cuDeviceGetCount, (int *ret))                                                  \
	X(get, cuDeviceGet, (int *ret, int ordinal))                                            \
	X(name, cuDeviceGetName, (char *ret, int size, int device))                             \
	X(bus, cuDeviceGetPCIBusId, (char *ret, int size, int device))                          \
	X(attribute, cuDeviceGetAttribute, (int *ret, int attribute, int device))               \
	X(retain, cuDevicePrimaryCtxRetain, (cuda_context *ret, int device))                    \
	X(set_current, cuCtxSetCurrent, (cuda_context context))                                 \
	X(synchronize, cuCtxSynchronize, (void))                                                \
	X(stream_create, cuStreamCreate, (cuda_stream *ret, unsigned flags))                    \
	X(stream_synchronize, cuStreamSynchronize, (cuda_stream stream))                        \
	X(stream_wait, cuStreamWaitEvent, (cuda_stream stream, cuda_event event, unsigned flags)) \
	X(stream_write, cuStreamWriteValue32_v2, (cuda_stream stream, cuda_address at, uint32_t value, unsigned flags)) \
	X(event_create, cuEventCreate, (cuda_event *ret, unsigned flags))                       \
	X(event_record, cuEventRecord, (cuda_event event, cuda_stream stream))                  \
	X(event_elapsed, cuEventElapsedTime, (float *ret_ms, cuda_event from, cuda_event to))   \
	X(event_synchronize, cuEventSynchronize, (cuda_event event))                            \
	X(event_destroy, cuEventDestroy_v2, (cuda_event event))                                 \
	X(allocate, cuMemAlloc_v2, (cuda_address *ret, size_t size))                            \
	X(release, cuMemFree_v2, (cuda_address address))                                        \
	X(memory, cuMemGetInfo_v2, (size_t *ret_free, size_t *ret_total))                       \
	X(copy, cuMemcpyAsync, (cuda_address to, cuda_address from, size_t size, cuda_stream stream)) \
	X(copy_in, cuMemcpyHtoDAsync_v2, (cuda_address to, const void *from, size_t size, cuda_stream stream)) \
	X(copy_out, cuMemcpyDtoHAsync_v2, (void *to, cuda_address from, size_t size, cuda_stream stream)) \
	X(fill, cuMemsetD8Async, (cuda_address to, unsigned char value, size_t size, cuda_stream stream)) \
	X(allocate_host, cuMemAllocHost_v2, (void **ret, size_t size))                          \
	X(pin, cuMemHostRegister_v2, (void *at, size_t size, unsigned flags))                   \
	X(unpin, cuMemHostUnregister, (void *at))                                               \
	X(library_load, cuLibraryLoadData, (cuda_library *ret, const void *code, int *jit_options, \
		void **jit_values, unsigned n_jit, int *options, void **values, unsigned n))    \
	X(library_unload, cuLibraryUnload, (cuda_library library))                              \
	X(library_count, cuLibraryGetKernelCount, (unsigned *ret, cuda_library library))        \
	X(library_kernels, cuLibraryEnumerateKernels, (cuda_kernel *ret, unsigned n, cuda_library library)) \
	X(kernel_name, cuKernelGetName, (const char **ret, cuda_kernel kernel))                 \
	X(kernel_function, cuKernelGetFunction, (cuda_function *ret, cuda_kernel kernel))       \
	X(function_load, cuFuncLoad, (cuda_function function))                                  \
	X(kernel_attribute, cuKernelGetAttribute, (int *ret, int attribute, cuda_kernel kernel, int device)) \
	X(kernel_set, cuKernelSetAttribute, (int attribute, int value, cuda_kernel kernel, int device)) \
	X(kernel_parameter, cuKernelGetParamInfo, (cuda_kernel kernel, size_t index, size_t *ret_offset, size_t *ret_size)) \
	X(launch, cuLaunchKernel, (cuda_function function, unsigned grid_x, unsigned grid_y,    \
		unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,          \
		unsigned shared, cuda_stream stream, void **arguments, void **extra))           \
	X(pointer_attribute, cuPointerGetAttribute, (void *ret, int attribute, cuda_address at)) \
	X(capture_begin, cuStreamBeginCapture_v2, (cuda_stream stream, int mode))               \
	X(capture_end, cuStreamEndCapture, (cuda_stream stream, cuda_graph *ret))               \
	X(graph_destroy, cuGraphDestroy, (cuda_graph graph))                                    \
	X(graph_instantiate, cuGraphInstantiateWithFlags, (cuda_graph_exec *ret, cuda_graph graph, \
		unsigned long long flags))                                                      \
	X(graph_launch, cuGraphLaunch, (cuda_graph_exec exec, cuda_stream stream))              \
	X(graph_exec_destroy, cuGraphExecDestroy, (cuda_graph_exec exec))                       \
	X(error_name, cuGetErrorName, (cuda_result error, const char **ret))                    \
	X(error_string, cuGetErrorString, (cuda_result error, const char **ret))

struct driver {
#define CUDA_FIELD(field, symbol, arguments) cuda_result (*field) arguments;
	CUDA_FUNCTIONS(CUDA_FIELD)
#undef CUDA_FIELD
	int number; /* 13000: it speaks CUDA 13.0 */
};

/*
 * The driver of this machine, loaded and initialised the first time; stays for the life of the
 * process. NULL, with a sentence: there is none, it is too old, or it finds no GPU. [any]
 */
const struct driver *driver_open(char *why, size_t size);

/* Only map it, if it is there: it starts threads when it is opened, and whose those are may matter. [any] */
void driver_map(void);

/* "CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was encountered" */
void driver_describe(const struct driver *d, cuda_result error, char *ret, size_t size);

/* The context is lost, and with it the process: nothing works any more. */
bool driver_is_sticky(cuda_result error);
