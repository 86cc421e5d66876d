/* SPDX-License-Identifier: MIT */
#include "config/scalar.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static const char *skip_digits(const char *s)
{
	return s + strspn(s, "0123456789");
}

/* [eE] [-+]? [0-9]+, or nothing; NULL: neither. */
static const char *skip_exponent(const char *s)
{
	const char *digits;

	if (*s != 'e' && *s != 'E')
		return s;
	digits = s + 1 + (s[1] == '+' || s[1] == '-');
	s = skip_digits(digits);
	return s > digits ? s : NULL;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) exponent? */
static bool is_decimal(const char *s)
{
	const char *whole, *end;
	size_t n;

	whole = s += *s == '+' || *s == '-';
	end = skip_digits(whole);
	n = (size_t)(end - whole);
	if (*end == '.') {
		s = end + 1;
		end = skip_digits(s);
		n += (size_t)(end - s);
	}
	end = n ? skip_exponent(end) : NULL;
	return end && !*end;
}

static bool is_in_base(const char *s, char letter, const char *digits)
{
	return s[0] == '0' && s[1] == letter && s[2] && strspn(s + 2, digits) == strlen(s + 2);
}

static bool resolve_number(const char *text, double *ret)
{
	static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };
	static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };

	if (is_decimal(text) || is_in_base(text, 'x', "0123456789abcdefABCDEF"))
		*ret = strtod(text, NULL);
	else if (is_in_base(text, 'o', "01234567"))
		*ret = (double)strtoull(text + 2, NULL, 8);
	else if (is_one_of(text + (*text == '+' || *text == '-'), infinities))
		*ret = *text == '-' ? -INFINITY : INFINITY;
	else if (is_one_of(text, nans))
		*ret = NAN;
	else
		return false;
	return true;
}

enum scalar scalar_resolve(const char *text, double *ret)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const truths[] = { "true", "True", "TRUE", NULL };
	static const char *const falsehoods[] = { "false", "False", "FALSE", NULL };

	if (is_one_of(text, nulls))
		return SCALAR_NULL;
	if (is_one_of(text, truths) || is_one_of(text, falsehoods)) {
		*ret = *text == 't' || *text == 'T';
		return SCALAR_BOOL;
	}
	return resolve_number(text, ret) ? SCALAR_NUMBER : SCALAR_TEXT;
}

bool scalar_is_json_number(const char *s)
{
	const char *digits = s + (*s == '-'), *end = skip_digits(digits);

	if (end == digits || (*digits == '0' && end > digits + 1))
		return false;
	if (*end == '.') {
		digits = end + 1;
		end = skip_digits(digits);
		if (end == digits)
			return false;
	}
	end = skip_exponent(end);
	return end && !*end;
}
