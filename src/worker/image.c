/* SPDX-License-Identifier: MIT */

/*
 * dlclose() returns 0 also when it unmaps nothing: a GNU_UNIQUE symbol, a thread_local with
 * a destructor, DF_1_NODELETE. So it is asked of the loader's list afterwards whether the
 * address is still mapped by an object, and the answer goes to the server.
 */

#include "worker/image.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devserve/ext/check.h>
#include <devserve/ext/state.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "state/layout.h"
#include "worker/gpu.h"
#include "worker/host.h"
#include "worker/state.h"
#include "worker/threads.h"
#include "worker/weights.h"

/* One mapping, and the images that differ in their device code alone. [control] */
struct host_code {
	unsigned n_users;
	char hash[56], weights[4096]; /* as loaded */
};

static struct host_code *host_code_new(const struct link_load *load)
{
	struct host_code *c = xcalloc(1, sizeof(*c));

	c->n_users = 1;
	memcpy(c->hash, load->hash, sizeof(c->hash));
	memcpy(c->weights, load->weights, sizeof(c->weights));
	return c;
}

static bool is_same_code(const struct image *image, const struct link_load *load)
{
	return image && image->dl && image->gpu && load->device[0] && load->hash[0] &&
	       strcmp(image->code->hash, load->hash) == 0 && strcmp(image->code->weights, load->weights) == 0;
}

static uint32_t count_ports(const struct devserve_port *ports)
{
	uint32_t n = 0;

	while (n < DEVSERVE_MAX_TENSORS && ports[n].name)
		n++;
	return n;
}

static int refuse(char *sentence, size_t size, int error, const char *text)
{
	snprintf(sentence, size, "%s", text);
	return error;
}

static int check(const struct devserve_deployment *entry, char *sentence, size_t size)
{
	if (!entry)
		return refuse(sentence, size, ENOEXEC,
			      "the image has no devserve_entry; end one source with "
			      "DEVSERVE_DEPLOYMENT(...)");
	if (entry->abi_major != DEVSERVE_ABI_MAJOR)
		return refuse(sentence, size, ENOEXEC,
			      "the image was built for another ABI; build it against this "
			      "devserve's headers");
	if (!entry->infer)
		return refuse(sentence, size, ENOEXEC, "the deployment has no .infer");
	return 0;
}

static int find_end(struct dl_phdr_info *info, size_t size, void *context)
{
	struct image *image = context;

	(void)size;
	if (info->dlpi_addr != image->base)
		return 0;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && image->base + p->p_vaddr + p->p_memsz > image->end)
			image->end = image->base + p->p_vaddr + p->p_memsz;
	}
	return 1;
}

static int open_entry(struct image *image, const char *path, char *sentence, size_t size)
{
	struct link_map *map;

	if (dlopen(path, RTLD_NOW | RTLD_NOLOAD))
		return refuse(sentence, size, EEXIST, "the loader still holds an image of this path");
	image->dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!image->dl)
		return refuse(sentence, size, ENOEXEC, dlerror());
	if (dlinfo(image->dl, RTLD_DI_LINKMAP, &map) == 0)
		image->base = map->l_addr;
	dl_iterate_phdr(find_end, image);
	image->entry = dlsym(image->dl, "devserve_entry");
	return check(image->entry, sentence, size);
}

static int create(struct image *image, char *sentence, size_t size)
{
	int r = 0;

	host_capture(sentence, size);
	weights_offer(image->weights);
	gpu_enter(image->gpu);
	if (image->entry->create)
		r = image->entry->create(host_table(), &image->self);
	if (gpu_leave(image->gpu) < 0 && r == 0)
		r = -EIO;
	weights_offer(NULL);
	host_capture(NULL, 0);
	if (r == 0)
		return 0;
	if (!sentence[0])
		snprintf(sentence, size, "create() returned %d (%s)", r, strerror(r < 0 ? -r : r));
	return r < 0 ? -r : EPROTO;
}

const struct devserve_extension *image_extension(const struct image *image, const char *id)
{
	const struct devserve_extension *const *e = image->entry->extensions;

	for (unsigned i = 0; i < DEVSERVE_MAX_EXTENSIONS && e[i]; i++)
		if (e[i]->id && strcmp(e[i]->id, id) == 0)
			return e[i];
	return NULL;
}

static int run_check(const struct image *image, char *sentence, size_t size)
{
	const struct devserve_check_extension *e =
		(const struct devserve_check_extension *)image_extension(image, DEVSERVE_CHECK_ID);
	int r = 0;

	host_capture(sentence, size);
	gpu_enter(image->gpu);
	if (e)
		r = e->check(host_table(), image->self);
	if (gpu_leave(image->gpu) < 0 && r == 0)
		r = -EIO;
	host_capture(NULL, 0);
	if (r == 0)
		return 0;
	if (!sentence[0])
		snprintf(sentence, size, "check() returned %d (%s)", r, strerror(r < 0 ? -r : r));
	return r < 0 ? -r : EPROTO;
}

static int prove(const struct image *image, const struct link_load *load, char *sentence, size_t size)
{
	int r = state_try(image, load->state, sentence, size);

	if (r != 0)
		return r;
	sentence[0] = '\0'; /* what create() logged */
	if (load->serving[0])
		r = state_try_swap(image, load, sentence, size);
	if (r == 0)
		r = run_check(image, sentence, size);
	state_try_end(image);
	return r;
}

/* Not under threads that an unfinished create() left: what they run in stays. */
static void give_up(struct image *image)
{
	if (threads_left(image->threads))
		return;
	gpu_close(image->gpu);
	if (image->dl)
		dlclose(image->dl);
	threads_free(image->threads);
	weights_close(image->weights);
	layout_unref(image->layout);
	free(image->code);
}

/* Its tensors are to lie on the GPU if it says so. */
static void read_offer(const struct image *image)
{
	if (image->gpu)
		gpu_set_offer(image->gpu, (const struct devserve_cuda_deployment *)
						  image_extension(image, DEVSERVE_CUDA_ID));
}

/* One that can't be, or is of another image, counts as not known. */
static void read_layout(struct image *image, const char *path)
{
	const struct devserve_state_extension *e =
		(const struct devserve_state_extension *)image_extension(image, DEVSERVE_STATE_ID);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (!e || !path[0] || file_read(path, &text) < 0)
		return;
	image->layout = layout_parse(buffer_text(&text), text.size);
	if (image->layout && image->layout->size != e->size)
		image->layout = layout_unref(image->layout);
}

static int open_new(struct image *image, const struct link_load *load, unsigned flags, char *sentence, size_t size)
{
	int r = weights_open(load->weights, &image->weights, sentence, size);

	if (r == 0 && flags & LINK_CUDA)
		r = gpu_open(load, NULL, &image->gpu, sentence, size);
	if (r == 0)
		r = open_entry(image, load->image, sentence, size);
	if (r == 0) {
		read_offer(image);
		read_layout(image, load->layout);
		r = create(image, sentence, size);
	}
	if (r == 0 && flags & LINK_TRIAL)
		r = prove(image, load, sentence, size);
	return r;
}

/* The device part of @serving's host code. */
static int share(struct image *ret, const struct link_load *load, const struct image *serving, char *sentence,
		 size_t size)
{
	struct image image = *serving;
	int r = gpu_open(load, serving->gpu, &image.gpu, sentence, size);

	if (r != 0)
		return r;
	image.code->n_users++;
	image.layout = image.layout ? layout_ref(image.layout) : NULL;
	*ret = image;
	return 0;
}

int image_open(struct image *ret, const struct link_load *load, unsigned flags, const struct image *serving,
	       char *sentence, size_t size)
{
	struct image image = { .dl = NULL };
	int r;

	sentence[0] = '\0';
	if (is_same_code(serving, load) && !(flags & LINK_TRIAL))
		return share(ret, load, serving, sentence, size);
	image.threads = threads_new();
	image.code = host_code_new(load);
	threads_enter(image.threads);
	r = open_new(&image, load, flags, sentence, size);
	threads_enter(NULL);
	if (r != 0) {
		give_up(&image);
		return r;
	}
	image.n_in = count_ports(image.entry->inputs);
	image.n_out = count_ports(image.entry->outputs);
	*ret = image;
	return 0;
}

static int is_mapped_at(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	return info->dlpi_addr == *(const uintptr_t *)context;
}

static void destroy(struct image *image)
{
	threads_enter(image->threads);
	gpu_enter(image->gpu);
	if (image->entry->destroy)
		image->entry->destroy(image->self);
	gpu_leave(image->gpu);
	threads_enter(NULL);
}

/* The runtime of an image with kernels of its own hands them back to the driver as it is unmapped. */
static void unmap(struct image *image)
{
	if (image->gpu)
		gpu_settle(image->gpu);
	dlclose(image->dl);
	if (image->gpu)
		gpu_settle(image->gpu);
	gpu_close(image->gpu);
	threads_free(image->threads);
	weights_close(image->weights);
	layout_unref(image->layout);
	free(image->code);
}

enum link_unloaded image_close(struct image *image)
{
	uintptr_t base = image->base;

	if (--image->code->n_users) { /* its host code serves on */
		gpu_close(image->gpu);
		layout_unref(image->layout);
		*image = (struct image){ .dl = NULL };
		return LINK_UNMAPPED;
	}
	destroy(image);
	if (threads_left(image->threads))
		return LINK_THREADS_LEFT;
	unmap(image);
	*image = (struct image){ .dl = NULL };
	return dl_iterate_phdr(is_mapped_at, &base) == 0 ? LINK_UNMAPPED : LINK_STILL_MAPPED;
}
