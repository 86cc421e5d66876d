/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/internal.h"
#include "build/look.h"

#define DEFAULT_TIME_MS 120000
#define DEFAULT_MEMORY (UINT64_C(4) << 30)
#define DEFAULT_STORE (UINT64_C(1) << 30)

static unsigned n_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

/*
 * C++ names stay inside: the templates of libstdc++ that an image instantiates are visible
 * whatever the flags, and if this image is what brings libstdc++ in, libstdc++ itself binds
 * to them. Then the image can never be unloaded, for libstdc++ can't.
 */
static int write_exports(struct builder *b, struct buffer *why)
{
	static const char script[] = "{ local: _Z*; _end; _edata; __bss_start; };\n";
	int r;

	if (!b->exports)
		b->exports = store_temporary(&b->store, ".exports");
	r = file_write(b->exports, script, strlen(script), 0644);
	if (r < 0)
		buffer_printf(why, "cannot write %s: %s", b->exports, strerror(-r));
	return r;
}

int builder_new(uv_loop_t *loop, const struct builder_options *o, struct buffer *why,
		struct builder **ret)
{
	struct builder *b = xcalloc(1, sizeof(*b));
	int r = store_open(&b->store, o->state_dir,
			   o->store_limit ? o->store_limit : DEFAULT_STORE, why);

	if (r == 0)
		r = write_exports(b, why);
	if (r < 0) {
		store_close(&b->store);
		free(b->exports);
		free(b);
		return r;
	}
	b->loop = loop;
	b->state_dir = xstrdup(o->state_dir);
	b->include_dir = xstrdup(o->include_dir);
	b->root = xstrdup(o->root);
	b->time_limit_ms = o->time_limit_ms ? o->time_limit_ms : DEFAULT_TIME_MS;
	b->memory_limit = o->memory_limit ? o->memory_limit : DEFAULT_MEMORY;
	b->color = o->color;
	b->is_quiet = o->is_quiet;
	b->quiet_context = o->context;
	b->queue = queue_new(loop, o->jobs ? o->jobs : n_cpus(), b->root, b->store.temporary);
	b->warm = warm_new(b->queue);
	b->contents = contents_new();
	b->sources = sources_new(&b->store);
	toolchain_init(&b->toolchain, b->include_dir, b->root);
	TAILQ_INIT(&b->builds);
	TAILQ_INIT(&b->looks);
	uv_timer_init(loop, &b->look_timer);
	b->look_timer.data = b;
	uv_timer_init(loop, &b->timer);
	b->timer.data = b;
	*ret = b;
	return 0;
}

void builder_mend(struct builder *b)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	if (store_mend(&b->store) == 1)
		write_exports(b, &why); /* what fails here, the build says better */
}

static void on_closed(uv_handle_t *timer)
{
	struct builder *b = timer->data;

	free(b->exports);
	free(b->state_dir);
	free(b->include_dir);
	free(b->root);
	free(b);
}

static void on_look_timer_closed(uv_handle_t *timer)
{
	struct builder *b = timer->data;

	uv_close((uv_handle_t *)&b->timer, on_closed);
}

/* A build that just calls back may look at its builder once more: it goes last. */
struct builder *builder_free(struct builder *b)
{
	if (!b)
		return NULL;
	b->freed = true;
	while (!TAILQ_EMPTY(&b->builds))
		build_cancel(TAILQ_FIRST(&b->builds));
	while (!TAILQ_EMPTY(&b->looks))
		look_cancel(TAILQ_FIRST(&b->looks));
	b->probing = probing_cancel(b->probing);
	b->warm = warm_free(b->warm);
	b->queue = queue_free(b->queue);
	b->sources = sources_free(b->sources);
	b->contents = contents_free(b->contents);
	store_close(&b->store);
	toolchain_fini(&b->toolchain);
	uv_close((uv_handle_t *)&b->look_timer, on_look_timer_closed);
	return NULL;
}

const char *builder_complaint(const struct builder *b)
{
	return b->toolchain.cuda.complaint;
}

char *builder_image(struct builder *b, struct hash image)
{
	return store_has(&b->store, "images", image) ? store_path(&b->store, "images", image) : NULL;
}

char *builder_device(struct builder *b, struct hash device)
{
	return store_has(&b->store, "devices", device) ? store_path(&b->store, "devices", device) : NULL;
}

int builder_layout(struct builder *b, struct hash image, struct buffer *ret)
{
	return store_read_note(&b->store, "layouts", image, ret);
}

int builder_keep_layout(struct builder *b, struct hash image, const char *text, size_t size)
{
	return store_write_note(&b->store, "layouts", image, text, size);
}

int64_t builder_trim(struct builder *b)
{
	return store_trim(&b->store);
}
