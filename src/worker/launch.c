/* SPDX-License-Identifier: MIT */
#include "worker/launch.h"

#include <errno.h>

#include "cuda/code.h"
#include "worker/gpu.h"
#include "worker/lane.h"

#define USUAL_SHARED 49152

static struct kernel *find_kernel(struct gpu *g, const char *name)
{
	struct kernel *k = g->code ? code_find(g->code, name) : NULL;

	if (!k)
		lane_complain(EIO, g->code ? "there is no kernel \"%s\"; it must be extern \"C\" __global__, in a .cu "
					"without host code, or named by 'kernels' of deployment.yaml"
				      : "there is no kernel \"%s\": no .cu without host code is beside this source",
			 name);
	return k;
}

static int check_arguments(const struct kernel *k, const struct devserve_cuda_launch *l)
{
	if (l->n_arguments != k->n_parameters)
		return lane_complain(EIO, "kernel %s has %u parameters and was given %u arguments", k->name,
				k->n_parameters, l->n_arguments);
	for (unsigned i = 0; i < l->n_arguments; i++)
		if (l->arguments[i].size != k->sizes[i])
			return lane_complain(EIO, "parameter %u of kernel %s has %zu bytes, its argument %llu; give it "
					"the very type that the kernel declares", i + 1, k->name, k->sizes[i],
					(unsigned long long)l->arguments[i].size);
	return 0;
}

/* More than the usual must be asked for, once for each kernel. */
static int allow_shared(struct gpu *g, struct kernel *k, uint64_t shared)
{
	cuda_result r;

	if (shared > (uint64_t)g->device->max_shared)
		return lane_complain(EIO, "kernel %s wants %llu bytes of shared memory, a block of this GPU has %d",
				k->name, (unsigned long long)shared, g->device->max_shared);
	if (shared <= (uint64_t)k->dynamic || shared + (unsigned)k->shared <= USUAL_SHARED)
		return 0;
	if (lane_spoils("a kernel wants more shared memory than in the call of this shape before"))
		return -EBUSY;
	r = g->device->driver->kernel_set(CUDA_KERNEL_DYNAMIC_SHARED, (int)shared, k->kernel, g->device->ordinal);
	if (r == 0)
		k->dynamic = (int)shared;
	return lane_tell(g, r, "the kernel cannot have so much shared memory");
}

static struct devserve_dim3 dim(struct devserve_dim3 d)
{
	return (struct devserve_dim3){ d.x ? d.x : 1, d.y ? d.y : 1, d.z ? d.z : 1 };
}

int launch_kernel(struct gpu *g, const struct devserve_cuda_launch *l)
{
	struct devserve_dim3 grid = dim(l->grid), block = dim(l->block);
	struct kernel *k = find_kernel(g, l->kernel);
	void *arguments[KERNEL_MAX_PARAMETERS];
	char what[160] = "";
	int r;

	if (!k)
		return -EIO;
	r = check_arguments(k, l);
	if (r == 0)
		r = allow_shared(g, k, l->shared);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < l->n_arguments; i++)
		arguments[i] = l->arguments[i].at ? (void *)l->arguments[i].at : (void *)&l->arguments[i].value;
	blame_add(&lane_own()->flight->blame, l->kernel, grid, block);
	r = g->device->driver->launch(k->function, grid.x, grid.y, grid.z, block.x, block.y, block.z,
				      (unsigned)l->shared, lane_stream(g), arguments, NULL);
	if (r == 0)
		return 0;
	blame_last(&lane_own()->flight->blame, what, sizeof(what));
	return driver_is_sticky(r) ? lane_tell(g, r, "the GPU failed")
				   : lane_complain(EIO, "the kernel cannot be launched (%s)%s", what,
						   r == 701 ? ": it has too few registers for so many threads; fewer "
							      "threads, or __launch_bounds__" : "");
}
