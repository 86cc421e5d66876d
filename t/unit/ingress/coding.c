/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "ingress/coding.h"

static struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

static void means(const char *value, enum coding c)
{
	cr_expect_eq(coding_of(span_of(value)), c, "%s", value);
}

Test(coding, has_names_in_any_case)
{
	means("", CODING_IDENTITY);
	means("identity", CODING_IDENTITY);
	means("gzip", CODING_GZIP);
	means("GZip", CODING_GZIP);
	means("x-gzip", CODING_GZIP);
	means("deflate", CODING_DEFLATE);
}

Test(coding, is_unknown_where_there_are_several_or_others)
{
	means("br", CODING_UNKNOWN);
	means("gzip, gzip", CODING_UNKNOWN);
	means("identity,gzip", CODING_UNKNOWN);
	means("gzi", CODING_UNKNOWN);
	means("gzipp", CODING_UNKNOWN);
	means("*", CODING_UNKNOWN);
}

static void receives(const char *accept, enum coding c, bool plain)
{
	struct coding_wish w = CODING_WISH_NULL;

	coding_wish_read(&w, span_of(accept));
	cr_expect_eq(coding_wish_best(&w), c, "'%s' gets %d", accept, coding_wish_best(&w));
	cr_expect_eq(coding_wish_takes_plain(&w), plain, "%s", accept);
}

Test(coding_wish, gets_the_heaviest_and_the_first_of_equals)
{
	receives("gzip", CODING_GZIP, true);
	receives("deflate", CODING_DEFLATE, true);
	receives("deflate, gzip", CODING_DEFLATE, true);
	receives("gzip, deflate", CODING_GZIP, true);
	receives("gzip, *", CODING_GZIP, true);
	receives("gzip;q=0.5, deflate;q=0.8", CODING_DEFLATE, true);
	receives("gzip;q=0.500,deflate;q=0.499", CODING_GZIP, true);
	receives("br, gzip;q=0.5", CODING_GZIP, true);
	receives("gzip ; q=1.0 , deflate\t;\tQ=0.9", CODING_GZIP, true);
	receives("br;q=1, gzip;q=0.001", CODING_GZIP, true);
}

Test(coding_wish, never_gets_what_weighs_nothing)
{
	receives("gzip;q=0", CODING_IDENTITY, true);
	receives("gzip;q=0.000, deflate", CODING_DEFLATE, true);
	receives("", CODING_IDENTITY, true);
	receives("br", CODING_IDENTITY, true);
	receives("*;q=0, gzip", CODING_GZIP, false);
}

Test(coding_wish, may_prefer_or_forbid_identity)
{
	receives("identity", CODING_IDENTITY, true);
	receives("identity, gzip", CODING_IDENTITY, true);
	receives("gzip, identity", CODING_GZIP, true);
	receives("gzip;q=0.5, identity;q=0.8", CODING_IDENTITY, true);
	receives("identity;q=0, gzip", CODING_GZIP, false);
	receives("identity;q=0", CODING_UNKNOWN, false);
	receives("identity;q=0, br", CODING_UNKNOWN, false);
	receives("*;q=0", CODING_UNKNOWN, false);
	receives("*;q=0, identity", CODING_IDENTITY, true);
	receives("*", CODING_GZIP, true);
	receives("gzip;q=0, *;q=0.5", CODING_DEFLATE, true);
}

Test(coding_wish, leaves_out_what_is_malformed)
{
	receives("gzip;q=2", CODING_IDENTITY, true);
	receives("gzip;q=0.1234, deflate", CODING_DEFLATE, true);
	receives("gzip;q=-1", CODING_IDENTITY, true);
	receives("gzip;q", CODING_IDENTITY, true);
	receives("gzip;x=1", CODING_IDENTITY, true);
	receives(",,;q=1,,deflate,", CODING_DEFLATE, true);
}

Test(coding_wish, may_come_in_several_fields)
{
	struct coding_wish w = CODING_WISH_NULL;

	coding_wish_read(&w, span_of("br"));
	coding_wish_read(&w, span_of("deflate;q=0.1"));
	coding_wish_read(&w, span_of("gzip;q=0.2"));
	cr_expect_eq(coding_wish_best(&w), CODING_GZIP);
}
