/* SPDX-License-Identifier: MIT */
#include "worker/threads.h"

unsigned threads_of_images(void)
{
	return 0;
}
