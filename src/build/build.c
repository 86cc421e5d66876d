/* SPDX-License-Identifier: MIT */

/*
 * A build goes WAITING → COMPILING → LINKING and then calls back. It waits for the
 * builder's timer, so that build_start() returns at once and nothing calls back from inside
 * of it, and, once in a builder's life, for the toolchain to be known.
 *
 * COMPILING looks every source up in the store and starts a job for those that are not
 * there; a failed one does not stop the others, for one save may have two mistakes. If all
 * is found, the callback comes within a millisecond.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/advice.h"
#include "build/flags.h"
#include "build/internal.h"
#include "build/program.h"
#include "build/sanitizer.h"

static void copy_list(char ***to, char *const *from)
{
	struct words list = WORDS_NULL;

	for (; from && *from; from++)
		words_add(&list, *from);
	*to = list.at;
}

static unsigned *copy_lines(char *const *list, const unsigned *from)
{
	unsigned *to;
	size_t n = 0;

	while (list && list[n])
		n++;
	to = xcalloc(n + 1, sizeof(*to));
	for (size_t i = 0; from && i < n; i++)
		to[i] = from[i];
	return to;
}

struct recipe recipe_copy(const struct recipe *from)
{
	struct words sources = WORDS_NULL;
	struct recipe to;

	for (size_t i = 0; i < from->n_sources; i++)
		words_add(&sources, from->sources[i]);
	to = (struct recipe){ .name = xstrdup(from->name), .path = xstrdup(from->path),
			      .sources = sources.at, .n_sources = sources.n, .afresh = from->afresh,
			      .tell_loops = from->tell_loops,
			      .sanitize = from->sanitize };
	copy_list(&to.cflags, from->cflags);
	copy_list(&to.ldlibs, from->ldlibs);
	copy_list(&to.kernels, from->kernels);
	to.cflag_lines = copy_lines(from->cflags, from->cflag_lines);
	to.ldlib_lines = copy_lines(from->ldlibs, from->ldlib_lines);
	to.kernel_lines = copy_lines(from->kernels, from->kernel_lines);
	return to;
}

/* The deployment's directory: its headers are found without one. */
char *recipe_directory(const struct recipe *r)
{
	if (file_is_directory(r->path))
		return xstrdup(r->path);
	return xstrndup(r->path, (size_t)(path_name(r->path) - r->path) - 1);
}

void build_say(struct build *b, const char *text)
{
	_cleanup_buffer_ struct buffer plain = BUFFER_NULL;

	diagnostics_parse(&b->diagnostics, text, b->builder->root);
	if (!b->builder->color) {
		text_plain(&plain, text, strlen(text));
		text = buffer_text(&plain);
	}
	text_append(&b->text, &b->n_lost, text, strlen(text));
}

void build_fail(struct build *b, const char *file, const char *format, ...)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	va_list args;

	va_start(args, format);
	buffer_vprintf(&sentence, format, args);
	va_end(args);
	b->failed = true;
	diagnostics_add(&b->diagnostics, file, "error", buffer_text(&sentence));
	buffer_putc(&sentence, '\n');
	text_append(&b->text, &b->n_lost, buffer_text(&sentence), sentence.size);
}

void build_place(struct build *b, struct diagnostic *d, unsigned line, const char *key, const char *word,
		 struct buffer *places)
{
	_cleanup_free_ char *message = d->message, *note = NULL;

	free(d->file);
	d->file = path_join(b->own, "deployment.yaml");
	d->line = line;
	d->message = xasprintf("%s: '%s': %s", key, word, message);
	note = xasprintf("%s:%u: note: %s: '%s'\n", d->file, line, key, word);
	if (!strstr(buffer_text(places), note)) /* other sources' compilers said the same */
		buffer_puts(places, note);
}

static bool is_out_of_memory(const char *text)
{
	return strstr(text, "out of memory") || strstr(text, "virtual memory exhausted") ||
	       strstr(text, "bad_alloc") || strstr(text, "annot allocate memory");
}

/* gcc's driver tells of its own children in words. */
static bool was_killed(const struct job_end *end)
{
	return end->signal == SIGKILL || end->signal == SIGTERM || end->signal == SIGINT ||
	       strstr(end->text, "Killed signal terminated program");
}

static bool has_no_room(const struct job_end *end)
{
	return strstr(end->text, "No space left on device") != NULL;
}

/* By us; or by itself, of the SIGALRM that it asked for (nvrtc/compile.c). */
static bool took_too_long(const struct job_end *end)
{
	return end->timed_out || end->signal == SIGALRM;
}

static void put_time_over(const struct builder *b, const char *name, const char *source, struct buffer *text)
{
	buffer_printf(text, "error: %s was stopped after %g s", name, (double)b->time_limit_ms / 1000);
	if (source)
		buffer_printf(text, ", which %s took", source);
	buffer_putc(text, '\n');
}

/* Before what the compiler says, which takes it for a mistake at the line where it was. */
static void put_no_room(const struct builder *b, struct buffer *text)
{
	_cleanup_buffer_ struct buffer said = *text;

	*text = (struct buffer)BUFFER_NULL;
	buffer_printf(text, "error: cannot write %s: No space left on device; make room, then save again\n", b->state_dir);
	buffer_append(text, said.data, said.size);
}

bool build_explain(struct build *b, const struct job_end *end, const char *name, const char *source, struct buffer *text)
{
	const struct builder *builder = b->builder;
	size_t before = text->size;

	if (end->error || (was_killed(end) && !end->timed_out) || has_no_room(end))
		b->disturbed = true;
	if (end->error)
		buffer_printf(text, "error: cannot run %s: %s\n", name, strerror(-end->error));
	else if (took_too_long(end))
		put_time_over(builder, name, source, text);
	else if (is_out_of_memory(end->text))
		buffer_printf(text, "error: %s may use %g GiB of memory, which was not enough\n",
			      name, (double)builder->memory_limit / (1 << 30));
	else if (was_killed(end))
		buffer_printf(text, "error: %s was killed by somebody, or for want of memory; save again to "
			      "build it again\n", name);
	else if (end->signal)
		buffer_printf(text, "error: %s was ended by a signal: %s\n", name,
			      strsignal(end->signal));
	else if (has_no_room(end))
		put_no_room(builder, text);
	return text->size > before;
}

static void free_build(struct build *b)
{
	TAILQ_REMOVE(&b->builder->builds, b, entry);
	job_cancel(b->job);
	for (size_t i = 0; b->units && i < b->recipe.n_sources; i++)
		unit_fini(&b->units[i]);
	if (b->stub_directory)
		file_remove_tree(b->stub_directory);
	free(b->stub_directory);
	free(b->image_temporary);
	free(b->units);
	free(b->own);
	recipe_fini(&b->recipe);
	buffer_fini(&b->text);
	buffer_fini(&b->why);
	diagnostics_fini(&b->diagnostics);
	figures_fini(&b->figures);
	names_fini(&b->names);
	free(b->device);
	free(b->runtime);
	free(b);
}

/* Of the compiler that had the most to do: all started together. The first source's where none ran. */
static const char *compiler_name(struct build *b)
{
	const struct unit *longest = &b->units[0];
	const struct compiler *c;

	for (size_t i = 1; i < b->recipe.n_sources; i++)
		if (b->units[i].ended_ns - b->units[i].started_ns > longest->ended_ns - longest->started_ns)
			longest = &b->units[i];
	c = toolchain_compiler(&b->builder->toolchain, longest->language);
	return c ? c->name : "cc";
}

/* What the inputs of all sources, and what is linked to them, come to. */
static struct hash sum_up(const struct recipe *r, const struct hash *inputs)
{
	struct hash_state *s = hash_state_new();

	if (r->sanitize) /* its image may be the same, its worker isn't */
		hash_state_add_string(s, "sanitize");
	hash_state_add(s, inputs, r->n_sources * sizeof(*inputs));
	for (char **word = r->ldlibs; word && *word; word++) {
		hash_state_add_string(s, *word);
		if (**word == '/')
			identity_add(s, *word);
	}
	return hash_state_end(s);
}

/*
 * What was built, not what lies there now: a save that came meanwhile must not pass for
 * one that was acted on.
 */
static struct hash hash_what_was_read(struct build *b)
{
	_cleanup_free_ struct hash *inputs = xcalloc(b->recipe.n_sources, sizeof(*inputs));

	for (size_t i = 0; i < b->recipe.n_sources; i++)
		inputs[i] = unit_inputs(&b->units[i]);
	return sum_up(&b->recipe, inputs);
}

/* The callback may start and cancel builds, this builder's others among them, or free it. */
static void finish(struct build *b)
{
	struct builder *builder = b->builder;
	bool ok = !b->failed && !b->unsupported;
	_cleanup_free_ char *image = ok ? store_path(&builder->store, "images", b->image) : NULL;
	_cleanup_free_ struct build_file *files = NULL;
	struct build_result result = {
		.outcome = ok ? BUILD_OK : b->unsupported ? BUILD_UNSUPPORTED : BUILD_FAILED,
		.image = image,
		.image_hash = b->image,
		.device = ok ? b->device : NULL,
		.device_hash = b->device_hash,
		.cached = !b->ran,
		.disturbed = b->disturbed,
		.diagnostics = b->diagnostics.at,
		.n_diagnostics = b->diagnostics.n,
		.kernels = b->figures.at,
		.n_kernels = b->figures.n,
		.compile_ns = b->compile_ns,
		.link_ns = b->link_ns,
		.runtime = b->runtime,
		.compiler = compiler_name(b),
	};

	result.source_hash = hash_what_was_read(b);
	result.files = files = build_files(b, &result.n_files);
	text_finish(&b->text, b->n_lost);
	result.text = buffer_text(&b->text);
	TAILQ_REMOVE(&builder->builds, b, entry);
	store_trim_sometimes(&builder->store);
	b->done(b->context, &result);
	TAILQ_INSERT_TAIL(&builder->builds, b, entry); /* where free_build() looks for it */
	free_build(b);
}

void build_linked(struct build *b)
{
	if (!b->failed)
		device_pack(b);
	finish(b);
}

/* What ptxas tells are figures, not messages. */
static void say_text_of(struct build *b, struct unit *u)
{
	_cleanup_buffer_ struct buffer others = BUFFER_NULL, rest = BUFFER_NULL, advised = BUFFER_NULL;

	if (u->language != LANGUAGE_CUDA && u->language != LANGUAGE_DEVICE) {
		build_say(b, u->entry.text);
		return;
	}
	names_read(&b->names, u->entry.text, &others);
	u->first_kernel = b->figures.n;
	figures_read(&b->figures, buffer_text(&others), &b->names, &rest);
	u->n_kernels = b->figures.n - u->first_kernel;
	advice_add(buffer_text(&rest), u->source, &advised);
	device_warn_of_unreachable(b, u, &advised);
	build_say(b, buffer_text(&advised));
}

static void say_of(struct build *b, struct unit *u)
{
	u->first_diagnostic = b->diagnostics.n;
	say_text_of(b, u);
	u->n_diagnostics = b->diagnostics.n - u->first_diagnostic;
}

/* Move the message of a compiler that refuses a flag to that flag's line. */
static void place_at_flag(struct build *b, struct diagnostic *d, struct buffer *places)
{
	ssize_t at = flags_find_refused(b->recipe.cflags, d->message);

	if (at >= 0 && b->recipe.cflag_lines[at])
		build_place(b, d, b->recipe.cflag_lines[at], "cflags", b->recipe.cflags[at], places);
}

/* Those of its compiler that may be about a flag; whether there is one that names no file. */
static bool place_at_flags(struct build *b, const struct unit *u, struct buffer *places)
{
	bool any = false;

	for (size_t i = 0; !u->explained && i < u->n_diagnostics; i++) {
		struct diagnostic *d = &b->diagnostics.at[u->first_diagnostic + i];

		if (d->line || strcmp(d->severity, "error") != 0)
			continue;
		any |= !d->file;
		place_at_flag(b, d, places);
	}
	return any;
}

/* A compiler that dislikes a flag names no line; ours is where the flag is from. */
static void name_cflags(struct build *b)
{
	_cleanup_buffer_ struct buffer note = BUFFER_NULL;
	bool any = false;

	if (!b->recipe.cflags || !*b->recipe.cflags)
		return;
	for (size_t i = 0; i < b->recipe.n_sources; i++)
		any |= place_at_flags(b, &b->units[i], &note);
	if (!any && !note.size)
		return;
	buffer_puts(&note, "note: cflags of deployment.yaml:");
	for (char **word = b->recipe.cflags; *word; word++)
		buffer_printf(&note, " '%s'", *word);
	buffer_puts(&note, "; each flag is an item of its own\n");
	build_say(b, buffer_text(&note));
}

static void end_compiling(struct build *b)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (size_t i = 0; i < b->recipe.n_sources; i++) {
		struct unit *u = &b->units[i];

		if (u->entry.text)
			say_of(b, u);
		b->failed |= u->failed;
		if (u->ended_ns && u->started_ns < first)
			first = u->started_ns;
		last = u->ended_ns > last ? u->ended_ns : last;
	}
	b->compile_ns = last ? last - first : 0;
	if (!b->failed) {
		device_check_names(b);
		device_check_kernels(b);
	}
	if (b->failed) {
		name_cflags(b);
		finish(b);
		return;
	}
	b->state = BUILD_LINKING;
	link_start(b);
}

void build_unit_done(struct unit *u)
{
	if (--u->build->n_open == 0)
		end_compiling(u->build);
}

/* A compiler takes seconds to say so, in a hundred thousand lines. */
static bool is_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char start[4096];
	ssize_t n = fd < 0 ? 0 : read(fd, start, sizeof(start));

	if (fd >= 0)
		close(fd);
	return n <= 0 || !memchr(start, '\0', (size_t)n);
}

/* Say what is missing and how to get it. */
static bool is_supported(struct build *b)
{
	static const char *const hints[] = {
		[LANGUAGE_C] = "no C compiler: install gcc (or set CC)",
		[LANGUAGE_CXX] = "no C++ compiler: install g++ (or set CXX)",
		[LANGUAGE_ASSEMBLER] = "no C compiler: install gcc (or set CC)",
		[LANGUAGE_CUDA] = "CUDA sources need nvcc, which is not in PATH, $NVCC, $CUDA_HOME or "
				  "/usr/local/cuda: install the CUDA toolkit "
				  "(https://developer.nvidia.com/cuda-downloads), or build devserve with "
				  "make CUDA=pip",
		[LANGUAGE_DEVICE] = "CUDA sources need NVRTC, and no CUDA toolkit is in PATH, $NVCC, "
				    "$CUDA_HOME or /usr/local/cuda: install it "
				    "(https://developer.nvidia.com/cuda-downloads), or build devserve with "
				    "make CUDA=pip",
	};
	const struct cuda *c = &b->builder->toolchain.cuda;

	for (size_t i = 0; i < b->recipe.n_sources; i++) {
		enum language l = b->units[i].language;

		if (!is_text(b->recipe.sources[i])) {
			build_fail(b, b->recipe.sources[i], "this is no source but a binary file");
			return false;
		}
		if (toolchain_compiler(&b->builder->toolchain, l))
			continue;
		if (l == LANGUAGE_DEVICE && c->root)
			build_fail(b, b->recipe.sources[i], "CUDA sources without host code need NVRTC, and there is no libnvrtc.so "
				   "of %s's: install cuda-nvrtc of its version (NVIDIA's name)", c->nvcc.command.at[0]);
		else
			build_fail(b, b->recipe.sources[i], "%s", hints[l]);
		b->unsupported = true;
		return false;
	}
	if (!b->builder->toolchain.cuda.root && cuda_has_library(b->recipe.ldlibs)) {
		build_fail(b, NULL, "the libraries of CUDA need its toolkit, which is not in PATH, $NVCC, "
				    "$CUDA_HOME or /usr/local/cuda: install it, or build devserve with "
				    "make CUDA=pip");
		b->unsupported = true;
	}
	return !b->unsupported;
}

static void compile_all(struct build *b)
{
	b->n_open = 1; /* ours, so that jobs that end at once don't end the build */
	for (size_t i = 0; i < b->recipe.n_sources; i++)
		object_start(&b->units[i]);
	if (--b->n_open == 0)
		end_compiling(b);
}

static void begin(struct build *b)
{
	b->state = BUILD_COMPILING;
	for (size_t i = 0; i < b->recipe.n_sources; i++)
		b->units[i] = (struct unit){ .build = b, .source = b->recipe.sources[i],
					     .language = language_of_source(b->recipe.sources[i]) };
	if (!is_supported(b)) {
		finish(b);
		return;
	}
	if (b->recipe.sanitize)
		sanitizer_ask(b);
	else
		compile_all(b);
}

void build_sanitizer_found(struct build *b)
{
	if (b->failed)
		finish(b);
	else
		compile_all(b);
}

static void advance(struct builder *b)
{
	struct build *one;

	do {
		TAILQ_FOREACH(one, &b->builds, entry)
			if (one->state == BUILD_WAITING)
				break;
		if (one)
			begin(one);
	} while (one && !b->freed);
}

static void on_timer(uv_timer_t *timer)
{
	struct builder *b = timer->data;

	if (b->probed)
		advance(b);
}

static void on_probed(void *context)
{
	struct builder *b = context;

	b->probing = NULL;
	b->probed = true;
	uv_timer_start(&b->timer, on_timer, 0, 0);
}

int build_start(struct builder *b, const struct recipe *r, build_done_fn done, void *context,
		struct build **ret)
{
	struct build *one;

	if (!r->n_sources)
		return -ENOENT;
	builder_mend(b);
	one = xcalloc(1, sizeof(*one));
	one->builder = b;
	one->recipe = recipe_copy(r);
	one->own = recipe_directory(r);
	one->units = xcalloc(r->n_sources, sizeof(*one->units));
	names_init(&one->names, &one->recipe);
	one->done = done;
	one->context = context;
	TAILQ_INSERT_TAIL(&b->builds, one, entry);
	*ret = one;
	if (b->probed)
		uv_timer_start(&b->timer, on_timer, 0, 0);
	else if (!b->probing)
		toolchain_probe(&b->toolchain, &b->store, b->queue, on_probed, b, &b->probing);
	return 0;
}

struct build *build_cancel(struct build *b)
{
	if (b)
		free_build(b);
	return NULL;
}

int builder_fingerprint(struct builder *b, const struct recipe *r, struct hash *ret)
{
	_cleanup_free_ char *own = recipe_directory(r);
	_cleanup_free_ struct hash *inputs = xcalloc(r->n_sources, sizeof(*inputs));

	for (size_t i = 0; i < r->n_sources; i++) {
		int e = object_inputs(b, r, r->sources[i], own, &inputs[i]);

		if (e < 0)
			return e;
	}
	*ret = sum_up(r, inputs);
	return 0;
}

bool builder_depends(struct builder *b, const struct recipe *r, const char *path)
{
	if (language_of(path) != LANGUAGE_NONE && path_is_below(path, r->path))
		return true; /* one of its sources, or one that is new or gone */
	for (size_t i = 0; i < r->n_sources; i++)
		if (sources_depends(b->sources, r->sources[i], path))
			return true;
	return false;
}
