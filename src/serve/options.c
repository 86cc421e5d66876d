/* SPDX-License-Identifier: MIT */
#include "serve/options.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "ingress/allowed.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

const struct option_row options_rows[N_OPTIONS_ROWS] = {
#define OPTION(field, name, letter, argument, kind, fallback, min, max, ...)           \
	{ name, letter, argument, OPTION_##kind, fallback, min, max, { __VA_ARGS__ }, \
	  offsetof(struct options, field), SECTION, CHOICES },
#include "serve/options.def"
#undef OPTION
	OPTION_HELP_ROW,
	OPTION_ACTION_ROW("version", 0, "print the version"),
};

int options_settle(struct options *o, struct buffer *why)
{
	if (o->max_body > o->max_memory)
		o->max_body = o->max_memory; /* it could never be held */
	if (allowed_check_hosts(o->allow_host, why) < 0 ||
	    allowed_check_origins(o->allow_origin, why) < 0)
		return EXIT_USAGE;
	return 0;
}

/* Each directory of the machine would be a deployment, with all the sources that are in it. */
static bool is_whole_machine(const char *root)
{
	_cleanup_free_ char *real = realpath(root, NULL);

	return real && strcmp(real, "/") == 0;
}

static bool has_any(const char *root, const char *pattern)
{
	_cleanup_free_ char *path = path_join(root, pattern);
	glob_t found;

	if (glob(path, GLOB_NOSORT | GLOB_BRACE, NULL, &found) != 0)
		return false;
	globfree(&found);
	return true;
}

/* What only a deployment has beside its sources, which would be built without it. NULL: nothing. */
static const char *mark_of_deployment(const char *root)
{
	if (has_any(root, "deployment.yaml") && has_any(root, "*.{c,cc,cpp,cxx,cu}"))
		return "deployment.yaml";
	return has_any(root, "golden/?*/in") ? "golden" : NULL;
}

int options_check_root(const struct options *o, struct buffer *why)
{
	const char *mark = mark_of_deployment(o->root);

	if (is_whole_machine(o->root)) {
		buffer_printf(why, "%s is the whole machine; name the directory that the deployments are in", o->root);
		return -EINVAL;
	}
	if (mark) {
		buffer_printf(why, "%s is a deployment, with a %s of its own; name the directory that it is in", o->root,
			      mark);
		return -EINVAL;
	}
	if (file_is_directory(o->root))
		return 0;
	if (file_exists(o->root)) {
		buffer_printf(why, "%s is not a directory; name the directory that it is in", o->root);
		return -ENOTDIR;
	}
	buffer_printf(why, "there is no directory %s; 'devserve new NAME --root %s' makes a first deployment",
		      o->root, o->root);
	return -ENOENT;
}

/* The state directory */

/* NULL: there is no place for it. */
static char *cache_directory(const char *root)
{
	_cleanup_free_ char *real = realpath(root, NULL), *cache = path_of_cache();
	const char *path = real ? real : root;
	char id[HASH_TEXT_SIZE];

	hash_text(hash_bytes(path, strlen(path)), id);
	return cache ? xasprintf("%s/%s-%.8s", cache, path_name(path), id) : NULL;
}

char *state_directory(const char *root, const char *state_dir)
{
	char *inside, *cache;

	if (state_dir)
		return xstrdup(state_dir);
	inside = path_join(root, ".devserve");
	if (access(inside, W_OK) == 0 || (!file_exists(inside) && access(root, W_OK) == 0))
		return inside;
	cache = cache_directory(root);
	if (!cache)
		return inside;
	free(inside);
	return cache;
}
