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
#include <string.h>

#include <devserve/ext/check.h>

#include "worker/host.h"
#include "worker/state.h"
#include "worker/threads.h"
#include "worker/weights.h"

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
	image->entry = dlsym(image->dl, "devserve_entry");
	return check(image->entry, sentence, size);
}

static int create(struct image *image, char *sentence, size_t size)
{
	int r = 0;

	host_capture(sentence, size);
	weights_offer(image->weights);
	if (image->entry->create)
		r = image->entry->create(host_table(), &image->self);
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
	if (e)
		r = e->check(host_table(), image->self);
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
	r = run_check(image, sentence, size);
	state_try_end(image);
	return r;
}

/* Not under threads that an unfinished create() left: what they run in stays. */
static void give_up(struct image *image)
{
	if (threads_left(image->threads))
		return;
	if (image->dl)
		dlclose(image->dl);
	threads_free(image->threads);
	weights_close(image->weights);
}

int image_open(struct image *ret, const struct link_load *load, bool trial, char *sentence, size_t size)
{
	struct image image = { .threads = threads_new() };
	int r;

	sentence[0] = '\0';
	threads_enter(image.threads);
	r = weights_open(load->weights, &image.weights, sentence, size);
	if (r == 0)
		r = open_entry(&image, load->image, sentence, size);
	if (r == 0)
		r = create(&image, sentence, size);
	if (r == 0 && trial)
		r = prove(&image, load, sentence, size);
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

enum link_unloaded image_close(struct image *image)
{
	uintptr_t base = image->base;

	threads_enter(image->threads);
	if (image->entry->destroy)
		image->entry->destroy(image->self);
	threads_enter(NULL);
	if (threads_left(image->threads))
		return LINK_THREADS_LEFT;
	dlclose(image->dl);
	threads_free(image->threads);
	weights_close(image->weights);
	*image = (struct image){ .dl = NULL };
	return dl_iterate_phdr(is_mapped_at, &base) == 0 ? LINK_UNMAPPED : LINK_STILL_MAPPED;
}
