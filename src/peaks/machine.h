/* SPDX-License-Identifier: MIT */
#pragma once

/* Which kind of machine this is, as far as speed is concerned. */

/* "Intel(R) Xeon(R) Processor, 2 CPUs"; free(). */
char *machine_name(void);

/* The same with all that tells it from others; asked once; free(). One thread. */
char *machine_identity(void);

/* CPUs that we may use. */
unsigned machine_cpus(void);
