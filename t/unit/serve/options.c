/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "command/help.h"
#include "serve/options.h"

static const struct operand operands[] = {
	{ .name = "ROOT", .kind = OPTION_DIRECTORY, .offset = offsetof(struct options, root) },
};
static const struct command server = {
	.about = "Serve.",
	COMMAND_ROWS(options_rows),
	COMMAND_OPERANDS(operands),
};
static const struct command *const commands[] = { &server };
static const struct program program = { .name = "devserve", .commands = commands, .n_commands = 1 };

static struct options o;
static const struct option_row *action;
static struct buffer why = BUFFER_NULL;

/* Words in one string; they stay, for the options point into them. */
static int parse(const char *line)
{
	static char words[256];
	char *argv[32] = { NULL }, *rest = words;
	int argc = 0, r;

	cr_assert_lt(strlen(line), sizeof(words));
	memcpy(words, line, strlen(line) + 1);
	while ((argv[argc] = strsep(&rest, " ")))
		argc++;
	o = (struct options){ .root = NULL };
	buffer_reset(&why);
	r = command_parse(&server, argc, argv, &o, &action, &why);
	return r == 0 && !action ? options_settle(&o, &why) : r;
}

static void expect_refusal(const char *line, const char *sentence)
{
	cr_expect_eq(parse(line), EXIT_USAGE, "%s was taken", line);
	cr_expect_str_eq(buffer_text(&why), sentence);
}

static void setup(void)
{
	extern char **environ;
	static char *none[] = { NULL };

	environ = none;
}

TestSuite(options, .init = setup);

Test(options, without_any_the_defaults_hold)
{
	cr_assert_eq(parse("devserve"), 0);
	cr_expect_str_eq(o.root, "./plugins");
	cr_expect_null(o.host);
	cr_expect_eq(o.port, 8000);
	cr_expect_eq(o.max_body, UINT64_C(256) << 20);
	cr_expect_eq(o.max_memory, UINT64_C(1) << 30);
	cr_expect_eq(o.jobs, 0);
	cr_expect_null(o.state_dir);
	cr_expect_eq(o.settle_ms, 10);
	cr_expect_eq(o.queue, 256);
	cr_expect_eq(o.max_connections, 1024);
	cr_expect(o.head_timeout_s == 10 && o.body_timeout_s == 5 && o.send_timeout_s == 30);
	cr_expect(o.idle_timeout_s == 75 && o.min_rate == 1024);
	cr_expect(!o.json && !o.no_color && !o.poll && !action);
}

Test(options, every_option_has_a_field_of_its_own)
{
	cr_assert_eq(parse("devserve --host h --port 1 --max-body 1K --max-memory 16M --jobs 2 --state-dir d "
			   "--json --no-color --settle-ms 3 --poll --queue 4"), 0, "%s", buffer_text(&why));
	cr_expect_str_eq(o.host, "h");
	cr_expect_eq(o.port, 1);
	cr_expect_eq(o.max_body, 1024);
	cr_expect_eq(o.max_memory, 16 << 20);
	cr_expect_eq(o.jobs, 2);
	cr_expect_str_eq(o.state_dir, "d");
	cr_expect_eq(o.settle_ms, 3);
	cr_expect_eq(o.queue, 4);
	cr_expect(o.json && o.no_color && o.poll);
}

Test(options, a_value_may_be_joined)
{
	cr_assert_eq(parse("devserve --port=0 -j4 --state-dir=a=b"), 0);
	cr_expect_eq(o.port, 0);
	cr_expect_eq(o.jobs, 4);
	cr_expect_str_eq(o.state_dir, "a=b");
	cr_assert_eq(parse("devserve -j 5"), 0);
	cr_expect_eq(o.jobs, 5);
}

Test(options, the_last_of_two_counts)
{
	cr_assert_eq(parse("devserve --port 1 --port 2"), 0);
	cr_expect_eq(o.port, 2);
}

Test(options, the_root_may_come_anywhere)
{
	cr_assert_eq(parse("devserve a --port 1"), 0);
	cr_expect_str_eq(o.root, "a");
	cr_assert_eq(parse("devserve --json a"), 0);
	cr_expect_str_eq(o.root, "a");
	cr_assert_eq(parse("devserve -- --json"), 0);
	cr_expect_str_eq(o.root, "--json");
	cr_expect_not(o.json);
}

Test(options, flags_win_over_the_environment_and_that_over_the_default)
{
	setenv("DEVSERVE_PORT", "7", 1);
	setenv("DEVSERVE_MAX_BODY", "2m", 1);
	setenv("DEVSERVE_JSON", "yes", 1);
	setenv("DEVSERVE_QUEUE", "", 1);
	cr_assert_eq(parse("devserve --port 9 --json=no"), 0);
	cr_expect_eq(o.port, 9);
	cr_expect_eq(o.max_body, 2 << 20);
	cr_expect_not(o.json);
	cr_expect_eq(o.queue, 256, "an empty variable is as good as none");
}

Test(options, a_bad_variable_is_named_unless_a_flag_overrides_it)
{
	setenv("DEVSERVE_SETTLE_MS", "soon", 1);
	expect_refusal("devserve", "DEVSERVE_SETTLE_MS takes a number from 0 to 10000, not 'soon'");
	cr_expect_eq(parse("devserve --settle-ms 1"), 0);
	cr_expect_eq(parse("devserve --help"), 0, "help must always be had");
	cr_expect_str_eq(action->name, "help");
}

Test(options, actions_are_not_read_from_the_environment)
{
	setenv("DEVSERVE_VERSION", "0.1.0", 1);
	setenv("DEVSERVE_HELP", "1", 1);
	cr_assert_eq(parse("devserve"), 0);
	cr_expect_null(action);
}

Test(options, numbers_are_read_to_their_end)
{
	static const char *const bad[] = { "x", "-1", "+1", "1x", "1.5", "0x10", "65536", "1K",
					   "99999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char line[64], sentence[96];

		snprintf(line, sizeof(line), "devserve --port %s", bad[i]);
		snprintf(sentence, sizeof(sentence), "--port takes a number from 0 to 65535, not '%s'", bad[i]);
		expect_refusal(line, sentence);
	}
}

Test(options, sizes_have_suffixes)
{
	cr_assert_eq(parse("devserve --max-body 3k --max-memory 2T"), 0);
	cr_expect_eq(o.max_body, 3 << 10);
	cr_expect_eq(o.max_memory, UINT64_C(2) << 40);
	expect_refusal("devserve --max-body 3KB", "--max-body takes a size from 1K to 1T, not '3KB'");
	expect_refusal("devserve --max-body 18446744073709551615K",
		       "--max-body takes a size from 1K to 1T, not '18446744073709551615K'");
	expect_refusal("devserve --max-memory 1M", "--max-memory takes a size from 16M to 16T, not '1M'");
}

Test(options, a_body_is_never_larger_than_the_memory)
{
	cr_assert_eq(parse("devserve --max-body 2G --max-memory 17M"), 0);
	cr_expect_eq(o.max_body, UINT64_C(17) << 20);
}

Test(options, a_misspelt_one_gets_a_suggestion)
{
	expect_refusal("devserve --prot 1", "there is no option --prot; did you mean --port?");
	expect_refusal("devserve --max_body=1M", "there is no option --max_body; did you mean --max-body?");
	expect_refusal("devserve --settle 1", "there is no option --settle; did you mean --settle-ms?");
	expect_refusal("devserve --frobnicate", "there is no option --frobnicate");
	expect_refusal("devserve -x", "there is no option -x");
	expect_refusal("devserve -hj", "there is no option -hj");
}

Test(options, what_is_missing_or_too_much_is_said)
{
	expect_refusal("devserve --port", "--port needs a value: --port PORT");
	expect_refusal("devserve --host=", "--host needs a value: --host ADDRESS");
	expect_refusal("devserve --help=now", "--help takes no value");
	expect_refusal("devserve --json=maybe", "--json takes yes or no, not 'maybe'");
	expect_refusal("devserve a b", "one ROOT is taken, not both 'a' and 'b'");
}

Test(options, help_shows_every_option_on_a_line_that_fits)
{
	struct buffer text = BUFFER_NULL;
	char *line, *rest;

	cr_assert_leq(server.n_rows, 64, "as many as the parser can mark");
	command_help(&program, &server, (struct help_style){ .width = 80 }, &text);
	for (size_t i = 0; i < server.n_rows; i++) {
		const struct option_row *row = &server.rows[i];
		char *name = xasprintf("--%s", row->name);

		cr_expect(strstr(text.data, name), "%s is not there", name);
		cr_expect_lt(strlen(option_help(row)), 60, "--%s: a clause", row->name);
		cr_expect(row->fallback == NULL || strstr(text.data, row->fallback));
		free(name);
	}
	rest = text.data;
	while ((line = strsep(&rest, "\n")))
		cr_expect_leq(strlen(line), 80, "too long: %s", line);
	buffer_fini(&text);
}

Test(options, help_ends_the_parsing)
{
	cr_assert_eq(parse("devserve --help --frobnicate"), 0);
	cr_expect_str_eq(action->name, "help");
	cr_assert_eq(parse("devserve --version"), 0);
	cr_expect_str_eq(action->name, "version");
}

Test(options, a_root_must_be_a_directory)
{
	o.root = "/nowhere/plugins";
	cr_expect_lt(options_check_root(&o, &why), 0);
	cr_expect(strstr(buffer_text(&why), "there is no directory /nowhere/plugins"));
	buffer_reset(&why);
	o.root = "/proc/self/status";
	cr_expect_lt(options_check_root(&o, &why), 0);
	cr_expect(strstr(buffer_text(&why), "is not a directory"));
	o.root = "/tmp";
	cr_expect_eq(options_check_root(&o, &why), 0);
}

Test(options, state_lies_in_the_root_unless_another_place_is_named)
{
	char root[] = "/tmp/devserve-options.XXXXXX", *directory, *expected;

	cr_assert_not_null(mkdtemp(root));
	directory = state_directory(root, NULL);
	expected = path_join(root, ".devserve");
	cr_expect_str_eq(directory, expected);
	free(directory);
	free(expected);
	directory = state_directory(root, "elsewhere");
	cr_expect_str_eq(directory, "elsewhere");
	free(directory);
	rmdir(root);
}

/* /proc can't be written, whoever asks. */
Test(options, state_of_a_read_only_root_lies_in_the_cache)
{
	char *directory;

	setenv("XDG_CACHE_HOME", "/cache", 1);
	directory = state_directory("/proc/sys", NULL);
	cr_expect_eq(strncmp(directory, "/cache/devserve/sys-", 20), 0, "%s", directory);
	free(directory);
	setenv("XDG_CACHE_HOME", "relative", 1);
	setenv("HOME", "/home/me", 1);
	directory = state_directory("/proc/sys", NULL);
	cr_expect_eq(strncmp(directory, "/home/me/.cache/devserve/sys-", 29), 0, "%s", directory);
	free(directory);
}

Test(suggestion, is_the_nearest_word_if_it_is_near)
{
	static const char *const words[] = { "status", "wait", "clean", "new" };
	static const char *const tries[][2] = { { "statsu", "status" }, { "clena", "clean" },
						{ "stat", "status" }, { "nwe", "new" },
						{ "matmul", NULL }, { "x", NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		struct suggestion s = { .word = tries[i][0] };

		for (size_t j = 0; j < ARRAY_SIZE(words); j++)
			suggestion_consider(&s, words[j]);
		cr_expect(tries[i][1] ? s.best && !strcmp(s.best, tries[i][1]) : !s.best, "%s: %s",
			  tries[i][0], s.best ? s.best : "nothing");
	}
}

Test(suggestion, a_very_long_word_is_like_nothing)
{
	char word[4096];
	struct suggestion s = { .word = word };

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	suggestion_consider(&s, "status");
	cr_expect_null(s.best);
}
