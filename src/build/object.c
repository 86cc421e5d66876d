/* SPDX-License-Identifier: MIT */

/*
 * One source to one object. gcc's driver is left out: cc1 writes into as, as the driver
 * would have said (driver.c). The driver is run for assembler and CUDA, for clang, whose
 * driver is the compiler, and for every compiler that we don't know.
 *
 * What was read is hashed after the compilation. A file that changed meanwhile may have
 * been seen in either form; then the object is used, for another save is on its way, but
 * no manifest remembers it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/depfile.h"
#include "build/flags.h"
#include "build/internal.h"
#include "build/program.h"
#include "build/sanitizer.h"

/* nvcc's identity has our host compiler, and the author's may come in its place. */
static void hash_host_compiler(const struct recipe *r, struct hash_state *s)
{
	static const char *const names[] = { "gcc", "g++" }; /* of which nvcc takes one out of a directory */
	const char *given = flags_host_compiler(r->cflags);
	_cleanup_free_ char *program = given ? program_find(given) : NULL;

	if (program)
		identity_add(s, program);
	for (size_t i = 0; given && !program && i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = path_join(given, names[i]);

		identity_add(s, path);
	}
}

/* -std=c++20 is for a deployment's C++, and C's compiler would complain. */
static bool is_of_another_language(const char *flag, enum language l)
{
	bool cxx = strstr(flag, "++") != NULL;

	if (strncmp(flag, "-std=", 5) != 0 && strncmp(flag, "--std=", 6) != 0)
		return false;
	return (l == LANGUAGE_C && cxx) || (l == LANGUAGE_CXX && !cxx);
}

static void add_authors(const struct compiler *c, enum language l, const struct recipe *r, struct words *ret)
{
	_cleanup_words_ struct words words = WORDS_NULL;

	flags_add(c->family, r->cflags, &words);
	for (size_t i = 0; i < words.n; i++)
		if (!is_of_another_language(words.at[i], l))
			words_add(ret, words.at[i]);
}

/* Those that its compiler doesn't get make no difference to an object. */
static void hash_flags(const struct compiler *c, enum language l, const struct recipe *r, struct hash_state *s)
{
	_cleanup_words_ struct words words = WORDS_NULL;

	add_authors(c, l, r, &words);
	for (size_t i = 0; i < words.n; i++)
		hash_state_add_string(s, words.at[i]);
	if (c->family == FAMILY_NVCC)
		hash_host_compiler(r, s);
}

static void add_driver(struct words *ret, const struct compiler *c, enum language l, const struct recipe *r)
{
	words_add_all(ret, &c->command);
	words_add(ret, "-c");
	if (c->family == FAMILY_GCC)
		words_add(ret, "-pipe");
	flags_add_own(c, r->cflags, ret);
	if (sanitizer_instruments(r))
		sanitizer_add_flags(c, ret);
	words_add(ret, DRIVER_TELL_LOOPS);
	add_authors(c, l, r, ret);
	words_add_list(ret, "-MD", "-MF", DRIVER_DEPENDS, "-o", DRIVER_OBJECT, DRIVER_SOURCE, NULL);
}

bool object_command(const struct compiler *c, enum language l, const struct recipe *r,
		    const struct driver_paths *paths, struct words *command, struct words *reader)
{
	_cleanup_words_ struct words words = WORDS_NULL, authors = WORDS_NULL;
	bool direct = c->cc1.n && (l == LANGUAGE_C || l == LANGUAGE_CXX) && !sanitizer_instruments(r);

	/* An author's flags mean something to the driver, not to cc1 alone. */
	add_authors(c, l, r, &authors);
	direct = direct && !authors.n;
	if (direct) {
		driver_fill(command, &c->cc1, paths);
		driver_fill(reader, &c->as, paths);
		words_add(reader, "/dev/fd/3");
		return true;
	}
	add_driver(&words, c, l, r);
	driver_fill(command, &words, paths);
	return false;
}

void object_searched(const struct builder *b, const char *own, struct words *ret)
{
	words_add(ret, own);
	if (strcmp(own, b->root) != 0)
		words_add(ret, b->root);
}

int object_key(struct builder *b, const struct recipe *r, const char *source, const char *own,
	       struct hash *ret)
{
	enum language language = language_of_source(source);
	const struct compiler *c = toolchain_compiler(&b->toolchain, language);
	struct hash_state *s;
	struct hash content;
	int error = contents_hash(b->contents, source, &content);

	if (error < 0)
		return error;
	s = hash_state_new();
	hash_state_add(s, &content, sizeof(content));
	hash_state_add_string(s, source);
	hash_state_add_string(s, own);
	if (c) {
		hash_state_add(s, &c->identity, sizeof(c->identity));
		hash_flags(c, language, r, s);
	}
	if (sanitizer_instruments(r))
		hash_state_add_string(s, SANITIZER_NAME);
	if (language == LANGUAGE_DEVICE) {
		device_add_names(r, s);
		device_add_headers(b, r, source, own, s);
	}
	*ret = hash_state_end(s);
	return 0;
}

/* The inputs as they would be if it read the same files again. */
static struct hash guess_inputs(struct builder *b, const char *source, struct hash key,
				const struct words *searched)
{
	struct manifest_entry e = MANIFEST_ENTRY_NULL;
	struct hash h;

	sources_paths(b->sources, source, searched, &e.paths);
	e.hashes = xcalloc(e.paths.n + 1, sizeof(*e.hashes));
	for (size_t i = 0; i < e.paths.n; i++)
		contents_hash(b->contents, e.paths.at[i], &e.hashes[i]);
	e.shadow = shadow_hash(searched, &e.paths);
	manifest_entry_seal(&e, key);
	h = e.inputs;
	manifest_entry_fini(&e);
	return h;
}

int object_inputs(struct builder *b, const struct recipe *r, const char *source, const char *own,
		  struct hash *ret)
{
	_cleanup_words_ struct words searched = WORDS_NULL;
	struct manifest_entry e = MANIFEST_ENTRY_NULL;
	struct hash key;
	int error = object_key(b, r, source, own, &key);

	if (error < 0)
		return error;
	object_searched(b, own, &searched);
	if (manifest_find(&b->store, b->contents, key, &searched, &e) == 0)
		*ret = e.inputs;
	else
		*ret = guess_inputs(b, source, key, &searched);
	manifest_entry_fini(&e);
	return 0;
}

static void remove_temporaries(struct unit *u)
{
	if (u->object)
		unlink(u->object);
	if (u->depends)
		unlink(u->depends);
	if (u->loops)
		unlink(u->loops);
	free(u->object);
	free(u->depends);
	free(u->loops);
	u->object = u->depends = u->loops = NULL;
}

void unit_fini(struct unit *u)
{
	u->job = job_cancel(u->job);
	remove_temporaries(u);
	manifest_entry_fini(&u->entry);
}

/* What the depfile names, absolute and in order, without the source. */
static int read_depends(struct unit *u, struct words *ret)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	_cleanup_words_ struct words all = WORDS_NULL;
	int r = file_read(u->depends, &text);

	if (r == 0)
		r = depfile_parse(buffer_text(&text), text.size, &all);
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		if (strcmp(all.at[i], u->source) == 0)
			continue;
		if (all.at[i][0] == '/')
			words_add(ret, all.at[i]);
		else
			words_printf(ret, "%s/%s", u->build->builder->root, all.at[i]);
	}
	words_sort(ret);
	return r;
}

/* Fill in u->entry. -ESTALE: something changed while the compiler ran. */
static int hash_inputs(struct unit *u)
{
	struct contents *c = u->build->builder->contents;
	struct manifest_entry *e = &u->entry;
	_cleanup_words_ struct words searched = WORDS_NULL;
	struct hash unused;
	int stale = contents_hash_since(c, u->source, u->started_wall_ns, &unused);

	e->hashes = xcalloc(e->paths.n + 1, sizeof(*e->hashes));
	for (size_t i = 0; i < e->paths.n; i++) {
		int r = contents_hash_since(c, e->paths.at[i], u->started_wall_ns, &e->hashes[i]);

		stale = r < 0 ? r : stale;
	}
	object_searched(u->build->builder, u->build->own, &searched);
	e->shadow = shadow_hash(&searched, &e->paths);
	manifest_entry_seal(e, u->key);
	return stale;
}

static int keep_object(struct unit *u, const char *text, struct buffer *why)
{
	struct builder *b = u->build->builder;
	struct manifest_entry *e = &u->entry;
	int r;

	e->text = xstrdup(text);
	r = read_depends(u, &e->paths);
	if (r < 0) {
		buffer_printf(why, "error: cannot read which headers %s has: %s\n", u->source,
			      strerror(-r));
		return r;
	}
	r = store_take(&b->store, "objects", u->object, &e->object);
	if (r < 0) {
		buffer_printf(why, "error: cannot write %s/objects: %s\n", b->state_dir, strerror(-r));
		return r;
	}
	sources_read(b->sources, u->source, &e->paths);
	u->stale = hash_inputs(u) < 0;
	if (!u->stale)
		manifest_add(&b->store, u->key, e); /* a note that can't be written is only missed */
	if (!u->stale && u->loops)
		look_keep(b, u->loops, e->inputs, NULL);
	return 0;
}

/* There is no depfile: whether what is known to be read was touched since the start. */
static bool changed_meanwhile(struct unit *u)
{
	struct builder *b = u->build->builder;
	_cleanup_words_ struct words searched = WORDS_NULL, paths = WORDS_NULL;
	struct hash unused;
	bool changed = contents_hash_since(b->contents, u->source, u->started_wall_ns, &unused) < 0;

	object_searched(b, u->build->own, &searched);
	sources_paths(b->sources, u->source, &searched, &paths);
	for (size_t i = 0; i < paths.n; i++)
		changed |= contents_hash_since(b->contents, paths.at[i], u->started_wall_ns, &unused) ==
			   -ESTALE;
	return changed;
}

struct hash unit_inputs(struct unit *u)
{
	struct hash h = { .high = clock_wall_ns(), .low = 0 };

	if (u->stale)
		return h;
	if (!u->failed)
		return u->entry.inputs;
	object_inputs(u->build->builder, &u->build->recipe, u->source, u->build->own, &h);
	return h;
}

static void compile(struct unit *u);

/* It may need what the earlier C++ standard hasn't got. What the compiler said is forgotten. */
static bool try_later_standard(struct unit *u, const struct job_end *end)
{
	if (end->ok || end->error || end->signal || end->timed_out || u->late ||
	    u->language != LANGUAGE_CXX)
		return false;
	u->late = true;
	remove_temporaries(u);
	u->build->n_open--;
	compile(u);
	return true;
}

static void on_compiled(void *context, const struct job_end *end)
{
	struct unit *u = context;
	struct builder *b = u->build->builder;
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r;

	u->job = NULL;
	if (!u->started_ns)
		u->started_ns = end->started_ns;
	if (u->language == LANGUAGE_DEVICE)
		warm_prepare(b->warm, &b->toolchain.cuda.nvrtc.command);
	if (try_later_standard(u, end))
		return;
	if (end->ok && u->late)
		sources_set_late(b->sources, u->source);
	u->ended_ns = end->ended_ns;
	buffer_puts(&text, end->text);
	r = end->ok ? keep_object(u, end->text, &text) : 0;
	u->failed = !end->ok || r < 0;
	if (u->failed) {
		u->explained = build_explain(u->build, end, toolchain_compiler(&b->toolchain, u->language)->name,
					     u->source, &text) || r < 0;
		free(u->entry.text);
		u->entry.text = buffer_steal(&text);
	}
	if (!end->ok) {
		sources_failed(b->sources, u->source, end->text);
		u->stale = changed_meanwhile(u);
	}
	remove_temporaries(u);
	build_unit_done(u);
}

static void set_standard(struct words *command, const char *standard)
{
	for (size_t i = 0; i < command->n; i++) {
		if (strcmp(command->at[i], STANDARD_LATE) != 0)
			continue;
		free(command->at[i]);
		command->at[i] = xstrdup(standard);
	}
}

static void run_compiler(struct unit *u)
{
	struct builder *b = u->build->builder;
	const struct compiler *c = toolchain_compiler(&b->toolchain, u->language);
	_cleanup_words_ struct words command = WORDS_NULL, reader = WORDS_NULL;
	struct job_options o = {
		.command = &command,
		/* nvcc maps far more than it uses. */
		.memory_limit = b->memory_limit * (u->language == LANGUAGE_CUDA ? 8 : 1),
		.time_limit_ms = b->time_limit_ms,
	};

	const struct driver_paths paths = { u->source, u->object, u->depends, u->build->own, u->loops };

	if (object_command(c, u->language, &u->build->recipe, &paths, &command, &reader))
		o.reader = &reader;
	if (u->language == LANGUAGE_CXX && !u->late)
		set_standard(&command, STANDARD_EARLY);
	job_start(b->queue, &o, on_compiled, u, &u->job);
}

static void compile(struct unit *u)
{
	struct builder *b = u->build->builder;
	const struct compiler *c = toolchain_compiler(&b->toolchain, u->language);
	int r;

	u->object = store_temporary(&b->store, ".o");
	u->depends = store_temporary(&b->store, ".d");
	if (u->build->recipe.tell_loops && c->family == FAMILY_GCC &&
	    look_can_tell(c, u->language, &u->build->recipe))
		u->loops = store_temporary(&b->store, ".loops");
	u->started_wall_ns = clock_wall_ns();
	u->build->ran = true;
	u->build->n_open++;
	if (u->language != LANGUAGE_DEVICE) {
		run_compiler(u);
		return;
	}
	r = device_compile(u, on_compiled);
	if (r < 0)
		on_compiled(u, &(struct job_end){ .error = r, .text = "", .started_ns = clock_ns(),
						  .ended_ns = clock_ns() });
}

void object_start(struct unit *u)
{
	struct builder *b = u->build->builder;
	_cleanup_words_ struct words searched = WORDS_NULL;
	int r = object_key(b, &u->build->recipe, u->source, u->build->own, &u->key);

	if (r < 0) {
		u->failed = true;
		build_fail(u->build, u->source, "cannot read %s: %s", u->source, strerror(-r));
		return;
	}
	object_searched(b, u->build->own, &searched);
	u->found = !u->build->recipe.afresh &&
		   manifest_find(&b->store, b->contents, u->key, &searched, &u->entry) == 0;
	if (u->found) {
		sources_read(b->sources, u->source, &u->entry.paths);
		return;
	}
	u->late = sources_is_late(b->sources, u->source);
	compile(u);
}
