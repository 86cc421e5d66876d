/* SPDX-License-Identifier: MIT */

/*
 * devserve-cuda: what devserve needs of CUDA's libraries, so that neither the server nor its
 * memory has anything to do with them. Started by devserve:
 *
 *	devserve-cuda device LIBRARY   "sm_90a NVIDIA H200\n": what this NVRTC is to compile for
 *	devserve-cuda gpus             how they are, as JSON (nvrtc/gpus.h)
 *	devserve-cuda compile LIBRARY  one compilation by NVRTC (nvrtc/compile.h)
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cuda/device.h"
#include "nvrtc/architecture.h"
#include "nvrtc/compile.h"
#include "nvrtc/gpus.h"

static int print_device(const char *library)
{
	char why[512], architecture[32];
	const struct device *d = device_find(why, sizeof(why));

	if (!d) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	architecture_of(d->major, d->minor, library, architecture, sizeof(architecture));
	printf("%s %s\n", architecture, d->name);
	fflush(stdout);
	_exit(0); /* the library's destructors would take a while */
}

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a compilation may take minutes */
	if (argc == 3 && strcmp(argv[1], "device") == 0)
		return print_device(argv[2]);
	if (argc == 2 && strcmp(argv[1], "gpus") == 0)
		return gpus_print();
	if (argc == 3 && strcmp(argv[1], "compile") == 0)
		return compile_one(argv[2]);
	fprintf(stderr, "devserve-cuda: started by hand? It is devserve that starts it.\n");
	return 2;
}
