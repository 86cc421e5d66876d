/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "http/url.h"

Test(url, is_taken_apart)
{
	static const struct {
		const char *text, *host;
		unsigned port;
	} rows[] = {
		{ "http://localhost", "localhost", 80 },
		{ "HTTP://127.0.0.1:8000", "127.0.0.1", 8000 },
		{ "http://[::1]:1/", "::1", 1 },
		{ "http://[::1]", "::1", 80 },
		{ "http://a-b.example:65535/v2/?x#y", "a-b.example", 65535 },
		{ "http://host?x", "host", 80 },
	};
	struct url u;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(url_read(rows[i].text, &u), 0, "%s", rows[i].text);
		cr_assert_eq(u.host_size, strlen(rows[i].host));
		cr_assert_arr_eq(u.host, rows[i].host, u.host_size, "%s", rows[i].text);
		cr_assert_eq(u.port, rows[i].port);
	}
}

Test(url, refuses_what_names_no_server)
{
	static const char *const wrong[] = {
		"", "localhost", "localhost:8000", "https://localhost", "http:/localhost", "http://", "http://:80",
		"http://host:", "http://host:0", "http://host:65536", "http://host:99999999999", "http://host:8o",
		"http://user@host", "http://ho st", "http://[::1", "http://[]", "http://[host]", "http://::1",
		"http://host\r\n", "http://host:80x",
	};
	struct url u;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_assert_lt(url_read(wrong[i], &u), 0, "%s", wrong[i]);
}
