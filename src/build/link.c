/* SPDX-License-Identifier: MIT */

/*
 * Objects to an image. The linker is run by itself against stubs (stubs.c); where that
 * can't be, because the machine, the compiler or a flag is not as we know it, or because
 * the linker failed without blaming the objects, the compiler's driver links in full, which
 * takes 25 ms longer and is said once.
 *
 * Under the link's key, a hash of the objects and of all that the linker reads, a note
 * holds the image's name.
 *
 * crtfastmath.o, which a driver adds for -ffast-math, is left out on purpose: it would
 * switch off denormal numbers in the whole worker.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/flags.h"
#include "build/internal.h"
#include "build/program.h"
#include "build/sanitizer.h"
#include "build/stubs.h"
#include "build/symbols.h"

static bool has(const struct build *b, enum language l)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++)
		if (b->units[i].language == l)
			return true;
	return false;
}

const struct compiler *link_driver(struct build *b)
{
	struct toolchain *t = &b->builder->toolchain;
	bool cxx = has(b, LANGUAGE_CXX) || has(b, LANGUAGE_CUDA);

	if ((cxx && t->cxx.command.n) || !t->cc.command.n)
		return &t->cxx;
	return &t->cc;
}

static bool has_flag(char *const *list, const char *start)
{
	for (; list && *list; list++)
		if (strncmp(*list, start, strlen(start)) == 0)
			return true;
	return false;
}

/* Libraries of the author's may want any symbol of the system's: no stubs then, either. */
static bool can_be_fast(const struct build *b)
{
	return b->builder->toolchain.linking.linker && !sanitizer_instruments(&b->recipe) && !has_flag(b->recipe.cflags, "-flto") &&
	       !has_flag(b->recipe.cflags, "-fsanitize") && !has_flag(b->recipe.cflags, "-m32");
}

static void add_list(struct words *ret, char *const *list)
{
	for (; list && *list; list++)
		words_add(ret, *list);
}

static void add_objects(struct build *b, struct words *ret)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++) {
		_cleanup_free_ char *path = NULL;

		if (b->units[i].language == LANGUAGE_DEVICE)
			continue; /* reaches the worker in another way (device.c) */
		path = store_path(&b->builder->store, "objects", b->units[i].entry.object);
		words_add(ret, path);
	}
}

static void add_cuda(struct build *b, struct words *ret)
{
	const char *directory = b->builder->toolchain.cuda.libraries;

	if (has(b, LANGUAGE_CUDA) && directory)
		words_printf(ret, "%s/libcudart_static.a", directory);
}

/* The author's libraries, those of the toolkit among them: where they are now, and at run time. */
static void add_libraries(struct build *b, bool by_driver, struct words *ret)
{
	const char *directory = b->builder->toolchain.cuda.libraries;

	if (directory && cuda_has_library(b->recipe.ldlibs)) {
		words_printf(ret, "-L%s", directory);
		words_printf(ret, by_driver ? "-Wl,-rpath,%s" : "-rpath=%s", directory);
	}
	add_list(ret, b->recipe.ldlibs);
}

/* What crtbeginS.o, libgcc.a and their like lack: read once, for there are 300 members. */
static void add_common_names(struct builder *b, struct words *ret)
{
	const struct linking *l = &b->toolchain.linking;
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	_cleanup_words_ struct words names = WORDS_NULL;

	if (store_read_note(&b->store, "toolchain", l->identity, &text) < 0) {
		for (size_t i = 0; i < l->before.n; i++)
			undefined_names(l->before.at[i], &names);
		for (size_t i = 0; i < l->after.n; i++)
			undefined_names(l->after.at[i], &names);
		words_sort(&names);
		for (size_t i = 0; i < names.n; i++)
			buffer_printf(&text, "%s ", names.at[i]);
		store_write_note(&b->store, "toolchain", l->identity, buffer_text(&text), text.size);
	}
	words_split(ret, buffer_text(&text));
}

static int add_stubs(struct build *b, const struct words *objects, struct words *ret,
		     struct buffer *why)
{
	struct builder *builder = b->builder;
	_cleanup_words_ struct words names = WORDS_NULL;

	add_common_names(builder, &names);
	for (size_t i = 0; i < objects->n; i++) {
		int r = undefined_names(objects->at[i], &names);

		if (r < 0) {
			buffer_printf(why, "cannot read %s: %s", objects->at[i], strerror(-r));
			return r;
		}
	}
	words_sort(&names);
	b->stub_directory = store_temporary(&builder->store, ".stubs");
	return stubs_make(&builder->toolchain.linking.libraries, &names, b->stub_directory, ret, why);
}

static int fast_command(struct build *b, struct words *ret, struct buffer *why)
{
	const struct linking *l = &b->builder->toolchain.linking;
	_cleanup_words_ struct words objects = WORDS_NULL;
	bool own_libraries = b->recipe.ldlibs && *b->recipe.ldlibs;
	int r = 0;

	add_objects(b, &objects);
	add_cuda(b, &objects);
	words_add(ret, l->linker);
	words_add_all(ret, &l->options);
	words_printf(ret, "--version-script=%s", b->builder->exports);
	words_add_list(ret, "-o", b->image_temporary, NULL);
	words_add_all(ret, &l->before);
	words_add_all(ret, &objects);
	words_add(ret, l->after.at[0]); /* libgcc.a comes before libgcc_s, and once more */
	if (own_libraries) {
		for (size_t i = 0; i < l->directories.n; i++)
			words_printf(ret, "-L%s", l->directories.at[i]);
		add_libraries(b, false, ret);
		words_add_all(ret, &l->libraries);
	} else {
		r = add_stubs(b, &objects, ret, why);
	}
	words_add_all(ret, &l->after);
	return r;
}

static void full_command(struct build *b, struct words *ret)
{
	const struct toolchain *t = &b->builder->toolchain;

	words_add_all(ret, &link_driver(b)->command);
	flags_add(link_driver(b)->family, b->recipe.cflags, ret);
	if (sanitizer_instruments(&b->recipe))
		sanitizer_add_link_flags(link_driver(b), ret);
	words_add_list(ret, "-shared", "-o", b->image_temporary, "-Wl,--build-id", "-Wl,-z,defs",
		       "-Wl,-z,relro", "-Wl,-z,now", "-Wl,--as-needed", NULL);
	words_printf(ret, "-Wl,--version-script=%s", b->builder->exports);
	add_objects(b, ret);
	add_cuda(b, ret);
	add_libraries(b, true, ret);
	for (size_t i = 0; i < t->linking.libraries.n; i++)
		if (strstr(t->linking.libraries.at[i], "/libopenblas.") ||
		    strstr(t->linking.libraries.at[i], "/libgomp."))
			words_add(ret, t->linking.libraries.at[i]);
	words_add_list(ret, "-lm", "-lpthread", "-ldl", NULL);
}

static struct hash key_of(struct build *b)
{
	const struct toolchain *t = &b->builder->toolchain;
	_cleanup_words_ struct words flags = WORDS_NULL;
	struct hash_state *s = hash_state_new();

	for (size_t i = 0; i < b->recipe.n_sources; i++)
		if (b->units[i].language != LANGUAGE_DEVICE)
			hash_state_add(s, &b->units[i].entry.object, sizeof(struct hash));
	hash_state_add(s, &t->linking.identity, sizeof(t->linking.identity));
	hash_state_add(s, &link_driver(b)->identity, sizeof(struct hash));
	hash_state_add(s, &(bool){ can_be_fast(b) }, sizeof(bool));
	hash_state_add(s, &(bool){ sanitizer_instruments(&b->recipe) }, sizeof(bool));
	flags_add(link_driver(b)->family, b->recipe.cflags, &flags);
	for (size_t i = 0; i < flags.n; i++)
		hash_state_add_string(s, flags.at[i]);
	hash_state_add_string(s, "");
	hash_state_add_string(s, t->cuda.libraries ? t->cuda.libraries : "");
	for (char **word = b->recipe.ldlibs; word && *word; word++) {
		hash_state_add_string(s, *word);
		if (**word == '/')
			identity_add(s, *word);
	}
	return hash_state_end(s);
}

static bool find(struct build *b)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	return !b->recipe.afresh &&
	       store_read_note(&b->builder->store, "links", b->link_key, &text) == 0 &&
	       hash_from_text(buffer_text(&text), &b->image) &&
	       store_has(&b->builder->store, "images", b->image);
}

static void clean_up(struct build *b)
{
	if (b->stub_directory)
		file_remove_tree(b->stub_directory);
	free(b->stub_directory);
	if (b->image_temporary)
		unlink(b->image_temporary);
	free(b->image_temporary);
	b->stub_directory = b->image_temporary = NULL;
}

static void keep_image(struct build *b)
{
	struct store *s = &b->builder->store;
	char text[HASH_TEXT_SIZE];
	int r = store_take(s, "images", b->image_temporary, &b->image);

	if (r == -ENOENT) {
		build_fail(b, NULL, "no image came of it: cflags of deployment.yaml may have no flag that ends the compiler "
				    "early, as -E, -S, -M and -fsyntax-only do");
		return;
	}
	if (r < 0) {
		build_fail(b, NULL, "cannot write %s/images: %s", s->root, strerror(-r));
		return;
	}
	hash_text(b->image, text);
	store_write_note(s, "links", b->link_key, text, strlen(text));
}

/* Whether it's the objects' fault, so that another linker would say the same. */
static bool blames_objects(const char *text)
{
	return strstr(text, "undefined reference") || strstr(text, "multiple definition") ||
	       strstr(text, "undefined symbol") || strstr(text, "No space left");
}

/* Not an error, but slower than need be. */
static void tell_once(struct build *b)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (!b->full || b->builder->told || b->recipe.sanitize)
		return;
	b->builder->told = true;
	buffer_printf(&text, "note: linked in full by %s: %s\n", link_driver(b)->name,
		      b->why.size ? b->why.data : "this toolchain or a flag is not known well enough "
						  "to link without it");
	build_say(b, buffer_text(&text));
}

/* The linker knows objects, the author sources. */
static void name_sources(struct build *b, const char *text, struct buffer *ret)
{
	while (*text) {
		size_t n = 1;

		for (size_t i = 0; i < b->recipe.n_sources && n == 1; i++) {
			_cleanup_free_ char *object = store_path(&b->builder->store, "objects", b->units[i].entry.object);

			if (*text != '/' || strncmp(text, object, strlen(object)) != 0)
				continue;
			n = strlen(object);
			buffer_puts(ret, b->recipe.sources[i]);
		}
		if (n == 1)
			buffer_putc(ret, *text);
		text += n;
	}
}

/* Whether @message is that @library isn't there, in the words of some linker. */
static bool misses(const char *message, const char *library)
{
	static const char *const sentences[] = { "cannot find ", "cannot open ", "unable to find library ",
						 "no such file or directory: '" };

	for (size_t i = 0; i < ARRAY_SIZE(sentences); i++) {
		const char *rest = message + strlen(sentences[i]);

		if (strncmp(message, sentences[i], strlen(sentences[i])) != 0)
			continue;
		if (strncmp(library, "-l:", 3) == 0 && *rest != '-') /* gold's */
			library += 3;
		return strncmp(rest, library, strlen(library)) == 0 && strchr(":'", rest[strlen(library)]);
	}
	return false;
}

static void place_at_library(struct build *b, struct diagnostic *d, struct buffer *places)
{
	const struct recipe *r = &b->recipe;

	for (size_t i = 0; r->ldlibs && r->ldlibs[i] && !d->file; i++)
		if (r->ldlib_lines[i] && misses(d->message, r->ldlibs[i]))
			build_place(b, d, r->ldlib_lines[i], "ldlibs", r->ldlibs[i], places);
}

/* The linker knows no line of those that are told from @first on; ours is where the library is from. */
static void name_ldlibs(struct build *b, size_t first)
{
	_cleanup_buffer_ struct buffer places = BUFFER_NULL;

	for (size_t i = first; i < b->diagnostics.n; i++)
		place_at_library(b, &b->diagnostics.at[i], &places);
	if (places.size)
		build_say(b, buffer_text(&places));
}

static void say_linked(struct build *b, const struct job_end *end)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	size_t first = b->diagnostics.n;

	name_sources(b, end->text, &text);
	if (!end->ok && strstr(buffer_text(&text), "multiple definition of 'devserve_entry'"))
		buffer_puts(&text, "note: all sources in a directory are one deployment, so only one may end with "
				   "DEVSERVE_DEPLOYMENT(...); another deployment is a directory or a file of its own\n");
	build_explain(b, end, "the linker", NULL, &text);
	build_say(b, buffer_text(&text));
	name_ldlibs(b, first);
}

static void run(struct build *b);

static void on_linked(void *context, const struct job_end *end)
{
	struct build *b = context;
	b->job = NULL;
	b->link_ns = end->ended_ns - b->link_started_ns;
	if (!end->ok && !b->full && !end->timed_out && !blames_objects(end->text)) {
		b->full = true;
		buffer_append(&b->why, end->text, strcspn(end->text, "\n"));
		clean_up(b);
		run(b);
		return;
	}
	if (end->ok)
		tell_once(b); /* else the other linker has said it again */
	say_linked(b, end);
	b->failed = !end->ok;
	if (end->ok)
		keep_image(b);
	clean_up(b);
	build_linked(b);
}

static void run(struct build *b)
{
	_cleanup_words_ struct words command = WORDS_NULL;
	struct job_options o = { .command = &command, .at_once = true,
				 .time_limit_ms = b->builder->time_limit_ms };

	b->image_temporary = store_temporary(&b->builder->store, ".so");
	if (!b->full && fast_command(b, &command, &b->why) < 0) {
		b->full = true;
		words_fini(&command);
	}
	if (b->full)
		full_command(b, &command);
	job_start(b->builder->queue, &o, on_linked, b, &b->job);
}

/* A deployment has an entry, and that is host code. */
static bool has_host(const struct build *b)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++)
		if (b->units[i].language != LANGUAGE_DEVICE)
			return true;
	return false;
}

void link_start(struct build *b)
{
	if (!has_host(b)) {
		build_fail(b, b->recipe.sources[0],
			   "there is code for the device alone; add a .c or .cc beside it that ends with "
			   "DEVSERVE_DEPLOYMENT(...) and launches its kernels by name (<devserve/ext/cuda.h>)");
		build_linked(b);
		return;
	}
	b->link_key = key_of(b);
	if (find(b)) {
		store_renew(&b->builder->store, "images", b->image);
		build_linked(b);
		return;
	}
	b->ran = true;
	b->full = !can_be_fast(b);
	b->link_started_ns = clock_ns();
	run(b);
}
