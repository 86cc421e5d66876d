/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/job.h"
#include "build/probe.h"
#include "build/store.h"
#include "build/toolchain.h"

static void on_probed(void *context)
{
	*(bool *)context = true;
}

static void ask(struct toolchain *t, struct store *s, const char *directory)
{
	struct probing *probing;
	bool probed = false;
	struct queue *queue;
	uv_loop_t loop;

	uv_loop_init(&loop);
	queue = queue_new(&loop, 1, directory, s->temporary);
	toolchain_probe(t, s, queue, on_probed, &probed, &probing);
	while (!probed && uv_run(&loop, UV_RUN_ONCE))
		;
	cr_assert(probed);
	queue_free(queue);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
}

/* It notes in @log that it was run. */
static void install(const char *program, const char *log, const char *answer)
{
	_cleanup_free_ char *script = xasprintf("#!/bin/sh\necho x >>%s\necho %s\n", log, answer);

	cr_assert_eq(file_write(program, script, strlen(script), 0755), 0);
}

static size_t n_lines(const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	size_t n = 0;

	file_read(path, &text);
	for (size_t i = 0; i < text.size; i++)
		n += text.data[i] == '\n';
	return n;
}

/* A toolchain is known by its compilers; what else is asked, devserve-cuda, only by what is here. */
Test(probe, a_program_that_was_asked_is_asked_anew_when_it_changes)
{
	char top[] = "/tmp/probe-XXXXXX";
	struct buffer why = BUFFER_NULL;
	struct store store;
	struct toolchain t = { .root = top, .include_dir = top };
	_cleanup_free_ char *program = NULL, *log = NULL, *state = NULL;
	size_t n;

	cr_assert_not_null(mkdtemp(top));
	program = path_join(top, "program");
	log = path_join(top, "log");
	state = path_join(top, "state");
	cr_assert_eq(store_open(&store, state, 1 << 30, &why), 0, "%s", buffer_text(&why));
	install(program, log, "1");
	words_add(&t.cc.command, program);
	ask(&t, &store, top);
	n = n_lines(log);
	cr_assert_gt(n, 0);
	ask(&t, &store, top);
	cr_assert_eq(n_lines(log), n);
	install(program, log, "22");
	ask(&t, &store, top);
	cr_assert_eq(n_lines(log), 2 * n);
	t.root = t.include_dir = NULL;
	toolchain_fini(&t);
	store_close(&store);
	file_remove_tree(top);
}
