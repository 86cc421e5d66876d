/* SPDX-License-Identifier: MIT */
#include "worker/crash.h"

void crash_catch(struct link_shared *link)
{
	(void)link;
}

void crash_enter_thread(uint32_t thread)
{
	(void)thread;
}
