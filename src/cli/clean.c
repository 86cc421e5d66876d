/* SPDX-License-Identifier: MIT */

/*
 * A running server isn't disturbed. It looks for its directories when it starts only, so
 * they stay, empty. What its workers have mapped, below generations/PID, stays as long as
 * it runs, since a worker that dies is replaced from there; so do tmp/PID-XXXXXX, where its
 * compilers write, and what it has learnt of the toolchain. All else is found missing when
 * it is looked for, and made again. The generation numbers, in deployments/, are a record
 * rather than a product and stay always.
 *
 * --state-dir may name a directory that is somebody else's: only what is named as the store
 * and the processes name things goes.
 */

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/process.h"
#include "cli/cli.h"
#include "serve/options.h"

struct clean_options {
	const char *root, *state_dir;
	bool dry_run, history;
};

static const struct option_row rows[] = {
	OPTION_ROW(clean_options, root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0,
		   "the directory of the deployments"),
	OPTION_ROW(clean_options, state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0,
		   "what the server was given as --state-dir"),
	OPTION_ROW(clean_options, dry_run, "dry-run", 'n', NULL, BOOL, NULL, 0, 0,
		   "say what would go, and leave it"),
	OPTION_ROW(clean_options, history, "history", 0, NULL, BOOL, NULL, 0, 0,
		   "remove the history as well, and what could be rolled back to"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "ROOT", .kind = OPTION_DIRECTORY, .offset = offsetof(struct clean_options, root) },
};

static uint64_t freed, n_files; /* nftw() passes no context */
static bool dry_run;

static int count(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)at;
	if (type == FTW_F) {
		freed += (uint64_t)st->st_blocks * 512;
		n_files++;
	}
	return 0;
}

static int remove_counted(const char *path, struct buffer *why)
{
	int r;

	nftw(path, count, 16, FTW_PHYS);
	if (dry_run) {
		puts(path);
		return 0;
	}
	r = file_remove_tree(path);
	if (r < 0)
		buffer_printf(why, "cannot remove %s: %s", path, strerror(-r));
	return r;
}

/* "1234", "1234-a8Xc2P" */
static bool is_of_process(const char *name, bool alive)
{
	char *end;
	long pid = strtol(name, &end, 10);

	if (pid <= 0 || pid > INT32_MAX || end == name || (*end && *end != '-'))
		return false;
	return process_is_alive((pid_t)pid) == alive;
}

static bool is_left_behind(const char *name)
{
	return is_of_process(name, false);
}

static bool is_in_use(const char *name)
{
	return is_of_process(name, true);
}

/* A hash, perhaps with a suffix. */
static bool is_stored(const char *name)
{
	size_t digits = strspn(name, "0123456789abcdef");

	return digits == HASH_TEXT_SIZE - 1 && (!name[digits] || name[digits] == '.');
}

/* Whether some entry of @directory is one that @matches. */
static bool contains(const char *directory, bool (*matches)(const char *name))
{
	DIR *d = opendir(directory);
	struct dirent *e = NULL;

	while (d && (e = readdir(d)) && !matches(e->d_name))
		;
	if (d)
		closedir(d);
	return e != NULL;
}

static int empty(const char *directory, bool (*goes)(const char *name), struct buffer *why)
{
	DIR *d = opendir(directory);
	struct dirent *e;
	int r = 0;

	while (d && r == 0 && (e = readdir(d))) {
		_cleanup_free_ char *path = path_join(directory, e->d_name);

		if (goes(e->d_name))
			r = remove_counted(path, why);
	}
	if (d)
		closedir(d);
	return r;
}

static int clean(const char *state_dir, struct buffer *why)
{
	static const struct {
		const char *name;
		bool (*goes)(const char *name);
	} directories[] = {
		{ "objects", is_stored }, { "images", is_stored }, { "manifests", is_stored },
		{ "links", is_stored }, { "sources", is_stored }, { "loops", is_stored }, { "layouts", is_stored },
		{ "tmp", is_left_behind },
		{ "generations", is_left_behind },
		{ "toolchain", is_stored }, /* the last, for a running server needs it */
	};
	_cleanup_free_ char *tmp = path_join(state_dir, "tmp");
	size_t n = ARRAY_SIZE(directories) - contains(tmp, is_in_use);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		_cleanup_free_ char *path = path_join(state_dir, directories[i].name);

		r = empty(path, directories[i].goes, why);
	}
	return r;
}

/* A server that runs begins a new one. */
static int clean_history(const char *state_dir, struct buffer *why)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".broken", ".broken-wal", ".broken-shm" };
	_cleanup_free_ char *kept = path_join(state_dir, "kept");
	int r = empty(kept, is_stored, why);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes) && r == 0; i++) {
		_cleanup_free_ char *path = xasprintf("%s/history.db%s", state_dir, suffixes[i]);

		if (file_exists(path))
			r = remove_counted(path, why);
	}
	return r;
}

static void print_freed(void)
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB" };
	double size = (double)freed;
	size_t unit = 0;

	while (size >= 1000 && unit < ARRAY_SIZE(units) - 1) {
		size /= 1000;
		unit++;
	}
	printf("%s %.*f %s in %llu files\n", dry_run ? "would free" : "freed", unit ? 1 : 0, size, units[unit],
	       (unsigned long long)n_files);
}

/* 0 when there may be something; else why not. */
static int check_place(const struct clean_options *o, struct buffer *why)
{
	const char *place = o->state_dir ? o->state_dir : o->root;

	if (file_is_directory(place))
		return 0;
	buffer_printf(why, file_exists(place) ? "%s is not a directory" : "there is no directory %s", place);
	return -ENOTDIR;
}

static int run(void *options)
{
	const struct clean_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_free_ char *state_dir = state_directory(o->root, o->state_dir);

	dry_run = o->dry_run;
	if (check_place(o, &why) < 0 || clean(state_dir, &why) < 0 ||
	    (o->history && clean_history(state_dir, &why) < 0))
		return cli_error(&why);
	if (file_is_directory(state_dir))
		print_freed();
	else
		printf("nothing was built here: there is no %s\n", state_dir);
	return EXIT_SUCCESS;
}

const struct command cli_clean = {
	.name = "clean",
	.help = "remove what was built",
	.about = "Remove the objects and images that were built for the deployments in ROOT "
		 "(" OPTIONS_DEFAULT_ROOT "). They are made again when they are needed; generations go "
		 "on counting, and the history stays, with the images that it can roll back to. A running server "
		 "keeps working.",
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct clean_options),
	.run = run,
};
