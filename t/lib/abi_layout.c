/* SPDX-License-Identifier: MIT */

/* Every number of <devserve/…> that an image has compiled in. C11 and C++20. */

#include <stddef.h>
#include <stdio.h>

#include <devserve/deployment.h>
#include <devserve/ext/check.h>
#include <devserve/ext/reference.h>
#include <devserve/ext/work.h>
#include <devserve/ext/state.h>
#include <devserve/ext/weights.h>
#include <devserve/ext/cuda.h>

#define SIZE(type) printf("sizeof(%s) %zu\n", #type, sizeof(type))
#define FIELD(type, field)                                                  \
	printf("%s.%s at %zu, %zu bytes\n", #type, #field,                  \
	       offsetof(struct type, field), sizeof(((struct type *)0)->field))
#define VALUE(name) printf("%s %lld\n", #name, (long long)(name))

static void print_values(void)
{
	VALUE(DEVSERVE_ABI_MAJOR);
	VALUE(DEVSERVE_ABI_MINOR);
	VALUE(DEVSERVE_MAX_TENSORS);
	VALUE(DEVSERVE_MAX_RANK);
	VALUE(DEVSERVE_MAX_EXTENSIONS);
	VALUE(DEVSERVE_BOOL);
	VALUE(DEVSERVE_UINT8);
	VALUE(DEVSERVE_UINT16);
	VALUE(DEVSERVE_UINT32);
	VALUE(DEVSERVE_UINT64);
	VALUE(DEVSERVE_INT8);
	VALUE(DEVSERVE_INT16);
	VALUE(DEVSERVE_INT32);
	VALUE(DEVSERVE_INT64);
	VALUE(DEVSERVE_FP16);
	VALUE(DEVSERVE_FP32);
	VALUE(DEVSERVE_FP64);
	VALUE(DEVSERVE_BYTES);
	VALUE(DEVSERVE_BF16);
	VALUE(DEVSERVE_DEBUG);
	VALUE(DEVSERVE_INFO);
	VALUE(DEVSERVE_WARNING);
	VALUE(DEVSERVE_ERROR);
	VALUE(DEVSERVE_OWN_SHAPE);
	VALUE(DEVSERVE_SAME_SHAPE);
}

static void print_tables(void)
{
	SIZE(struct devserve_tensor);
	FIELD(devserve_tensor, name);
	FIELD(devserve_tensor, data);
	FIELD(devserve_tensor, shape);
	FIELD(devserve_tensor, size);
	FIELD(devserve_tensor, rank);
	FIELD(devserve_tensor, dtype);
	FIELD(devserve_tensor, device);
	FIELD(devserve_tensor, device_id);
	SIZE(struct devserve_port);
	FIELD(devserve_port, name);
	FIELD(devserve_port, dtype);
	FIELD(devserve_port, shape);
	SIZE(struct devserve_extension);
	FIELD(devserve_extension, id);
	FIELD(devserve_extension, struct_size);
	FIELD(devserve_extension, reserved);
	SIZE(struct devserve_bytes);
	FIELD(devserve_bytes, data);
	FIELD(devserve_bytes, size);
}

static void print_host(void)
{
	SIZE(struct devserve_host);
	FIELD(devserve_host, struct_size);
	FIELD(devserve_host, abi_major);
	FIELD(devserve_host, abi_minor);
	FIELD(devserve_host, context);
	FIELD(devserve_host, log);
	FIELD(devserve_host, extension);
	FIELD(devserve_host, output);
	FIELD(devserve_host, append);
	FIELD(devserve_host, fail);
	SIZE(struct devserve_call);
	FIELD(devserve_call, struct_size);
	FIELD(devserve_call, n_in);
	FIELD(devserve_call, n_out);
	FIELD(devserve_call, batch);
	FIELD(devserve_call, in);
	FIELD(devserve_call, out);
	FIELD(devserve_call, self);
	FIELD(devserve_call, host);
	FIELD(devserve_call, context);
}

static void print_deployment(void)
{
	SIZE(struct devserve_deployment);
	FIELD(devserve_deployment, struct_size);
	FIELD(devserve_deployment, abi_major);
	FIELD(devserve_deployment, abi_minor);
	FIELD(devserve_deployment, description);
	FIELD(devserve_deployment, inputs);
	FIELD(devserve_deployment, outputs);
	FIELD(devserve_deployment, max_batch_size);
	FIELD(devserve_deployment, max_queue_delay_microseconds);
	FIELD(devserve_deployment, shape);
	FIELD(devserve_deployment, create);
	FIELD(devserve_deployment, destroy);
	FIELD(devserve_deployment, infer);
	FIELD(devserve_deployment, extensions);
}

static void print_state(void)
{
	VALUE(DEVSERVE_MAX_STATE);
	SIZE(struct devserve_state_extension);
	FIELD(devserve_state_extension, extension);
	FIELD(devserve_state_extension, size);
	FIELD(devserve_state_extension, slot);
	FIELD(devserve_state_extension, version);
	FIELD(devserve_state_extension, reserved);
	FIELD(devserve_state_extension, migrate);
	FIELD(devserve_state_extension, migrate_from);
	VALUE(DEVSERVE_STATE_SIGNED);
	VALUE(DEVSERVE_STATE_UNSIGNED);
	VALUE(DEVSERVE_STATE_BOOL);
	VALUE(DEVSERVE_STATE_FLOAT);
	VALUE(DEVSERVE_STATE_BF16);
	VALUE(DEVSERVE_STATE_COMPLEX);
	VALUE(DEVSERVE_STATE_UNION);
	VALUE(DEVSERVE_STATE_OTHER);
	VALUE(DEVSERVE_STATE_MAX_EXTENTS);
	SIZE(struct devserve_state_member);
	FIELD(devserve_state_member, name);
	FIELD(devserve_state_member, type);
	FIELD(devserve_state_member, offset);
	FIELD(devserve_state_member, size);
	FIELD(devserve_state_member, kind);
	FIELD(devserve_state_member, bit);
	FIELD(devserve_state_member, n_bits);
	FIELD(devserve_state_member, n_extents);
	FIELD(devserve_state_member, extents);
	FIELD(devserve_state_member, strides);
	SIZE(struct devserve_state_layout);
	FIELD(devserve_state_layout, size);
	FIELD(devserve_state_layout, version);
	FIELD(devserve_state_layout, n_members);
	FIELD(devserve_state_layout, members);
}

static void print_trial(void)
{
	SIZE(struct devserve_check_extension);
	FIELD(devserve_check_extension, extension);
	FIELD(devserve_check_extension, check);
	SIZE(struct devserve_reference_extension);
	FIELD(devserve_reference_extension, extension);
	FIELD(devserve_reference_extension, reference);
	SIZE(struct devserve_work);
	FIELD(devserve_work, flops);
	FIELD(devserve_work, bytes);
	FIELD(devserve_work, dtype);
	FIELD(devserve_work, reserved);
	SIZE(struct devserve_work_extension);
	FIELD(devserve_work_extension, extension);
	FIELD(devserve_work_extension, work);
}

static void print_weights(void)
{
	SIZE(struct devserve_weights_extension);
	FIELD(devserve_weights_extension, extension);
	FIELD(devserve_weights_extension, at);
	FIELD(devserve_weights_extension, find);
	FIELD(devserve_weights_extension, get);
}

static void print_cuda(void)
{
	SIZE(struct devserve_cuda_deployment);
	FIELD(devserve_cuda_deployment, extension);
	FIELD(devserve_cuda_deployment, host_inputs);
	FIELD(devserve_cuda_deployment, host_outputs);
	FIELD(devserve_cuda_deployment, graphs);
	FIELD(devserve_cuda_deployment, reserved);
	SIZE(struct devserve_dim3);
	FIELD(devserve_dim3, x);
	FIELD(devserve_dim3, y);
	FIELD(devserve_dim3, z);
	SIZE(struct devserve_cuda_argument);
	FIELD(devserve_cuda_argument, value);
	FIELD(devserve_cuda_argument, at);
	FIELD(devserve_cuda_argument, size);
	SIZE(struct devserve_cuda_launch);
	FIELD(devserve_cuda_launch, kernel);
	FIELD(devserve_cuda_launch, grid);
	FIELD(devserve_cuda_launch, block);
	FIELD(devserve_cuda_launch, shared);
	FIELD(devserve_cuda_launch, arguments);
	FIELD(devserve_cuda_launch, n_arguments);
	FIELD(devserve_cuda_launch, reserved);
	SIZE(struct devserve_cuda_extension);
	FIELD(devserve_cuda_extension, extension);
	FIELD(devserve_cuda_extension, stream);
	FIELD(devserve_cuda_extension, scratch);
	FIELD(devserve_cuda_extension, allocate);
	FIELD(devserve_cuda_extension, release);
	FIELD(devserve_cuda_extension, copy);
	FIELD(devserve_cuda_extension, launch);
	FIELD(devserve_cuda_extension, synchronize);
	FIELD(devserve_cuda_extension, blas);
	FIELD(devserve_cuda_extension, blaslt);
}

static void print_extensions(void)
{
	print_state();
	print_trial();
	print_weights();
	print_cuda();
}

int main(void)
{
	print_values();
	print_tables();
	print_host();
	print_deployment();
	print_extensions();
	return 0;
}
