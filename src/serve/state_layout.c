/* SPDX-License-Identifier: MIT */
#include "serve/state_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/child.h"
#include "base/file.h"
#include "base/memory.h"
#include "state/layout.h"

#define TIME_LIMIT_MS 5000
#define MEMORY_LIMIT CHILD_OWN_MEMORY(UINT64_C(4) << 30)
#define SAID_MAX 500
#define NO_LAYOUT "Another generation's state is told from it by size and .version alone"
#define HAS_POINTER 3 /* exit status of `devserve-debug layout` */

struct state_layout {
	struct child *child;
	struct buffer text; /* on stdout */
	struct buffer said; /* on stderr */
	state_layout_fn on_done;
	void *context;
};

static struct state_layout *layout_free(struct state_layout *l)
{
	buffer_fini(&l->text);
	buffer_fini(&l->said);
	free(l);
	return NULL;
}

/* What comes from an image's debug information goes onto terminals. */
static void on_text(void *context, int fd, const char *text, size_t size)
{
	struct state_layout *l = context;

	if (fd == 1 && l->text.size <= LAYOUT_MAX_TEXT)
		buffer_append(&l->text, text, size);
	for (size_t i = 0; fd == 2 && i < size && l->said.size < SAID_MAX; i++)
		if (text[i] != '\n')
			buffer_putc(&l->said, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
}

static void conclude(const struct state_layout *l, const struct child_end *end, struct buffer *ret)
{
	if (end->signal || end->code == 2 || end->code == 127)
		buffer_printf(ret, "whether the state holds pointers can't be told: devserve-debug %s; " NO_LAYOUT,
			      child_timed_out(l->child) ? "took too long" : "failed");
	else if (end->code == HAS_POINTER)
		buffer_printf(ret, "the state holds a pointer: %s; it would dangle after a swap, so "
				   "keep an index or the data itself", buffer_text(&l->said));
	else if (end->code != 0)
		buffer_printf(ret, "whether the state holds pointers can't be told: %s; compile with -g. " NO_LAYOUT,
			      buffer_text(&l->said));
}

static void on_end(void *context, const struct child_end *end)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	struct state_layout *l = context;
	_cleanup_buffer_ struct buffer text = l->text;
	struct state_layout_result result = { .refused = !end->signal && end->code == HAS_POINTER };
	state_layout_fn on_done = l->on_done;
	void *done_context = l->context;

	conclude(l, end, &sentence);
	l->text = (struct buffer)BUFFER_NULL;
	layout_free(l);
	if (sentence.size) {
		result.sentence = sentence.data;
	} else {
		result.text = buffer_text(&text);
		result.size = text.size;
	}
	on_done(done_context, &result);
}

int state_layout_look(uv_loop_t *loop, const char *image, state_layout_fn on_done, void *context,
		      struct state_layout **ret)
{
	_cleanup_free_ char *program = path_of_helper("devserve-debug");
	struct state_layout *l = xcalloc(1, sizeof(*l));
	const char *argv[] = { program, "layout", image, NULL };
	int r;

	l->on_done = on_done;
	l->context = context;
	r = child_start(loop, &(struct child_options){
		.argv = argv,
		.memory_limit = MEMORY_LIMIT,
		.cpu_limit_s = TIME_LIMIT_MS / 1000,
		.time_limit_ms = TIME_LIMIT_MS,
		.on_text = on_text,
		.on_end = on_end,
		.context = l,
	}, &l->child);
	if (r < 0) {
		layout_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct state_layout *state_layout_abandon(struct state_layout *l)
{
	if (!l)
		return NULL;
	child_abandon(l->child);
	return layout_free(l);
}
