/* SPDX-License-Identifier: MIT */

/*
 * A note's key is the hash of all that a compilation reads, sources and headers, and so it holds
 * as long as they do. They may change while the compiler reads them: what it says is believed if
 * that hash is the same before and afterwards, and if everything was what was built when it was asked.
 */

#include "build/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/flags.h"
#include "build/internal.h"
#include "build/loops.h"
#include "build/remarks.h"

#define AGAIN_MS 50 /* until it is asked again whether all is quiet */
#define MAX_TOLD (1u << 20) /* bytes that are read of what a compiler tells */

struct look {
	TAILQ_ENTRY(look) entry;
	struct builder *builder;
	struct recipe recipe;
	char *own;       /* the deployment's directory */
	struct hash sources; /* that were built */
	size_t at;       /* the source that it is about now */
	struct hash inputs;
	struct job *job;
	char *told;      /* a temporary file: what the compiler says */
	struct loops loops;
	look_done_fn done;
	void *context;
};

static void look_free(struct look *l)
{
	if (l->told)
		unlink(l->told);
	free(l->told);
	free(l->own);
	recipe_fini(&l->recipe);
	loops_fini(&l->loops);
	free(l);
}

static void pump(struct builder *b);

static void finish(struct look *l, const struct loops *loops)
{
	struct builder *b = l->builder;

	TAILQ_REMOVE(&b->looks, l, entry);
	pump(b);
	l->done(l->context, loops);
	look_free(l);
}

/* Compilers tell of loops to one file, or to none if another flag wants it told elsewhere. */
bool look_can_tell(const struct compiler *c, enum language l, const struct recipe *r)
{
	for (char **flag = r->cflags; flag && *flag; flag++)
		if (strncmp(*flag, "-fopt-info", 10) == 0 || strncmp(*flag, "-foptimization-record", 21) == 0)
			return false;
	return c && (c->family == FAMILY_GCC || c->family == FAMILY_CLANG) && (l == LANGUAGE_C || l == LANGUAGE_CXX) && !r->sanitize;
}

/* Nothing told is no file. */
int look_keep(struct builder *b, const char *told, struct hash inputs, struct loops *ret)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL, note = BUFFER_NULL;
	struct loops loops = LOOPS_NULL;
	int r = file_read(told, &text);

	if (r < 0 && r != -ENOENT)
		return r;
	if (text.size > MAX_TOLD)
		return -EFBIG;
	remarks_read(&loops, buffer_text(&text), b->root);
	loops_put(&loops, &note);
	if (ret)
		loops_add(ret, &loops);
	loops_fini(&loops);
	return store_write_note(&b->store, "loops", inputs, buffer_text(&note), note.size);
}

static void put_command(const struct look *l, const struct compiler *c, const char *source, bool early,
			struct words *ret)
{
	const struct driver_paths paths = { .own = l->own, .loops = l->told };
	_cleanup_words_ struct words command = WORDS_NULL;

	words_add_all(&command, &c->command);
	for (size_t i = 0; i < c->flags.n; i++)
		words_add(&command, early && strcmp(c->flags.at[i], STANDARD_LATE) == 0 ? STANDARD_EARLY : c->flags.at[i]);
	words_add_list(&command, "-w", "-g0", NULL);
	if (c->family == FAMILY_CLANG)
		words_add_list(&command, DRIVER_RECORD_LOOPS, "-foptimization-record-passes=loop-vectorize", NULL);
	else
		words_add(&command, DRIVER_TELL_LOOPS);
	flags_add(c->family, l->recipe.cflags, &command);
	words_add_list(&command, "-S", "-o", "/dev/null", source, NULL);
	driver_fill(ret, &command, &paths);
}

static const char *source_of(const struct look *l)
{
	return l->recipe.sources[l->at];
}

static int read_inputs(struct look *l, struct hash *ret)
{
	return object_inputs(l->builder, &l->recipe, source_of(l), l->own, ret);
}

static void next(struct look *l);

/* What was read is what was asked about if it still is. */
static bool keep(struct look *l)
{
	struct hash now;

	if (read_inputs(l, &now) < 0 || !hash_equal(now, l->inputs) ||
	    look_keep(l->builder, l->told, l->inputs, &l->loops) < 0)
		return false;
	unlink(l->told); /* or the next would be appended */
	return true;
}

static void on_told(void *context, const struct job_end *end)
{
	struct look *l = context;

	l->job = NULL;
	if (!end->ok || !keep(l)) {
		finish(l, NULL);
		return;
	}
	l->at++;
	next(l);
}

static void ask(struct look *l, enum language language)
{
	struct builder *b = l->builder;
	const struct compiler *c = toolchain_compiler(&b->toolchain, language);
	bool early = language == LANGUAGE_CXX && !sources_is_late(b->sources, source_of(l));
	_cleanup_words_ struct words command = WORDS_NULL;
	const struct job_options o = {
		.command = &command,
		.at_once = true,
		.idle = true,
		.memory_limit = b->memory_limit,
		.time_limit_ms = b->time_limit_ms,
	};

	if (!look_can_tell(c, language, &l->recipe)) {
		finish(l, NULL);
		return;
	}
	builder_mend(b);
	l->told = l->told ? l->told : store_temporary(&b->store, ".told");
	put_command(l, c, source_of(l), early, &command);
	job_start(b->queue, &o, on_told, l, &l->job);
}

static bool find(struct look *l)
{
	_cleanup_buffer_ struct buffer note = BUFFER_NULL;

	return store_read_note(&l->builder->store, "loops", l->inputs, &note) == 0 &&
	       loops_take(&l->loops, buffer_text(&note));
}

/* Everything is what was built. */
static bool is_current(const struct look *l)
{
	struct hash now;

	return builder_fingerprint(l->builder, &l->recipe, &now) >= 0 && hash_equal(now, l->sources);
}

static void next(struct look *l)
{
	for (; l->at < l->recipe.n_sources; l->at++) {
		enum language language = language_of_source(source_of(l));

		if (language != LANGUAGE_C && language != LANGUAGE_CXX)
			continue;
		if (read_inputs(l, &l->inputs) < 0 || !is_current(l)) {
			finish(l, NULL);
			return;
		}
		if (find(l))
			continue;
		ask(l, language);
		return;
	}
	finish(l, &l->loops);
}

static void on_timer(uv_timer_t *timer)
{
	struct builder *b = timer->data;

	if (TAILQ_EMPTY(&b->looks) || TAILQ_FIRST(&b->looks)->job)
		return;
	if (b->is_quiet && !b->is_quiet(b->quiet_context))
		uv_timer_start(timer, on_timer, AGAIN_MS, 0);
	else
		next(TAILQ_FIRST(&b->looks));
}

static void pump(struct builder *b)
{
	if (!TAILQ_EMPTY(&b->looks) && !b->freed)
		uv_timer_start(&b->look_timer, on_timer, 0, 0);
}

struct look *look_start(struct builder *b, const struct recipe *r, struct hash sources, look_done_fn done,
			void *context)
{
	struct look *l = xcalloc(1, sizeof(*l));

	l->builder = b;
	l->recipe = recipe_copy(r);
	l->own = recipe_directory(r);
	l->sources = sources;
	l->done = done;
	l->context = context;
	TAILQ_INSERT_TAIL(&b->looks, l, entry);
	pump(b);
	return l;
}

struct look *look_cancel(struct look *l)
{
	struct builder *b;

	if (!l)
		return NULL;
	b = l->builder;
	job_cancel(l->job);
	TAILQ_REMOVE(&b->looks, l, entry);
	look_free(l);
	pump(b);
	return NULL;
}
