/* SPDX-License-Identifier: MIT */

/*
 * The directory is made, not only looked for: of two that write the same deployment at the
 * same time, one is refused. Each source is renamed into it whole, and what comes at once is one
 * save to a server which watches, so it builds it once.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/template.h"
#include "serve/options.h"

#define MAX_NAME 64

struct new_options {
	const char *name, *language, *root;
};

static const struct option_row rows[] = {
	OPTION_CHOICE_ROW(new_options, language, "lang", 0, "LANGUAGE", "c c++ cuda", "c",
			  "the source's language: c, c++ or cuda"),
	OPTION_ROW(new_options, root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0,
		   "the directory of the deployments"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .offset = offsetof(struct new_options, name),
	  .missing = "what should it be called? give a name" },
};

static const struct example examples[] = {
	{ "devserve new relu", "write ./plugins/relu/relu.c" },
	{ "devserve new relu --lang cuda", "write ./plugins/relu/relu.c, and its kernel in relu.cu" },
};

/* The server ignores names that start with '.' or '_'. */
static bool is_name(const char *name)
{
	static const char characters[] =
		"._-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t size = strspn(name, characters);

	return size > 0 && size <= MAX_NAME && name[size] == '\0' && !strchr("._-", name[0]);
}

static int check_name(const char *name, struct buffer *why)
{
	if (is_name(name))
		return 0;
	buffer_printf(why,
		      "a deployment can't be called '%s'; use up to %d of A-Z a-z 0-9 _ . -, a letter "
		      "or digit first",
		      name, MAX_NAME);
	return EXIT_USAGE;
}

/* A deployment is a directory or one source beside the others; both must be free. */
static int check_free(const struct new_options *o, struct buffer *why)
{
	static const char *const suffixes[] = { "", ".c", ".cc", ".cpp", ".cxx", ".S", ".cu" };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s%s", o->root, o->name, suffixes[i]);

		if (file_exists(path)) {
			buffer_printf(why, "%s is there already; choose another name or remove it",
				      path);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}

static int refuse_errno(struct buffer *why, const char *path, int r)
{
	buffer_printf(why, "cannot write %s: %s", path, strerror(-r));
	return EXIT_FAILURE;
}

static int write_file(const struct new_options *o, const struct template_file *f, struct buffer *why)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/%s%s", o->root, o->name, o->name, f->suffix);
	int r = file_write(path, f->text, strlen(f->text), 0644);

	if (r < 0)
		return refuse_errno(why, path, r);
	printf("wrote %s\n", path);
	return EXIT_SUCCESS;
}

static int write_all(const struct new_options *o, const struct template *t, struct buffer *why)
{
	_cleanup_free_ char *directory = path_join(o->root, o->name);
	int r = file_make_directories(o->root);

	if (r == 0 && mkdir(directory, 0777) < 0)
		r = -errno;
	if (r < 0)
		return refuse_errno(why, directory, r);
	for (const struct template_file *f = t->files; r == 0 && f->suffix; f++)
		r = write_file(o, f, why);
	if (r == 0)
		printf("\n"
		       "Serve it, and every save from then on:\n"
		       "  devserve %s\n"
		       "Ask it, in another terminal:\n"
		       "  devserve infer %s X=1,2,3 --root %s\n",
		       o->root, o->name, o->root);
	return r;
}

static int run(void *options)
{
	const struct new_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	int r;

	if (check_name(o->name, &why) != 0)
		return cli_usage_error(&cli_new, &why);
	r = check_free(o, &why);
	if (r == 0)
		r = write_all(o, template_find(o->language), &why);
	return r == 0 ? r : cli_error(&why);
}

const struct command cli_new = {
	.name = "new",
	.help = "write a first deployment",
	.about = "Write the sources of a first deployment called NAME, which compiles and answers as "
		 "it is. Existing files are left alone.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct new_options),
	.run = run,
};
