/* SPDX-License-Identifier: MIT */

/*
 * What a swap leaves to be written; never while its answers wait, so a timer does it.
 */

#include "serve/server.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"
#include "ingress/ingress.h"
#include "serve/stamp.h"
#include "weights/weights.h"

#define CHORES_MS 20

static void write_compile_commands(struct server *s)
{
	_cleanup_free_ char *path = path_join(s->root, "compile_commands.json");
	struct recipe *recipes = NULL;
	struct plugin *p;
	size_t n = 0;

	LIST_FOREACH(p, &s->plugins.list, entry) {
		recipes = xrealloc(recipes, (n + 1) * sizeof(*recipes));
		recipes[n++] = p->recipe;
	}
	builder_write_compile_commands(s->builder, recipes, n, path);
	free(recipes);
}

/* Somebody may have cleaned the state directory up: commands find us by run.json. */
static void keep_state_dir(struct server *s)
{
	_cleanup_free_ char *path = path_join(s->dir.path, "run.json");

	if (!s->ingress || file_make_directories_from(s->dir.path, s->dir.path) < 0)
		return;
	stamp_keep(s->dir.path);
	if (!file_exists(path))
		run_file_write(s->dir.path, ingress_url(s->ingress), s->token, DEVSERVE_VERSION);
}

static void on_chores(uv_timer_t *timer)
{
	struct server *s = timer->data;

	if (s->stopping)
		return;
	plugins_write_records(&s->plugins);
	if (s->checking)
		return;
	write_compile_commands(s);
	weights_tidy(s->weights);
	keep_state_dir(s);
}

void server_init_chores(struct server *s)
{
	uv_timer_init(&s->loop, &s->chores);
	s->chores.data = s;
	uv_unref((uv_handle_t *)&s->chores);
}

void server_do_chores_soon(struct server *s)
{
	if (!uv_is_active((uv_handle_t *)&s->chores))
		uv_timer_start(&s->chores, on_chores, CHORES_MS, 0);
}
