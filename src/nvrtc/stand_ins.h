/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stand-ins
 *
 * The headers of the host for which NVRTC gets ours (headers.h): the name of each, and what its text is called
 * there. Who keeps objects asks which of the names are an author's own, for then it is that which was read.
 */

#define STAND_INS(X)                                              \
	X("assert.h", empty) X("cassert", empty)                  \
	X("float.h", floats) X("cfloat", floats)                  \
	X("limits.h", limits) X("climits", limits)                \
	X("math.h", math) X("cmath", cmath)                       \
	X("stdbool.h", empty)                                     \
	X("stddef.h", stddef) X("cstddef", cstddef)               \
	X("stdint.h", stdint) X("cstdint", cstdint)               \
	X("stdio.h", empty) X("cstdio", cstdio)                   \
	X("string.h", empty) X("cstring", cstring)                \
	X("type_traits", type_traits)
