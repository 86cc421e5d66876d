/* SPDX-License-Identifier: MIT */

/* The first word is a command, or else this is the server. */

#include "cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
