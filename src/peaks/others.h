/* SPDX-License-Identifier: MIT */
#pragma once

/* Whose the CPUs were for a while: this process's, others', or nobody's. One thread. */

#include <stdint.h>

struct others {
	uint64_t busy_ns, all_ns; /* of the CPUs that we may use, since the start of the machine */
	uint64_t own_ns;          /* of all of our threads */
};

void others_begin(struct others *ret);

/* Others' share of these CPUs since then, 0 to 1, to a hundredth or so; 0 where the kernel doesn't tell. */
double others_share(const struct others *since);
