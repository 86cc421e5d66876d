/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Architecture
 *
 * What to compile for. Since 9.0 a GPU has instructions that no later one has (wgmma of sm_90): they
 * are in "sm_90a", which is all of sm_90 and these.
 */

#include <stddef.h>

/*
 * The name of what a GPU of capability @major.@minor is compiled for by the NVRTC at @library: with
 * an 'a' where it has one and that NVRTC knows it.
 */
void architecture_of(int major, int minor, const char *library, char *ret, size_t size);
