/* SPDX-License-Identifier: MIT */

/*
 * devserve-debug: reads debug information, so that neither the server's memory nor its safety
 * depends on it: an image that lies about its DWARF costs this process. Started by devserve.
 */

#include <stdio.h>
#include <string.h>

#include "debug/backtrace.h"
#include "debug/layout.h"

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "backtrace") == 0)
		return debug_backtrace(argc - 2, argv + 2);
	if (argc > 2 && strcmp(argv[1], "layout") == 0)
		return debug_layout(argc - 2, argv + 2);
	fprintf(stderr, "devserve-debug: started by hand? It is devserve that starts it.\n");
	return 2;
}
