/* SPDX-License-Identifier: MIT */

/*
 * Builds deployments with src/build and prints one line of JSON for each, in the order in
 * which they end. Usage: build_once [options] STATE-DIR ROOT PATH…
 *
 *	--jobs=N --time-ms=N --memory=BYTES --store=BYTES --color
 *	--cflag=WORD --ldlib=WORD      as of a deployment.yaml
 *	--repeat=N                     build again after the last has ended; the last is printed
 *	--cancel-ms=N                  cancel all after so long, and print {"cancelled":…}
 *	--depends=FILE                 whether each depends on it; builds nothing
 *	--fingerprint                  likewise
 *	--commands=FILE                write a compile_commands.json
 *	--trim
 */

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "build/build.h"
#include "build/words.h"

enum { MAX = 64 };

struct one {
	struct run *run;
	unsigned i;
};

struct run {
	uv_loop_t loop;
	uv_timer_t timer;
	struct builder *builder;
	struct builder_options options;
	struct words cflags, ldlibs;
	unsigned repeat, cancel_ms, n_open, n;
	bool fingerprint, trim;
	const char *depends, *commands;
	struct recipe recipes[MAX];
	struct build *builds[MAX];
	struct one ones[MAX];
	uint64_t started_ns;
};

static void start_all(struct run *r);

static const char *outcome_name(enum build_outcome o)
{
	return o == BUILD_OK ? "ok" : o == BUILD_FAILED ? "failed" : "unsupported";
}

static void print_diagnostics(struct buffer *b, const struct build_result *result)
{
	json_array(b, "diagnostics");
	for (size_t i = 0; i < result->n_diagnostics; i++) {
		const struct diagnostic *d = &result->diagnostics[i];

		json_object(b, NULL);
		json_string(b, "file", d->file);
		json_uint(b, "line", d->line);
		json_uint(b, "column", d->column);
		json_string(b, "severity", d->severity);
		json_string(b, "message", d->message);
		json_object_end(b);
	}
	json_array_end(b);
}

static void print_kernels(struct buffer *b, const struct build_result *result)
{
	json_array(b, "kernels");
	for (size_t i = 0; i < result->n_kernels; i++) {
		const struct kernel_figures *k = &result->kernels[i];

		json_object(b, NULL);
		json_string(b, "name", k->name);
		json_uint(b, "registers", k->registers);
		json_uint(b, "spilled", k->spilled);
		json_uint(b, "stack", k->stack);
		json_uint(b, "shared", k->shared);
		json_object_end(b);
	}
	json_array_end(b);
}

static void print(const struct run *r, const char *name, const struct build_result *result)
{
	struct buffer b = BUFFER_NULL;
	char image[HASH_TEXT_SIZE], source[HASH_TEXT_SIZE];

	hash_text(result->image_hash, image);
	hash_text(result->source_hash, source);
	json_object(&b, NULL);
	json_string(&b, "name", name);
	json_string(&b, "outcome", outcome_name(result->outcome));
	json_bool(&b, "cached", result->cached);
	json_string(&b, "image", result->image);
	json_string(&b, "image_hash", image);
	json_string(&b, "source_hash", source);
	json_uint(&b, "compile_ns", result->compile_ns);
	json_uint(&b, "link_ns", result->link_ns);
	json_uint(&b, "total_ns", clock_ns() - r->started_ns);
	json_string(&b, "compiler", result->compiler);
	print_diagnostics(&b, result);
	print_kernels(&b, result);
	json_string(&b, "device", result->device);
	json_string(&b, "text", result->text);
	json_object_end(&b);
	puts(buffer_text(&b));
	buffer_fini(&b);
}

static void on_done(void *context, const struct build_result *result)
{
	struct one *one = context;
	struct run *r = one->run;

	r->builds[one->i] = NULL;
	if (r->repeat <= 1)
		print(r, r->recipes[one->i].name, result);
	if (--r->n_open)
		return;
	if (--r->repeat) {
		start_all(r);
	} else {
		r->builder = builder_free(r->builder);
		uv_close((uv_handle_t *)&r->timer, NULL);
	}
}

static void start_all(struct run *r)
{
	r->started_ns = clock_ns();
	r->n_open = r->n;
	for (unsigned i = 0; i < r->n; i++) {
		r->ones[i] = (struct one){ r, i };
		if (build_start(r->builder, &r->recipes[i], on_done, &r->ones[i], &r->builds[i]) < 0)
			abort();
	}
}

static void on_cancel(uv_timer_t *timer)
{
	struct run *r = timer->data;
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++) {
		n += r->builds[i] != NULL;
		r->builds[i] = build_cancel(r->builds[i]);
	}
	printf("{\"cancelled\":%u}\n", n);
	r->builder = builder_free(r->builder);
	uv_close((uv_handle_t *)&r->timer, NULL);
}

static void scan(struct run *r, const char *path)
{
	_cleanup_free_ char *name = xstrndup(path_name(path), strcspn(path_name(path), "."));
	struct recipe *recipe = &r->recipes[r->n];
	int e = recipe_scan(name, path, recipe);

	if (e < 0) {
		printf("{\"name\":\"%s\",\"outcome\":\"none\",\"error\":\"%s\"}\n", name, strerror(-e));
		return;
	}
	if (r->cflags.n)
		recipe->cflags = r->cflags.at;
	if (r->ldlibs.n)
		recipe->ldlibs = r->ldlibs.at;
	r->n++;
}

static bool ask(struct run *r)
{
	char text[HASH_TEXT_SIZE];
	struct hash h;

	for (unsigned i = 0; r->depends && i < r->n; i++)
		printf("{\"depends\":%s}\n",
		       builder_depends(r->builder, &r->recipes[i], r->depends) ? "true" : "false");
	for (unsigned i = 0; r->fingerprint && i < r->n; i++) {
		int e = builder_fingerprint(r->builder, &r->recipes[i], &h);

		hash_text(h, text);
		printf("{\"fingerprint\":\"%s\"}\n", e < 0 ? strerror(-e) : text);
	}
	if (r->commands)
		printf("{\"commands\":%d}\n", builder_write_compile_commands(r->builder, r->recipes,
									      r->n, r->commands));
	if (r->trim)
		printf("{\"trimmed\":%lld}\n", (long long)builder_trim(r->builder));
	return r->depends || r->fingerprint || r->commands || r->trim;
}

static const struct option options[] = {
	{ "jobs", required_argument, NULL, 'j' },    { "time-ms", required_argument, NULL, 't' },
	{ "memory", required_argument, NULL, 'm' },  { "store", required_argument, NULL, 's' },
	{ "color", no_argument, NULL, 'c' },         { "cflag", required_argument, NULL, 'f' },
	{ "ldlib", required_argument, NULL, 'l' },   { "repeat", required_argument, NULL, 'r' },
	{ "cancel-ms", required_argument, NULL, 'k' }, { "depends", required_argument, NULL, 'd' },
	{ "fingerprint", no_argument, NULL, 'p' },   { "commands", required_argument, NULL, 'o' },
	{ "trim", no_argument, NULL, 'x' },          { NULL, 0, NULL, 0 },
};

static void set_option(struct run *r, int option)
{
	switch (option) {
	case 'j': r->options.jobs = (unsigned)strtoul(optarg, NULL, 10); break;
	case 't': r->options.time_limit_ms = strtoul(optarg, NULL, 10); break;
	case 'm': r->options.memory_limit = strtoul(optarg, NULL, 10); break;
	case 's': r->options.store_limit = strtoul(optarg, NULL, 10); break;
	case 'c': r->options.color = true; break;
	case 'f': words_add(&r->cflags, optarg); break;
	case 'l': words_add(&r->ldlibs, optarg); break;
	case 'r': r->repeat = (unsigned)strtoul(optarg, NULL, 10); break;
	case 'k': r->cancel_ms = (unsigned)strtoul(optarg, NULL, 10); break;
	case 'd': r->depends = optarg; break;
	case 'p': r->fingerprint = true; break;
	case 'o': r->commands = optarg; break;
	case 'x': r->trim = true; break;
	default: exit(2);
	}
}

int main(int argc, char **argv)
{
	const char *include = getenv("DEVSERVE_INCLUDE");
	char directory[PATH_MAX];
	struct run r = { .repeat = 1 };
	struct buffer why = BUFFER_NULL;

	setlinebuf(stdout);
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;)
		set_option(&r, c);
	if (argc - optind < 3)
		return 2;
	r.options.state_dir = argv[optind];
	r.options.root = argv[optind + 1];
	include = realpath(include ? include : "include", directory);
	r.options.include_dir = include ? include : "/nowhere";
	uv_loop_init(&r.loop);
	if (builder_new(&r.loop, &r.options, &why, &r.builder) < 0) {
		printf("{\"outcome\":\"none\",\"error\":\"%s\"}\n", buffer_text(&why));
		buffer_fini(&why);
		uv_loop_close(&r.loop);
		return 1;
	}
	for (int i = optind + 2; i < argc && r.n < MAX; i++)
		scan(&r, argv[i]);
	uv_timer_init(&r.loop, &r.timer);
	r.timer.data = &r;
	if (ask(&r) || !r.n) {
		builder_free(r.builder);
		uv_close((uv_handle_t *)&r.timer, NULL);
	} else {
		start_all(&r);
		if (r.cancel_ms)
			uv_timer_start(&r.timer, on_cancel, r.cancel_ms, 0);
	}
	uv_run(&r.loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < r.n; i++) {
		r.recipes[i].cflags = r.recipes[i].ldlibs = NULL;
		recipe_fini(&r.recipes[i]);
	}
	words_fini(&r.cflags);
	words_fini(&r.ldlibs);
	buffer_fini(&why);
	return uv_loop_close(&r.loop) == 0 ? 0 : 3;
}
