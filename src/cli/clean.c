/* SPDX-License-Identifier: MIT */

/*
 * A running server isn't disturbed: what it builds from is found again or made again, and
 * the files that its workers have mapped, below generations/PID, stay as long as it runs,
 * since a worker that dies is replaced from them. What is a record rather than a product,
 * the generation numbers, stays always.
 */

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "serve/options.h"

struct clean_options {
	const char *root, *state_dir;
	bool help;
};

static const struct option_row rows[] = {
	{ "state-dir", 0, "DIR", OPTION_STRING, NULL, 0, 0, "what the server was given as --state-dir",
	  offsetof(struct clean_options, state_dir) },
	{ "help", 'h', NULL, OPTION_ACTION, NULL, 0, 0, "print this",
	  offsetof(struct clean_options, help) },
};

static const struct command command = {
	.name = "devserve clean",
	.synopsis = "[OPTION]... [ROOT]",
	.about = "Remove the objects and images that were built for the deployments in ROOT\n"
		 "(" OPTIONS_DEFAULT_ROOT "). They are made again when they are needed; generations go on\n"
		 "counting. A running server keeps working.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.operand = "ROOT",
	.operand_offset = offsetof(struct clean_options, root),
};

static uint64_t freed, n_files; /* nftw() passes no context */

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
	r = file_remove_tree(path);
	if (r < 0)
		buffer_printf(why, "cannot remove %s: %s", path, strerror(-r));
	return r;
}

/* "generations/1234" of a process that has ended; anything else there is nobody's. */
static bool is_left_behind(const char *name)
{
	pid_t pid = (pid_t)strtol(name, NULL, 10);

	return pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH);
}

/* In a directory that may be anybody's, only what is known by name goes. */
static bool is_known_product(const char *name)
{
	static const char *const products[] = { "objects", "images", "stubs", "manifests" };

	for (size_t i = 0; i < ARRAY_SIZE(products); i++)
		if (strcmp(name, products[i]) == 0)
			return true;
	return false;
}

/* In ours everything goes but the records, a running server's file, and what is_left_behind() is for. */
static bool is_own_product(const char *name)
{
	return strcmp(name, "deployments") != 0 && strcmp(name, "run.json") != 0 &&
	       strcmp(name, "generations") != 0;
}

static int clean(const char *directory, bool (*goes)(const char *name), struct buffer *why)
{
	DIR *d = opendir(directory);
	struct dirent *e;
	int r = 0;

	while (d && r == 0 && (e = readdir(d))) {
		_cleanup_free_ char *path = path_join(directory, e->d_name);

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && goes(e->d_name))
			r = remove_counted(path, why);
	}
	if (d)
		closedir(d);
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
	printf("freed %.*f %s in %llu files\n", unit ? 1 : 0, size, units[unit],
	       (unsigned long long)n_files);
}

int cli_clean(int argc, char **argv)
{
	_cleanup_free_ char *directory = NULL, *generations = NULL;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct clean_options o = { .root = NULL };
	bool ours;

	if (command_parse(&command, argc, argv, &o, &why) != 0)
		return cli_usage_error(&command, &why);
	if (o.help)
		return cli_print_help(&command);
	directory = state_directory(o.root ? o.root : OPTIONS_DEFAULT_ROOT, o.state_dir);
	generations = path_join(directory, "generations");
	ours = !o.state_dir || strcmp(path_name(directory), ".devserve") == 0;
	if (clean(directory, ours ? is_own_product : is_known_product, &why) < 0 ||
	    clean(generations, is_left_behind, &why) < 0)
		return cli_error(&why);
	print_freed();
	return EXIT_SUCCESS;
}
