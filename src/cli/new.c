/* SPDX-License-Identifier: MIT */

/*
 * The directory is made, not only looked for: of two that write the same deployment at the
 * same time, one is refused. The source is renamed into it whole, so that a server which
 * watches sees it once and builds it once.
 */

#include "cli/new.h"

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
	bool help;
};

static const struct option_row rows[] = {
	{ "lang", 0, "LANGUAGE", OPTION_STRING, "c", 0, 0, "c, c++ or cuda",
	  offsetof(struct new_options, language) },
	{ "root", 0, "DIR", OPTION_STRING, OPTIONS_DEFAULT_ROOT, 0, 0, "where the deployments are",
	  offsetof(struct new_options, root) },
	{ "help", 'h', NULL, OPTION_ACTION, NULL, 0, 0, "print this",
	  offsetof(struct new_options, help) },
};

static const struct command command = {
	.name = "devserve new",
	.synopsis = "[OPTION]... NAME",
	.about = "Write the source of a first deployment called NAME, which compiles and answers "
		 "as it\n"
		 "is. Existing files are left alone.",
	.examples = "  devserve new relu                 write ./plugins/relu/relu.c\n"
		    "  devserve new relu --lang cuda     write ./plugins/relu/relu.cu\n",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.operand = "NAME",
	.operand_offset = offsetof(struct new_options, name),
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
	if (name && is_name(name))
		return 0;
	if (name)
		buffer_printf(
			why,
			"a deployment can't be called '%s'; use up to %d of A-Z a-z 0-9 _ . -, "
			"a letter or digit first",
			name, MAX_NAME);
	else
		buffer_puts(why, "what should it be called? give a name");
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

static int write_source(const struct new_options *o, const struct template *t, struct buffer *why)
{
	_cleanup_free_ char *directory = path_join(o->root, o->name);
	_cleanup_free_ char *path = xasprintf("%s/%s%s", directory, o->name, t->suffix);
	int r = file_make_directories(o->root);

	if (r == 0 && mkdir(directory, 0777) < 0)
		r = -errno;
	if (r < 0)
		return refuse_errno(why, directory, r);
	r = file_write(path, t->text, strlen(t->text), 0644);
	if (r < 0)
		return refuse_errno(why, path, r);
	printf("wrote %s\n"
	       "\n"
	       "Serve it, and every save from then on:\n"
	       "  devserve %s\n"
	       "Ask it:\n"
	       "  curl -s localhost:8000/v2/models/%s/infer -d \\\n"
	       "    "
	       "'{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[3],\"data\":[1,2,3]}"
	       "]}'\n",
	       path, o->root, o->name);
	return EXIT_SUCCESS;
}

int cli_new(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct new_options o = { .name = NULL };
	const struct template *t;
	int r;

	if (command_parse(&command, argc, argv, &o, &why) != 0)
		return cli_usage_error(&command, &why);
	if (o.help)
		return cli_print_help(&command);
	if (check_name(o.name, &why) != 0)
		return cli_usage_error(&command, &why);
	t = template_find(o.language);
	if (!t) {
		buffer_printf(&why, "--lang takes c, c++ or cuda, not '%s'", o.language);
		return cli_usage_error(&command, &why);
	}
	r = check_free(&o, &why);
	if (r == 0)
		r = write_source(&o, t, &why);
	return r == 0 ? r : cli_error(&why);
}
