/* SPDX-License-Identifier: MIT */

/*
 * devserve-cuda: what devserve needs of CUDA's libraries, so that neither the server nor its
 * memory has anything to do with them. Started by devserve:
 *
 *	devserve-cuda device           "sm_90a NVIDIA H200\n": for which GPU to compile
 *	devserve-cuda gpus             how they are, as JSON (nvrtc/gpus.h)
 *	devserve-cuda compile LIBRARY  one compilation by NVRTC (nvrtc/compile.h)
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "cuda/device.h"
#include "nvrtc/compile.h"
#include "nvrtc/gpus.h"

static int print_device(void)
{
	char why[512];
	const struct device *d = device_find(why, sizeof(why));

	if (!d) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	printf("sm_%d%d%s %s\n", d->major, d->minor, d->major >= 9 ? "a" : "", d->name); /* all that it can */
	return 0;
}

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a compilation may take minutes */
	if (argc == 2 && strcmp(argv[1], "device") == 0)
		return print_device();
	if (argc == 2 && strcmp(argv[1], "gpus") == 0)
		return gpus_print();
	if (argc == 3 && strcmp(argv[1], "compile") == 0)
		return compile_one(argv[2]);
	fprintf(stderr, "devserve-cuda: started by hand? It is devserve that starts it.\n");
	return 2;
}
