/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "ingress/allowed.h"

static void is(const char *list, const char *wanted, const char *found)
{
	struct span s = allowed_find(list, (struct span){ wanted, strlen(wanted) });

	cr_assert_eq(s.at != NULL, found != NULL, "%s in %s", wanted, list);
	if (found)
		cr_assert(s.size == strlen(found) && memcmp(s.at, found, s.size) == 0);
}

Test(allowed, is_found_whole_and_whatever_its_case)
{
	is("a.b,cd, ef", "a.b", "a.b");
	is("a.b,cd, ef", "CD", "cd");
	is("a.b,cd, ef", "ef", "ef");
	is("a.b,cd, ef", "a", NULL);
	is("a.b,cd, ef", "cd,", NULL);
	is("a.b,cd, ef", "a.b,cd", NULL);
	is(",, a ,,", "a", "a");
	is(",", "", NULL);
	is(NULL, "a", NULL);
}

static void refuses(int (*check)(const char *list, struct buffer *why), const char *list)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	cr_assert_eq(check(list, &why), -EINVAL, "%s", list);
	cr_assert(strstr(buffer_text(&why), "--allow-"), "%s", buffer_text(&why));
}

static void accepts(int (*check)(const char *list, struct buffer *why), const char *list)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	cr_assert_eq(check(list, &why), 0, "%s", list);
	cr_assert_eq(why.size, 0);
}

Test(allowed, hosts_are_names_without_a_port)
{
	accepts(allowed_check_hosts, NULL);
	accepts(allowed_check_hosts, "");
	accepts(allowed_check_hosts, "gpu1, gpu-1.example.org,10.0.0.1,[fe80::1],my_host");
	refuses(allowed_check_hosts, "gpu1:8000");
	refuses(allowed_check_hosts, "*");
	refuses(allowed_check_hosts, "*.example.org");
	refuses(allowed_check_hosts, "gpu1,http://gpu1");
	refuses(allowed_check_hosts, "user@gpu1");
}

Test(allowed, origins_are_a_scheme_a_host_and_perhaps_a_port)
{
	char longer[ALLOWED_MAX_ORIGIN + 2] = "http://";

	accepts(allowed_check_origins, NULL);
	accepts(allowed_check_origins, "http://localhost:3000, https://a.example,vscode-webview://x-1,http://[::1]:80");
	refuses(allowed_check_origins, "*");
	refuses(allowed_check_origins, "null");
	refuses(allowed_check_origins, "localhost:3000");
	refuses(allowed_check_origins, "http://");
	refuses(allowed_check_origins, "http://a/");
	refuses(allowed_check_origins, "http://a,http://*.b");
	refuses(allowed_check_origins, "http://a@b");
	memset(longer + 7, 'a', ALLOWED_MAX_ORIGIN - 6);
	refuses(allowed_check_origins, longer);
}
