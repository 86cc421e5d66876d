/* SPDX-License-Identifier: MIT */
#include "serve/browser.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/memory.h"

struct opener {
	LIST_ENTRY(opener) entry;
	uv_process_t process;
};

struct browser {
	uv_loop_t *loop;
	LIST_HEAD(, opener) openers; /* that run */
};

struct browser *browser_new(uv_loop_t *loop)
{
	struct browser *b = xcalloc(1, sizeof(*b));

	b->loop = loop;
	LIST_INIT(&b->openers);
	return b;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void forget(struct opener *o)
{
	LIST_REMOVE(o, entry);
	uv_close((uv_handle_t *)&o->process, on_closed);
}

struct browser *browser_free(struct browser *b)
{
	if (!b)
		return NULL;
	while (!LIST_EMPTY(&b->openers))
		forget(LIST_FIRST(&b->openers));
	free(b);
	return NULL;
}

static void on_end(uv_process_t *process, int64_t code, int signal)
{
	(void)code, (void)signal;
	forget(process->data);
}

int browser_open(struct browser *b, const char *url)
{
	char name[] = "xdg-open", *address = xstrdup(url);
	char *argv[] = { name, address, NULL };
	const uv_process_options_t options = {
		.file = name, .args = argv, .flags = UV_PROCESS_DETACHED, .exit_cb = on_end,
	};
	struct opener *o = xcalloc(1, sizeof(*o));
	int r = uv_spawn(b->loop, &o->process, &options);

	free(address);
	o->process.data = o;
	LIST_INSERT_HEAD(&b->openers, o, entry);
	if (r < 0)
		forget(o);
	else
		uv_unref((uv_handle_t *)&o->process);
	return r;
}
