/* SPDX-License-Identifier: MIT */

/*
 * Sources for the device alone. Their objects are cubins, which the linker never sees: they reach
 * the worker beside the image, in a file of their own, so that an edit of them leaves the image
 * as it is.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/pack.h"
#include "build/driver.h"
#include "build/flags.h"
#include "build/internal.h"
#include "nvrtc/stand_ins.h"

int device_compile(struct unit *u, job_done_fn done)
{
	struct build *b = u->build;
	const struct compiler *c = &b->builder->toolchain.cuda.nvrtc;
	_cleanup_words_ struct words request = WORDS_NULL, flags = WORDS_NULL;

	words_add_list(&request, u->source, u->object, u->depends, NULL);
	words_printf(&request, "%llu", (unsigned long long)b->builder->time_limit_ms);
	flags_add_own(c, b->recipe.cflags, &flags);
	flags_add(c->family, b->recipe.cflags, &flags);
	driver_fill(&request, &flags, &(struct driver_paths){ u->source, u->object, u->depends, b->own, NULL });
	for (char **name = b->recipe.kernels; name && *name; name++)
		words_printf(&request, NAME_OPTION "%s", *name);
	return warm_start(b->builder->warm, &c->command, &request, done, u, &u->job);
}

void device_add_names(const struct recipe *r, struct hash_state *s)
{
	for (char **name = r->kernels; name && *name; name++)
		hash_state_add_string(s, *name);
}

/* Where NVRTC, which runs in the root, looks for the author's own. */
static void list_authors_directories(const struct builder *b, const struct recipe *r, const char *source,
				     const char *own, struct words *ret)
{
	_cleanup_words_ struct words flags = WORDS_NULL;

	words_add_n(ret, source, (size_t)(path_name(source) - source));
	object_searched(b, own, ret);
	flags_add(b->toolchain.cuda.nvrtc.family, r->cflags, &flags);
	for (size_t i = 0; i < flags.n; i++) {
		const char *path = strncmp(flags.at[i], "-I", 2) == 0 ? flags.at[i] + 2 : NULL;

		if (path && !*path)
			path = i + 1 < flags.n ? flags.at[++i] : NULL;
		if (path && *path == '/')
			words_add(ret, path);
		else if (path)
			words_printf(ret, "%s/%s", b->root, path);
	}
}

void device_add_headers(const struct builder *b, const struct recipe *r, const char *source, const char *own,
			struct hash_state *s)
{
	static const char *const names[] = {
#define NAME(name, text) name,
		STAND_INS(NAME)
#undef NAME
	};
	_cleanup_words_ struct words directories = WORDS_NULL;

	list_authors_directories(b, r, source, own, &directories);
	for (size_t i = 0; i < directories.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			_cleanup_free_ char *path = path_join(directories.at[i], names[k]);

			if (file_exists(path))
				hash_state_add_string(s, path);
		}
}

static size_t list_cubins(struct build *b, struct words *ret)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++) {
		_cleanup_free_ char *path = NULL;

		if (b->units[i].language != LANGUAGE_DEVICE)
			continue;
		path = store_path(&b->builder->store, "objects", b->units[i].entry.object);
		words_add(ret, path);
	}
	return ret->n;
}

/* A part more, behind the cubins, that says what their kernels are called (cuda/code.h). */
static int add_names(struct build *b, const char *path, struct words *parts)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	names_put(&b->names, &text);
	if (!text.size)
		return 0;
	words_add(parts, path);
	return file_write(path, text.data, text.size, 0644);
}

void device_pack(struct build *b)
{
	struct store *s = &b->builder->store;
	_cleanup_words_ struct words parts = WORDS_NULL;
	_cleanup_free_ char *temporary = NULL, *names = NULL;
	int r;

	if (!list_cubins(b, &parts))
		return;
	temporary = store_temporary(s, ".cubins");
	names = store_temporary(s, ".names");
	r = add_names(b, names, &parts);
	if (r == 0)
		r = pack_write(temporary, (const char *const *)parts.at, parts.n);
	unlink(names);
	if (r == 0)
		r = store_take(s, "devices", temporary, &b->device_hash);
	if (r < 0)
		build_fail(b, NULL, "cannot write %s/devices: %s", s->root, strerror(-r));
	else
		b->device = store_path(s, "devices", b->device_hash);
}

static bool has_device_source(const struct build *b)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++)
		if (b->units[i].language == LANGUAGE_DEVICE)
			return true;
	return false;
}

static void refuse(struct build *b, const struct name *name)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	buffer_printf(&text, "%s/deployment.yaml:%u: error: kernels: ", b->own, name->line);
	if (name->known)
		buffer_printf(&text, "'%s' is no kernel (__global__)\n", name->expression);
	else if (!has_device_source(b))
		buffer_printf(&text, "'%s' must be in a .cu without host code, and there is none\n",
			      name->expression);
	else
		buffer_printf(&text, "no .cu without host code has a kernel '%s': %s\n", name->expression,
			      name->reason ? name->reason : "it isn't known why");
	build_say(b, buffer_text(&text));
	b->failed = true;
}

void device_check_names(struct build *b)
{
	for (size_t i = 0; i < b->names.n; i++)
		if (!b->names.at[i].is_kernel)
			refuse(b, &b->names.at[i]);
}

static bool is_named(const struct build *b, const char *kernel)
{
	for (size_t i = 0; i < b->names.n; i++)
		if (strcmp(b->names.at[i].expression, kernel) == 0)
			return true;
	return false;
}

static bool has_kernel(const struct build *b, const struct unit *u, const char *name)
{
	for (size_t i = 0; i < u->n_kernels; i++)
		if (strcmp(b->figures.at[u->first_kernel + i].name, name) == 0)
			return true;
	return false;
}

/* In its very text, not in that of a header, which others may include as well. */
static bool writes(const struct unit *u, const char *kernel)
{
	_cleanup_free_ char *full = xstrndup(kernel, strcspn(kernel, "(<"));
	const char *colon = strrchr(full, ':');

	return language_has_kernel(u->source, colon ? colon + 1 : full);
}

static bool reads(const struct unit *u, const char *path)
{
	for (size_t i = 0; i < u->entry.paths.n; i++)
		if (strcmp(u->entry.paths.at[i], path) == 0)
			return true;
	return false;
}

/* Each has one of its own of that name. A template that both know is the same in both. */
static bool is_in_both(const struct build *b, const struct unit *one, const struct unit *other, const char *name)
{
	return other->language == LANGUAGE_DEVICE && has_kernel(b, other, name) && !is_named(b, name) &&
	       !reads(one, other->source) && !reads(other, one->source) && writes(one, name) && writes(other, name);
}

static void check_pair(struct build *b, const struct unit *one, const struct unit *other)
{
	const char *path = path_is_below(one->source, b->own) ? one->source + strlen(b->own) + 1 : one->source;

	for (size_t i = 0; i < one->n_kernels; i++) {
		const char *name = b->figures.at[one->first_kernel + i].name;
		_cleanup_buffer_ struct buffer text = BUFFER_NULL;

		if (!is_in_both(b, one, other, name))
			continue;
		buffer_printf(&text, "%s: error: kernel '%s' is in %s, too, and a launch finds one of them; "
				     "give it another name\n", other->source, name, path);
		build_say(b, buffer_text(&text));
		b->failed = true;
	}
}

void device_check_kernels(struct build *b)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++)
		for (size_t k = i + 1; b->units[i].language == LANGUAGE_DEVICE && k < b->recipe.n_sources; k++)
			check_pair(b, &b->units[i], &b->units[k]);
}

/* The name of one of C++ has parameters; one in a namespace may be a library's, and not meant for us. */
void device_warn_of_unreachable(const struct build *b, const struct unit *u, struct buffer *ret)
{
	for (size_t i = u->first_kernel; u->language == LANGUAGE_DEVICE && i < b->figures.n; i++) {
		const char *kernel = b->figures.at[i].name;

		if (strchr(kernel, '(') && !strstr(kernel, "::") && !is_named(b, kernel))
			buffer_printf(ret, "%s: warning: no launch can name the kernel %s: make it extern \"C\", or name it in "
					   "'kernels' of deployment.yaml\n", u->source, kernel);
	}
}
