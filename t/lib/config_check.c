/* SPDX-License-Identifier: MIT */

/* For each deployment.yaml on the command line a line: "ok", or "LINE: what is wrong". */

#include <stdio.h>

#include "base/buffer.h"
#include "config/config.h"

static void check(const char *path)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct config c;
	unsigned line;

	if (config_read(path, &c, &line, &why) == 0)
		puts("ok");
	else
		printf("%u: %s\n", line, buffer_text(&why));
	config_fini(&c);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		check(argv[i]);
	return 0;
}
