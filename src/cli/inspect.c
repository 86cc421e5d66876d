/* SPDX-License-Identifier: MIT */
#include "cli/inspect.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "image/inspect.h"
#include "serve/options.h"

struct inspect_options {
	const char *path;
	bool json, help;
};

static const struct option_row rows[] = {
	{ "json", 0, NULL, OPTION_BOOL, NULL, 0, 0, "print one JSON object",
	  offsetof(struct inspect_options, json) },
	{ "help", 'h', NULL, OPTION_ACTION, NULL, 0, 0, "print this",
	  offsetof(struct inspect_options, help) },
};

static const struct command command = {
	.name = "devserve inspect",
	.synopsis = "[OPTION]... FILE",
	.about = "Show what the image FILE, a shared object, declares: its tensors, batching, and "
		 "what\n"
		 "it needs. None of its code runs. An image that can't be served is refused with "
		 "the\n"
		 "reason and exit status 1.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.operand = "FILE",
	.operand_offset = offsetof(struct inspect_options, path),
};

static int inspect(const struct inspect_options *o, struct buffer *page)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct image_info info;
	int r;

	buffer_printf(&why, "%s: ", o->path);
	r = image_inspect(o->path, &info, &why);
	if (r < 0)
		buffer_puts(&why, strerror(-r));
	if (r != 0)
		return cli_error(&why);
	if (o->json) {
		image_info_json(&info, o->path, page);
		buffer_putc(page, '\n');
	} else {
		image_info_text(&info, o->path, page);
	}
	image_info_fini(&info);
	return EXIT_SUCCESS;
}

int cli_inspect(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL, page = BUFFER_NULL;
	struct inspect_options o = { .path = NULL };
	int r;

	if (command_parse(&command, argc, argv, &o, &why) != 0)
		return cli_usage_error(&command, &why);
	if (o.help)
		return cli_print_help(&command);
	if (!o.path) {
		buffer_puts(&why, "which image? name its file");
		return cli_usage_error(&command, &why);
	}
	r = inspect(&o, &page);
	fputs(buffer_text(&page), stdout);
	return r;
}
