/* SPDX-License-Identifier: MIT */
#include "nvrtc/headers.h"

#include <stdbool.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "nvrtc/stand_ins.h"

/* A macro that somebody has may stay as it is; who comes later must find it as it would have it. */
#define DEFINE(name, value) "#ifndef " #name "\n#define " #name " " value "\n#endif\n"

/* As <cuda/std/climits> has them. */
static const char limits[] =
	"#pragma once\n"
	DEFINE(CHAR_BIT, "8")
	DEFINE(SCHAR_MIN, "(-128)")
	DEFINE(SCHAR_MAX, "127")
	DEFINE(UCHAR_MAX, "255")
	DEFINE(CHAR_MIN, "SCHAR_MIN")
	DEFINE(CHAR_MAX, "SCHAR_MAX")
	DEFINE(SHRT_MIN, "(-SHRT_MAX - 1)")
	DEFINE(SHRT_MAX, "0x7fff")
	DEFINE(USHRT_MAX, "0xffff")
	DEFINE(INT_MIN, "(-INT_MAX - 1)")
	DEFINE(INT_MAX, "0x7fffffff")
	DEFINE(UINT_MAX, "0xffffffff")
	DEFINE(LONG_MIN, "(-LONG_MAX - 1)")
	DEFINE(LONG_MAX, "LLONG_MAX")
	DEFINE(ULONG_MAX, "ULLONG_MAX")
	DEFINE(LLONG_MIN, "(-LLONG_MAX - 1)")
	DEFINE(LLONG_MAX, "0x7fffffffffffffffLL")
	DEFINE(ULLONG_MAX, "0xffffffffffffffffUL");

/* As <cuda/std/cstdint> has them. */
#define SIZES(X) X(int8_t) X(int16_t) X(int32_t) X(int64_t) X(uint8_t) X(uint16_t) X(uint32_t) X(uint64_t) \
	X(int_fast8_t) X(int_fast16_t) X(int_fast32_t) X(int_fast64_t)                                    \
	X(uint_fast8_t) X(uint_fast16_t) X(uint_fast32_t) X(uint_fast64_t)                                \
	X(int_least8_t) X(int_least16_t) X(int_least32_t) X(int_least64_t)                                \
	X(uint_least8_t) X(uint_least16_t) X(uint_least32_t) X(uint_least64_t)                            \
	X(intptr_t) X(uintptr_t) X(intmax_t) X(uintmax_t)
#define LIMITS_OF(bits)                                                  \
	DEFINE(INT_FAST##bits##_MIN, "INT" #bits "_MIN")                 \
	DEFINE(INT_FAST##bits##_MAX, "INT" #bits "_MAX")                 \
	DEFINE(UINT_FAST##bits##_MAX, "UINT" #bits "_MAX")               \
	DEFINE(INT_LEAST##bits##_MIN, "INT" #bits "_MIN")                \
	DEFINE(INT_LEAST##bits##_MAX, "INT" #bits "_MAX")                \
	DEFINE(UINT_LEAST##bits##_MAX, "UINT" #bits "_MAX")              \
	"#ifndef INT" #bits "_C\n"                                       \
	"#define INT" #bits "_C(X) ((::int_least" #bits "_t)(X))\n"      \
	"#define UINT" #bits "_C(X) ((::uint_least" #bits "_t)(X))\n"    \
	"#endif\n"
#define TYPES_OF(bits, type)                                             \
	"typedef signed " type " int" #bits "_t, int_fast" #bits "_t, int_least" #bits "_t;\n"           \
	"typedef unsigned " type " uint" #bits "_t, uint_fast" #bits "_t, uint_least" #bits "_t;\n"

static const char stdint[] =
	"#pragma once\n"
	"#include <limits.h>\n"
	TYPES_OF(8, "char") TYPES_OF(16, "short") TYPES_OF(32, "int") TYPES_OF(64, "long long")
	"typedef int64_t intptr_t, intmax_t;\n"
	"typedef uint64_t uintptr_t, uintmax_t;\n"
	DEFINE(INT8_MIN, "SCHAR_MIN") DEFINE(INT8_MAX, "SCHAR_MAX") DEFINE(UINT8_MAX, "UCHAR_MAX")
	DEFINE(INT16_MIN, "SHRT_MIN") DEFINE(INT16_MAX, "SHRT_MAX") DEFINE(UINT16_MAX, "USHRT_MAX")
	DEFINE(INT32_MIN, "INT_MIN") DEFINE(INT32_MAX, "INT_MAX") DEFINE(UINT32_MAX, "UINT_MAX")
	DEFINE(INT64_MIN, "LLONG_MIN") DEFINE(INT64_MAX, "LLONG_MAX") DEFINE(UINT64_MAX, "ULLONG_MAX")
	LIMITS_OF(8) LIMITS_OF(16) LIMITS_OF(32) LIMITS_OF(64)
	DEFINE(INTPTR_MIN, "INT64_MIN") DEFINE(INTPTR_MAX, "INT64_MAX") DEFINE(UINTPTR_MAX, "UINT64_MAX")
	DEFINE(INTMAX_MIN, "INT64_MIN") DEFINE(INTMAX_MAX, "INT64_MAX") DEFINE(UINTMAX_MAX, "UINT64_MAX")
	DEFINE(PTRDIFF_MIN, "INT64_MIN") DEFINE(PTRDIFF_MAX, "INT64_MAX") DEFINE(SIZE_MAX, "UINT64_MAX")
	"#ifndef INTMAX_C\n"
	"#define INTMAX_C(X) ((::intmax_t)(X))\n"
	"#define UINTMAX_C(X) ((::uintmax_t)(X))\n"
	"#endif\n";

#define USING(name) "using ::" #name ";\n"

static const char cstdint[] = "#pragma once\n#include <stdint.h>\nnamespace std {\n" SIZES(USING) "}\n";

static const char stddef[] =
	"#pragma once\n"
	"#ifndef offsetof\n"
	"#define offsetof(type, member) (::size_t) ((char*) &(((type*) 0)->member) - (char*) 0)\n"
	"#endif\n";

static const char cstddef[] =
	"#pragma once\n#include <stddef.h>\n"
	"namespace std {\nusing ::size_t;\nusing ::ptrdiff_t;\nusing nullptr_t = decltype(nullptr);\n}\n";

static const char floats[] =
	"#pragma once\n"
	DEFINE(FLT_RADIX, "2")
	DEFINE(FLT_MANT_DIG, "24") DEFINE(FLT_DIG, "6")
	DEFINE(FLT_MIN_EXP, "(-125)") DEFINE(FLT_MAX_EXP, "128")
	DEFINE(FLT_MIN_10_EXP, "(-37)") DEFINE(FLT_MAX_10_EXP, "38")
	DEFINE(FLT_MIN, "1.17549435082228750796873653722224568e-38F")
	DEFINE(FLT_MAX, "3.40282346638528859811704183484516925e+38F")
	DEFINE(FLT_EPSILON, "1.19209289550781250000000000000000000e-7F")
	DEFINE(FLT_TRUE_MIN, "1.40129846432481707092372958328991613e-45F")
	DEFINE(DBL_MANT_DIG, "53") DEFINE(DBL_DIG, "15")
	DEFINE(DBL_MIN_EXP, "(-1021)") DEFINE(DBL_MAX_EXP, "1024")
	DEFINE(DBL_MIN_10_EXP, "(-307)") DEFINE(DBL_MAX_10_EXP, "308")
	DEFINE(DBL_MIN, "2.2250738585072014e-308")
	DEFINE(DBL_MAX, "1.7976931348623157e+308")
	DEFINE(DBL_EPSILON, "2.2204460492503131e-16")
	DEFINE(DBL_TRUE_MIN, "4.9406564584124654e-324");

/* <cuda/std/cmath> makes macros of them, in words that need its own headers. */
#define CONSTANT(name, bits) "#ifndef " #name "\nconstexpr float " #name " = __builtin_bit_cast(float, " bits ");\n#endif\n"

/* The functions are there without; so are isnan() and the like. */
static const char math[] =
	"#pragma once\n"
	CONSTANT(INFINITY, "0x7f800000")
	CONSTANT(NAN, "0x7fffffff")
	DEFINE(HUGE_VALF, "(__int_as_float(0x7f800000))")
	DEFINE(HUGE_VAL, "(__longlong_as_double(0x7ff0000000000000LL))")
	DEFINE(M_E, "2.7182818284590452354")
	DEFINE(M_LOG2E, "1.4426950408889634074")
	DEFINE(M_LOG10E, "0.43429448190325182765")
	DEFINE(M_LN2, "0.69314718055994530942")
	DEFINE(M_LN10, "2.30258509299404568402")
	DEFINE(M_PI, "3.14159265358979323846")
	DEFINE(M_PI_2, "1.57079632679489661923")
	DEFINE(M_PI_4, "0.78539816339744830962")
	DEFINE(M_1_PI, "0.31830988618379067154")
	DEFINE(M_2_PI, "0.63661977236758134308")
	DEFINE(M_2_SQRTPI, "1.12837916709551257390")
	DEFINE(M_SQRT2, "1.41421356237309504880")
	DEFINE(M_SQRT1_2, "0.70710678118654752440");

#define FUNCTIONS(X) X(abs) X(acos) X(acosh) X(asin) X(asinh) X(atan) X(atan2) X(atanh) X(cbrt) X(ceil) X(copysign)  \
	X(cos) X(cosh) X(erf) X(erfc) X(exp) X(exp2) X(expm1) X(fabs) X(fdim) X(floor) X(fma) X(fmax) X(fmin) X(fmod) \
	X(frexp) X(hypot) X(ilogb) X(isfinite) X(isinf) X(isnan) X(ldexp) X(lgamma) X(llrint) X(llround) X(log)       \
	X(log10) X(log1p) X(log2) X(logb) X(lrint) X(lround) X(modf) X(nearbyint) X(nextafter) X(pow) X(remainder)    \
	X(rint) X(round) X(scalbn) X(signbit) X(sin) X(sinh) X(sqrt) X(tan) X(tanh) X(tgamma) X(trunc)

static const char cmath[] = "#pragma once\n#include <math.h>\nnamespace std {\n" FUNCTIONS(USING) "}\n";

static const char cstdio[] = "#pragma once\nnamespace std {\nusing ::printf;\n}\n";
static const char cstring[] = "#pragma once\nnamespace std {\nusing ::memcpy;\nusing ::memset;\n}\n";
static const char type_traits[] =
	"#pragma once\n#include <cuda/std/type_traits>\nnamespace std {\nusing namespace cuda::std;\n}\n";
static const char empty[] = "#pragma once\n";

static const struct {
	const char *name, *text;
} headers[] = {
#define HEADER(name, text) { name, text },
	STAND_INS(HEADER)
#undef HEADER
};

static bool is_in(const char *directory, size_t size, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%.*s/%s", (int)size, directory, name);

	return file_exists(path);
}

static bool is_found(const char *name, const char *source, const char *const *options, size_t n)
{
	if (is_in(source, (size_t)(path_name(source) - source), name))
		return true;
	for (size_t i = 0; i < n; i++) {
		const char *directory = strncmp(options[i], "-I", 2) == 0 ? options[i] + 2 : "";

		if (strcmp(options[i], "-I") == 0 && i + 1 < n)
			directory = options[++i];
		if (*directory && is_in(directory, strlen(directory), name))
			return true;
	}
	return false;
}

void headers_choose(struct headers *h, const char *source, const char *const *options, size_t n)
{
	_Static_assert(ARRAY_SIZE(headers) <= HEADERS_MAX, "there is room for all of them");

	h->n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		if (is_found(headers[i].name, source, options, n))
			continue;
		h->names[h->n] = headers[i].name;
		h->texts[h->n++] = headers[i].text;
	}
}
