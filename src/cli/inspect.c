/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "image/inspect.h"

struct inspect_options {
	const char *path;
	bool json;
};

static const struct option_row rows[] = {
	OPTION_ROW(inspect_options, json, "json", 0, NULL, BOOL, NULL, 0, 0, "print one JSON object"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "FILE",
	  .kind = OPTION_FILE,
	  .offset = offsetof(struct inspect_options, path),
	  .missing = "which image? name its file" },
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

static int run(void *options)
{
	_cleanup_buffer_ struct buffer page = BUFFER_NULL;
	int r = inspect(options, &page);

	fputs(buffer_text(&page), stdout);
	return r;
}

const struct command cli_inspect = {
	.name = "inspect",
	.help = "show what an image declares, without running it",
	.about = "Show what the image FILE, a shared object, declares: its tensors, batching, and what "
		 "it needs. None of its code runs. An image that can't be served is refused with the "
		 "reason and exit status 1.",
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct inspect_options),
	.run = run,
};
