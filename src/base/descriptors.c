/* SPDX-License-Identifier: MIT */
#include "base/descriptors.h"

#include <limits.h>
#include <sys/resource.h>

unsigned descriptors_raise(unsigned wanted)
{
	struct rlimit r = { .rlim_cur = 0 };

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < wanted) {
		rlim_t before = r.rlim_cur;

		r.rlim_cur = r.rlim_max < wanted ? r.rlim_max : wanted;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0)
			r.rlim_cur = before;
	}
	return r.rlim_cur < UINT_MAX ? (unsigned)r.rlim_cur : UINT_MAX;
}
