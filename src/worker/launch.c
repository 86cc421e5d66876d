/* SPDX-License-Identifier: MIT */
#include "worker/launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "cuda/code.h"
#include "worker/gpu.h"
#include "worker/lane.h"

#define USUAL_SHARED 49152
#define MAX_LISTED 5

/* A kernel called @name that isn't extern "C": its symbol starts so, and goes on with its parameters. */
static bool is_mangled(const char *symbol, const char *name)
{
	char start[256];
	int n = snprintf(start, sizeof(start), "_Z%zu%s", strlen(name), name);

	return n < (int)sizeof(start) && strncmp(symbol, start, (size_t)n) == 0;
}

/* The nearest to @name first. */
static void put_kernels(const struct kernel *all, const char *name, struct buffer *ret)
{
	struct suggestion s = { .word = name };
	unsigned n = 0, n_more = 0;

	for (const struct kernel *k = all; k; k = k->next)
		suggestion_consider(&s, k->name);
	if (s.best) {
		buffer_puts(ret, s.best);
		n++;
	}
	for (const struct kernel *k = all; k; k = k->next) {
		if (k->name == s.best)
			continue;
		if (n >= MAX_LISTED)
			n_more++;
		else
			buffer_printf(ret, n++ ? ", %.60s" : "%.60s", k->name);
	}
	if (n_more)
		buffer_printf(ret, " and %u more", n_more);
}

static void complain_of(const struct code *c, const char *name)
{
	_cleanup_buffer_ struct buffer list = BUFFER_NULL;

	if (!c) {
		lane_complain(EIO, "there is no kernel \"%s\": no .cu here is without host code; one that has <<<>>>, a header of "
				   "devserve or of CUDA's libraries, or calls of the CUDA runtime is compiled by nvcc "
				   "into the image, where no kernel is found by its name", name);
		return;
	}
	for (const struct kernel *k = code_kernels(c); k; k = k->next) {
		if (!is_mangled(k->symbol, name))
			continue;
		lane_complain(EIO, "there is no kernel \"%s\", but a %s that isn't extern \"C\"; make it so, or name it "
				   "in 'kernels' of deployment.yaml", name, name);
		return;
	}
	put_kernels(code_kernels(c), name, &list);
	lane_complain(EIO, "there is no kernel \"%s\"; those that there are: %s. It must be extern \"C\" __global__, in a .cu "
			   "without host code, or named by 'kernels' of deployment.yaml",
		      name, list.size ? buffer_text(&list) : "none");
}

static struct kernel *find_kernel(struct gpu *g, const char *name)
{
	struct kernel *k = g->code ? code_find(g->code, name) : NULL;

	if (!k)
		complain_of(g->code, name);
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
