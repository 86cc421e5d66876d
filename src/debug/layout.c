/* SPDX-License-Identifier: MIT */
#include "debug/layout.h"

int debug_layout(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 1;
}
