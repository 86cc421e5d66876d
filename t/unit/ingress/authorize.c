/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "ingress/authorize.h"

static const struct authority local = { .loopback = true, .token = "secret" };

static struct span span_of(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

static int ask(const struct authority *a, struct principal p)
{
	const char *why = NULL;
	int r = authorize(a, &p, &why);

	cr_assert_eq(r >= 400, why != NULL, "a refusal, and nothing else, has a sentence");
	return r;
}

static int host(const struct authority *a, const char *name)
{
	return ask(a, (struct principal){ .host = span_of(name) });
}

Test(authorize, loopback_names_are_ours)
{
	static const char *const ours[] = {
		"localhost", "localhost:8000", "LocalHost", "a.b.localhost:1", "127.0.0.1", "127.255.0.9:65535",
		"[::1]", "[::1]:8000", "localhost:",
	};

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		cr_assert_eq(host(&local, ours[i]), 0, "%s", ours[i]);
}

Test(authorize, names_that_can_be_rebound_are_not)
{
	static const char *const others[] = {
		"evil.example", "localhost.evil.example", "xlocalhost", ".localhost.x", "128.0.0.1", "126.0.0.1", "0.0.0.0",
		"127.1", "0x7f.1", "2130706433", "[::]", "[::ffff:1.2.3.4]", "127.0.0.1.evil.example", "192.168.1.2",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		cr_assert_eq(host(&local, others[i]), 421, "%s", others[i]);
}

Test(authorize, a_malformed_host_is_a_bad_request)
{
	static const char *const bad[] = {
		"", ":8000", "user@localhost", "localhost/x", "localhost,localhost", "localhost localhost",
		"localhost:x", "localhost:8000:1", "localhost:65536", "localhost:123456", "localhost:-1", "[::1", "[]", "::1", "[::1]x", "[localhost]",
		"[127.0.0.1]:80", "local\\host",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert_eq(host(&local, bad[i]), 400, "%s", bad[i]);
}

Test(authorize, the_bound_name_is_ours_and_any_address_where_all_are_bound)
{
	struct authority named = { .name = "gpu1", .token = "secret" };
	struct authority any = { .name = "0.0.0.0", .any_address = true };
	struct principal p = { .host = span_of("GPU1:80"), .health = true };

	cr_assert_eq(ask(&named, p), 0);
	p.host = span_of("10.0.0.1");
	cr_assert_eq(ask(&named, p), 421);
	cr_assert_eq(ask(&any, p), 0);
	p.host = span_of("[fe80::1]:80");
	cr_assert_eq(ask(&any, p), 0);
	p.host = span_of("evil.example");
	cr_assert_eq(ask(&any, p), 421);
}

Test(authorize, a_long_name_is_just_a_name)
{
	static char name[9000];

	memset(name, '1', sizeof(name) - 1);
	cr_assert_eq(host(&local, name), 421);
	memcpy(name + sizeof(name) - 11, ".localhost", 10);
	cr_assert_eq(host(&local, name), 0);
	memset(name, ':', sizeof(name) - 1);
	name[0] = '[';
	name[sizeof(name) - 2] = ']';
	cr_assert_eq(host(&local, name), 421);
}

static int origin(const char *host_name, const char *name)
{
	return ask(&local, (struct principal){ .host = span_of(host_name), .origin = span_of(name) });
}

Test(authorize, only_our_own_origin_may_ask)
{
	cr_assert_eq(origin("localhost:8000", NULL), 0);
	cr_assert_eq(origin("localhost:8000", "http://localhost:8000"), 0);
	cr_assert_eq(origin("127.0.0.1:8000", "http://127.0.0.1:8000"), 0);
	cr_assert_eq(origin("localhost:8000", "http://localhost:3000"), 403);
	cr_assert_eq(origin("localhost:8000", "https://localhost:8000"), 403);
	cr_assert_eq(origin("localhost:8000", "http://127.0.0.1:8000"), 403);
	cr_assert_eq(origin("localhost:8000", "null"), 403);
	cr_assert_eq(origin("localhost:8000", ""), 403);
	cr_assert_eq(origin("localhost:8000", "http://"), 403);
	cr_assert_eq(origin(NULL, "http://"), 403);
}

static struct principal from_site(const char *site)
{
	return (struct principal){ .host = span_of("localhost"), .site = span_of(site), .reads = true };
}

Test(authorize, a_foreign_page_may_only_link_to_pages)
{
	struct principal p = from_site("cross-site");

	cr_assert_eq(ask(&local, from_site("same-origin")), 0);
	cr_assert_eq(ask(&local, from_site("none")), 0);
	cr_assert_eq(ask(&local, from_site("same-site")), 403);
	cr_assert_eq(ask(&local, p), 403);
	p.mode = span_of("navigate");
	p.destination = span_of("document");
	cr_assert_eq(ask(&local, p), 403);
	p.page = true;
	cr_assert_eq(ask(&local, p), 0);
	p.destination = span_of("iframe");
	cr_assert_eq(ask(&local, p), 403);
	p.destination = span_of("document");
	p.mode = span_of("no-cors");
	cr_assert_eq(ask(&local, p), 403);
	p.mode = span_of("navigate");
	p.reads = false;
	cr_assert_eq(ask(&local, p), 403);
}

Test(authorize, names_that_were_allowed_are_ours_too)
{
	struct authority a = { .loopback = true, .hosts = "gpu1, gpu1.example.org", .origins = "http://a:1,https://b" };
	struct principal p = { .host = span_of("gpu1.example.org:8000"), .origin = span_of("https://b") };

	cr_assert_eq(host(&a, "gpu1"), 0);
	cr_assert_eq(host(&a, "GPU1:80"), 0);
	cr_assert_eq(host(&a, "gpu"), 421);
	cr_assert_eq(host(&a, "gpu1."), 421);
	cr_assert_eq(host(&a, "example.org"), 421);
	cr_assert_eq(ask(&a, p), 0);
	p.site = span_of("cross-site");
	cr_assert_eq(ask(&a, p), 0, "its browser says that it comes from elsewhere; that is known");
	p.origin = span_of("https://b:443");
	cr_assert_eq(ask(&a, p), 403);
	p.origin = span_of("http://b");
	cr_assert_eq(ask(&a, p), 403);
	p.origin = span_of("http://gpu1.example.org:8000");
	p.site = span_of("same-origin");
	cr_assert_eq(ask(&a, p), 0);
}

Test(authorize, a_preflight_without_a_token_is_told_nothing)
{
	struct authority a = { .token = "secret", .name = "gpu1", .origins = "http://a" };
	struct principal p = { .host = span_of("gpu1"), .origin = span_of("http://a"), .preflight = true };

	cr_assert_eq(ask(&a, p), 204);
	p.health = true;
	cr_assert_eq(ask(&a, p), 0);
	p.health = false;
	p.preflight = false;
	cr_assert_eq(ask(&a, p), 401);
	p.preflight = true;
	p.origin = span_of("http://b");
	cr_assert_eq(ask(&a, p), 403);
	p.origin = span_of(NULL);
	cr_assert_eq(ask(&a, p), 401);
}

static int token(const struct authority *a, bool wanted, const char *given)
{
	return ask(a, (struct principal){ .host = span_of("localhost"), .token = wanted,
					  .authorization = span_of(given) });
}

Test(authorize, the_token_is_wanted_for_control_and_beyond_loopback)
{
	struct authority open = { .token = "secret" }, none = { .loopback = true };
	struct principal health = { .host = span_of("localhost"), .health = true };

	cr_assert_eq(token(&local, false, NULL), 0);
	cr_assert_eq(token(&local, true, NULL), 401);
	cr_assert_eq(token(&local, true, "Bearer secret"), 0);
	cr_assert_eq(token(&local, true, "bearer secret"), 0);
	cr_assert_eq(token(&open, false, NULL), 401);
	cr_assert_eq(token(&open, false, "Bearer secret"), 0);
	cr_assert_eq(ask(&open, health), 0);
	cr_assert_eq(token(&none, true, "Bearer secret"), 401);
	cr_assert_eq(token(&none, true, "Bearer "), 401);
}

Test(authorize, no_other_token_will_do)
{
	static const char *const wrong[] = {
		"", "secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer  secret",
		"Bearer SECRET", "Bearer secretsecret", "Basic secret",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_assert_eq(token(&local, true, wrong[i]), 401, "%s", wrong[i]);
}
