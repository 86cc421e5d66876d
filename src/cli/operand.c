/* SPDX-License-Identifier: MIT */
#include "cli/operand.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define LONGEST 32 /* of a mnemonic */

struct instruction {
	char full[LONGEST], *name; /* the latter without the 'v' of AVX, where it has one */
	const char *operands, *end;
	size_t vector; /* bytes of its widest vector register, 0: it has none */
};

struct width {
	const char *name;
	size_t bytes;
};

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), m = strlen(with);

	return n >= m && strcmp(s + n - m, with) == 0;
}

static bool has(const struct instruction *i, const char *what)
{
	return memmem(i->operands, (size_t)(i->end - i->operands), what, strlen(what)) != NULL;
}

static size_t find(const struct width *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].bytes;
	return 0;
}

#define FIND(table, name) find(table, ARRAY_SIZE(table), name)

/* Of a vector's elements. */
static size_t element_width(const char *name)
{
	static const struct width ends_in[] = { { "ph", 2 }, { "ps", 4 }, { "pd", 8 }, { "d", 4 }, { "q", 8 } };

	for (size_t i = 0; i < ARRAY_SIZE(ends_in); i++)
		if (ends(name, ends_in[i].name))
			return ends_in[i].bytes;
	return 0;
}

/* What a conversion takes: of "cvttps2qq", "ps". */
static size_t converted_width(const char *name)
{
	static const struct width from[] = { { "ph", 2 }, { "w", 2 }, { "uw", 2 }, { "ps", 4 }, { "dq", 4 }, { "udq", 4 },
					     { "pd", 8 }, { "qq", 8 }, { "uqq", 8 }, { "ss", 4 }, { "sd", 8 }, { "sh", 2 } };
	char source[LONGEST];
	size_t n;

	name += begins(name, "cvtt") ? 4 : 3;
	n = strcspn(name, "2");
	memcpy(source, name, n);
	source[n] = '\0';
	return FIND(from, source);
}

/* "{1to8}": one element, for all. */
static size_t broadcast_width(const struct instruction *i)
{
	const char *to = memmem(i->operands, (size_t)(i->end - i->operands), "{1to", 4);
	size_t n = strtoul(to + 4, NULL, 10);

	if (begins(i->name, "cvt"))
		return converted_width(i->name);
	return i->vector && n ? i->vector / n : element_width(i->name);
}

static size_t conversion_width(const struct instruction *i)
{
	static const struct width halves[] = { { "cvtdq2pd", 2 }, { "cvtudq2pd", 2 }, { "cvtps2pd", 2 }, { "cvtph2ps", 2 },
					       { "cvtdq2ps", 1 }, { "cvtudq2ps", 1 }, { "cvtps2dq", 1 }, { "cvttps2dq", 1 } };
	size_t part = FIND(halves, i->name);

	if (part)
		return i->vector / part;
	if (begins(i->name, "cvtsi2s") || begins(i->name, "cvtusi2s"))
		return ends(i->name, "l") ? 4 : ends(i->name, "q") ? 8 : 0;
	if (begins(i->name, "cvtss2") || begins(i->name, "cvttss2") || begins(i->name, "cvtsd2") || begins(i->name, "cvttsd2"))
		return converted_width(i->name);
	return 0;
}

/* "pmovzxbd": a byte for each 4 of the register. */
static size_t extension_width(const struct instruction *i)
{
	static const struct width parts[] = { { "bw", 2 }, { "bd", 4 }, { "bq", 8 }, { "wd", 2 }, { "wq", 4 }, { "dq", 2 } };
	size_t part = FIND(parts, i->name + strlen("pmovzx"));

	return part ? i->vector / part : 0;
}

/* Of vectors, what is less than a register. */
static const struct width partial[] = {
	{ "movd", 4 }, { "movq", 8 }, { "movhps", 8 }, { "movhpd", 8 }, { "movlps", 8 }, { "movlpd", 8 },
	{ "insertps", 4 }, { "pinsrb", 1 }, { "pinsrw", 2 }, { "pinsrd", 4 }, { "pinsrq", 8 },
	{ "pbroadcastb", 1 }, { "pbroadcastw", 2 }, { "pbroadcastd", 4 }, { "pbroadcastq", 8 },
	{ "broadcastss", 4 }, { "broadcastsd", 8 }, { "broadcastf128", 16 }, { "broadcasti128", 16 },
	{ "broadcastf32x2", 8 }, { "broadcasti32x2", 8 }, { "broadcastf32x4", 16 }, { "broadcasti32x4", 16 },
	{ "broadcastf64x2", 16 }, { "broadcasti64x2", 16 }, { "broadcastf32x8", 32 }, { "broadcasti32x8", 32 },
	{ "broadcastf64x4", 32 }, { "broadcasti64x4", 32 },
	{ "insertf128", 16 }, { "inserti128", 16 }, { "insertf32x4", 16 }, { "inserti32x4", 16 },
	{ "insertf64x2", 16 }, { "inserti64x2", 16 }, { "insertf32x8", 32 }, { "inserti32x8", 32 },
	{ "insertf64x4", 32 }, { "inserti64x4", 32 },
};

/* How much these read hangs on a mask or on indices; or they write. */
static bool is_uncertain(const char *name)
{
	static const char *const some[] = { "maskmov", "pmaskmov", "gather", "pgather", "scatter", "pscatter", "expand",
					    "pexpand", "compress", "pcompress", "pmov", "pextr", "extract", "prefetch",
					    "pinsr", "pbroadcast", "broadcast", "insert", "p4", "4", "p2intersect" };

	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		if (begins(name, some[i]))
			return true;
	return false;
}

static bool is_shift_by_register(const struct instruction *i)
{
	return (begins(i->name, "psll") || begins(i->name, "psrl") || begins(i->name, "psra")) && !begins(i->name + 4, "v") &&
	       !has(i, "$");
}

static bool reads_a_register(const char *name)
{
	static const char *const some[] = { "movdq", "movntdqa", "lddqu", "shuff", "shufi", "alignd", "alignq", "aes", "sha",
					    "dbpsadbw", "gf2p8", "p" };

	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		if (begins(name, some[i]))
			return true;
	return ends(name, "ps") || ends(name, "pd") || ends(name, "movsldup") || ends(name, "movshdup");
}

static size_t vector_width(const struct instruction *i)
{
	size_t width;

	if (has(i, "{1to"))
		return broadcast_width(i);
	if (has(i, "{%k")) /* it reads what its mask lets it */
		return 0;
	width = FIND(partial, i->name);
	if (width)
		return width;
	if (begins(i->name, "cvt"))
		return conversion_width(i);
	if (begins(i->name, "pmovzx") || begins(i->name, "pmovsx"))
		return extension_width(i);
	if (strcmp(i->name, "movddup") == 0)
		return i->vector == 16 ? 8 : i->vector;
	if (is_uncertain(i->name))
		return 0;
	if (is_shift_by_register(i))
		return 16;
	if (i->name[0] != 'p' && (ends(i->name, "ss") || ends(i->name, "sd")))
		return ends(i->name, "ss") ? 4 : 8;
	return reads_a_register(i->name) ? i->vector : 0;
}

/* "r10d", "eax", "al" */
static size_t register_width(const char *s, size_t n)
{
	if (n < 2)
		return 0;
	if (s[0] == 'r' && isdigit((unsigned char)s[1]))
		return s[n - 1] == 'b' ? 1 : s[n - 1] == 'w' ? 2 : s[n - 1] == 'd' ? 4 : 8;
	if (s[0] == 'r' || s[0] == 'e')
		return s[0] == 'r' ? 8 : 4;
	return s[n - 1] == 'l' || s[n - 1] == 'h' ? 1 : 2;
}

/* The last that isn't part of the address. */
static size_t operand_register_width(const struct instruction *i)
{
	size_t width = 0;

	for (const char *at = i->operands; at < i->end; at++) {
		size_t n = 0;

		if (*at == '(')
			while (at < i->end && *at != ')')
				at++;
		if (at >= i->end || *at != '%')
			continue;
		while (at + 1 + n < i->end && isalnum((unsigned char)at[1 + n]))
			n++;
		width = register_width(at + 1, n);
	}
	return width;
}

/* Those that take as much from memory as their registers have. */
static bool is_plain(const char *name)
{
	static const char *const some[] = { "mov", "movabs", "movbe", "add", "adc", "sub", "sbb", "and", "andn", "or", "xor",
					    "cmp", "test", "imul", "mul", "div", "idiv", "bsf", "bsr", "tzcnt", "lzcnt",
					    "popcnt", "bzhi", "blsr", "blsi", "blsmsk", "pdep", "pext", "bextr", "shlx",
					    "shrx", "sarx", "rorx", "mulx", "adcx", "adox", "xchg" };

	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		if (strcmp(name, some[i]) == 0)
			return true;
	return begins(name, "cmov");
}

/* "cmpb": what it would be called next to a register, and its suffix. */
static size_t suffix_width(const char *name)
{
	static const struct width suffixes[] = { { "b", 1 }, { "w", 2 }, { "l", 4 }, { "q", 8 } };
	char plain[LONGEST];
	size_t n = strlen(name);

	memcpy(plain, name, n);
	plain[n - 1] = '\0';
	return is_plain(plain) ? FIND(suffixes, name + n - 1) : 0;
}

static size_t scalar_width(const struct instruction *i)
{
	static const struct width known[] = {
		{ "movzbl", 1 }, { "movzbw", 1 }, { "movzbq", 1 }, { "movsbl", 1 }, { "movsbw", 1 }, { "movsbq", 1 },
		{ "movzwl", 2 }, { "movzwq", 2 }, { "movswl", 2 }, { "movswq", 2 }, { "movslq", 4 },
		{ "flds", 4 }, { "fldl", 8 }, { "fldt", 10 }, { "filds", 2 }, { "fildl", 4 }, { "fildll", 8 },
		{ "fadds", 4 }, { "faddl", 8 }, { "fmuls", 4 }, { "fmull", 8 }, { "fsubs", 4 }, { "fsubl", 8 },
		{ "fsubrs", 4 }, { "fsubrl", 8 }, { "fdivs", 4 }, { "fdivl", 8 }, { "fdivrs", 4 }, { "fdivrl", 8 },
		{ "fcoms", 4 }, { "fcoml", 8 }, { "fcomps", 4 }, { "fcompl", 8 },
		{ "kmovb", 1 }, { "kmovw", 2 }, { "kmovd", 4 }, { "kmovq", 8 },
	};
	size_t width = FIND(known, i->full);

	if (!width)
		width = suffix_width(i->full);
	if (!width && is_plain(i->full))
		width = operand_register_width(i);
	return width;
}

size_t operand_width(const char *instruction, size_t size)
{
	struct instruction i = { .end = instruction + size };
	size_t n = 0;

	while (n < size && !isspace((unsigned char)instruction[n]))
		n++;
	if (n < 2 || n >= LONGEST)
		return 0;
	memcpy(i.full, instruction, n);
	i.name = i.full[0] == 'v' ? i.full + 1 : i.full;
	i.operands = instruction + n;
	i.vector = has(&i, "%zmm") ? 64 : has(&i, "%ymm") ? 32 : has(&i, "%xmm") ? 16 : 0;
	if (begins(i.full, "lea"))
		return 0;
	if (i.vector || i.full[0] == 'v' || begins(i.full, "cvt"))
		return vector_width(&i);
	return scalar_width(&i);
}
