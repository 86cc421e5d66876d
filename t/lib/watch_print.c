/* SPDX-License-Identifier: MIT */

/*
 * watch_print ROOT [SETTLE_MS [--poll]]: prints what src/watch delivers, a JSON object a
 * line: {"paths":[…],"everything":false,"overflow":false} or {"notice":"…"}. Paths are
 * relative to ROOT. Ends when its standard input does; {"end":true}: and nothing is left.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "watch/watch.h"

struct printer {
	uv_loop_t loop;
	uv_pipe_t input;
	char scrap[64];
	const char *root;
	struct watch *watch;
};

static void print_line(struct buffer *line)
{
	buffer_putc(line, '\n');
	fputs(buffer_text(line), stdout);
	fflush(stdout);
	buffer_fini(line);
}

static void on_changed(void *context, const struct watch_batch *batch)
{
	const struct printer *p = context;
	struct buffer line = BUFFER_NULL;

	json_object(&line, NULL);
	json_array(&line, "paths");
	for (size_t i = 0; i < batch->n_paths; i++)
		json_string(&line, NULL, batch->paths[i] + strlen(p->root) + 1);
	json_array_end(&line);
	json_bool(&line, "everything", batch->everything);
	json_bool(&line, "overflow", batch->overflow);
	json_object_end(&line);
	print_line(&line);
}

static void on_notice(void *context, const char *sentence)
{
	struct buffer line = BUFFER_NULL;

	(void)context;
	json_object(&line, NULL);
	json_string(&line, "notice", sentence);
	json_object_end(&line);
	print_line(&line);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct printer *p = handle->data;

	(void)size;
	*ret = uv_buf_init(p->scrap, sizeof(p->scrap));
}

static void on_input(uv_stream_t *input, ssize_t n, const uv_buf_t *buf)
{
	struct printer *p = input->data;

	(void)buf;
	if (n >= 0)
		return;
	uv_close((uv_handle_t *)input, NULL);
	watch_stop(p->watch);
}

int main(int argc, char **argv)
{
	struct printer p = { .root = argc > 1 ? argv[1] : "" };
	struct watch_options o = { .root = p.root, .settle_ms = 10 };
	struct watch_callbacks cb = { on_changed, on_notice, &p };
	int r;

	if (argc < 2 || *p.root != '/') {
		fprintf(stderr, "usage: watch_print /ROOT [SETTLE_MS [--poll]]\n");
		return 2;
	}
	if (argc > 2)
		o.settle_ms = (unsigned)strtoul(argv[2], NULL, 10);
	o.poll = argc > 3 && strcmp(argv[3], "--poll") == 0;
	uv_loop_init(&p.loop);
	uv_pipe_init(&p.loop, &p.input, 0);
	p.input.data = &p;
	uv_pipe_open(&p.input, 0);
	uv_read_start((uv_stream_t *)&p.input, on_alloc, on_input);
	r = watch_start(&p.loop, &o, &cb, &p.watch);
	if (r < 0) {
		fprintf(stderr, "watch_start: %s\n", strerror(-r));
		return 1;
	}
	uv_run(&p.loop, UV_RUN_DEFAULT);
	r = uv_loop_close(&p.loop);
	puts(r == 0 ? "{\"end\":true}" : "{\"end\":false}");
	return 0;
}
