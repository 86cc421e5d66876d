/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/key.h"

static struct config c;
static struct buffer why = BUFFER_NULL;
static unsigned line;

static void fini(void)
{
	config_fini(&c);
	buffer_fini(&why);
}

TestSuite(config, .fini = fini);

static int parse_n(const char *text, size_t size)
{
	config_fini(&c);
	buffer_reset(&why);
	return config_parse(text, size, &c, &line, &why);
}

static int parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void refused(const char *text, unsigned at, const char *word)
{
	cr_assert_eq(parse(text), 1, "%s", text);
	cr_assert_eq(line, at, "%s: line %u", text, line);
	cr_assert_not_null(strstr(buffer_text(&why), word), "%s: %s", text, buffer_text(&why));
}

Test(config, has_defaults_where_nothing_is_said)
{
	static const char *const empty[] = { "", "\n", "# nothing\n", "---\n", "{}\n" };

	for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
		cr_assert_eq(parse(empty[i]), 0, "'%s': %s", empty[i], buffer_text(&why));
		cr_assert_null(c.name);
		cr_assert_null(c.cflags);
		cr_assert_null(c.sources);
		cr_assert_eq(c.num_replicas, 1);
		cr_assert_eq(c.request_timeout_ms, 30000);
		cr_assert_not(c.idempotent);
	}
}

Test(config, says_what_is_written)
{
	cr_assert_eq(parse("name: a-b.c\n"
			   "cflags: [-O1, \"-DX=1\"]\n"
			   "ldlibs:\n  - -lz\n"
			   "sources: ['*.c']\n"
			   "num_replicas: 16\n"
			   "max_ongoing_requests: 8\n"
			   "request_timeout_s: 0.25\n"
			   "idempotent: true\n"
			   "state: {checkpoint_ms: 50}\n"
			   "weights: []\n"
			   "replay: on\n"
			   "user_config: {a: [1, -0.5e3, 07, '1', yes, ~, true], \"b\": {\"q\\\"\\n\": .5}}\n"), 0, "%s", buffer_text(&why));
	cr_assert_str_eq(c.name, "a-b.c");
	cr_assert_str_eq(c.cflags[1], "-DX=1");
	cr_assert_null(c.cflags[2]);
	cr_assert_str_eq(c.ldlibs[0], "-lz");
	cr_assert_str_eq(c.sources[0], "*.c");
	cr_assert_eq(c.name_line, 1);
	cr_assert_eq(c.sources_line, 5);
	cr_assert_eq(c.num_replicas, 16);
	cr_assert_eq(c.max_ongoing_requests, 8);
	cr_assert_eq(c.request_timeout_ms, 250);
	cr_assert(c.idempotent);
	cr_assert_eq(c.checkpoint_ms, 50);
	cr_assert_not_null(c.weights);
	cr_assert_null(c.weights[0]);
	cr_assert_str_eq(c.replay, "\"on\"");
	cr_assert_str_eq(c.user_config, "{\"a\":[1,-0.5e3,7,\"1\",\"yes\",null,true],\"b\":{\"q\\\"\\n\":0.5}}");
}

Test(config, knows_where_each_kernel_stands)
{
	cr_assert_eq(parse("kernels:\n  - 'scale<float, 4>'\n\n  - layers::softmax # plain\n"), 0);
	cr_assert_str_eq(c.kernels[0], "scale<float, 4>");
	cr_assert_str_eq(c.kernels[1], "layers::softmax");
	cr_assert_null(c.kernels[2]);
	cr_assert_eq(c.kernel_lines[0], 2);
	cr_assert_eq(c.kernel_lines[1], 4);
	cr_assert_eq(parse("kernels: []\n"), 0);
	refused("name: a\nkernels: [\"a\\tb\"]\n", 2, "one line without tabs");
}

Test(config, refuses_a_key_that_it_does_not_know)
{
	refused("name: a\nnum_replica: 2\n", 2, "did you mean 'num_replicas'?");
	refused("cflag: [-O]\n", 1, "did you mean 'cflags'?");
	refused("zzzzzz: 1\n", 1, "there are: name cflags");
	refused("state:\n  checkpoints_ms: 1\n", 2, "did you mean 'checkpoint_ms'?");
	refused("[a]: 1\n", 1, "a key must be a text");
	refused("? {a: b}\n: 1\n", 1, "a key must be a text");
	refused("name: a\nname: b\n", 2, "twice");
}

/* So that what it says of a default is so. */
Test(config, has_the_defaults_that_its_table_tells)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	for (size_t i = 0; i < config_keys.n; i++)
		if (config_keys.rows[i].fallback)
			buffer_printf(&text, "%s: %s\n", config_keys.rows[i].name, config_keys.rows[i].fallback);
	cr_assert_eq(parse(text.data), 0, "%s", buffer_text(&why));
	c.hash = (struct hash){ 0 };
	struct config none;
	config_init(&none);
	cr_assert_arr_eq(&c, &none, sizeof(c));
}

Test(config, takes_the_examples_that_its_table_gives)
{
	for (size_t i = 0; i < config_keys.n; i++) {
		const struct key *k = &config_keys.rows[i];
		_cleanup_free_ char *text = xasprintf("%s: %s\n", k->name, k->example ? k->example : "1");

		cr_assert_eq(parse(text), 0, "%s%s", text, buffer_text(&why));
	}
}

Test(config, refuses_values_that_do_not_fit)
{
	static const char *const wrong[] = {
		"num_replicas: 0", "num_replicas: 17", "num_replicas: -1", "num_replicas: 1.5", "num_replicas: '2'",
		"num_replicas: two", "num_replicas: [2]", "num_replicas:", "num_replicas: 99999999999999999999",
		"max_ongoing_requests: 0", "request_timeout_s: 0", "request_timeout_s: -1", "request_timeout_s: .inf",
		"request_timeout_s: nan", "tolerance: 1e-3", "tolerance: {rtol: -1}", "gate: 1", "gate: [load]", "request_timeout_s: 1e9", "request_timeout_s: 0x1g", "request_timeout_s: 5s",
		"idempotent: yes", "idempotent: 1", "idempotent: 'true'", "cflags: -O2", "cflags: {a: b}",
		"cflags: [[a]]", "cflags: [\"a\\0b\"]", "cflags: ['']", "name: ../x", "name: ''", "name: a/b",
		"name: [a]", "name: 5", "name: true", "cflags: [5]", "cflags: [~]", "user_config: .inf",
		"user_config: !!set {a}", "name: !mine a", "state: 5", "state: {checkpoint_ms: x}", "weights: w.safetensors",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_free_ char *text = xasprintf("# one\n%s\n", wrong[i]);

		refused(text, 2, "");
		cr_assert_gt(why.size, 0);
		cr_assert_null(c.cflags, "nothing of it is left");
	}
}

Test(config, refuses_what_is_not_yaml)
{
	refused("name: [a\n", 2, "");
	refused("\tname: a\n", 1, "");
	refused("name: a\n b: c\n", 2, "");
	refused("- a\n- b\n", 1, "a mapping");
	refused("just text\n", 1, "a mapping");
	refused("name: a\n---\nname: b\n", 2, "second document");
	refused("\nname: \xff\xfe\n", 2, "UTF-8");
	cr_assert_eq(parse_n("na\0me: a\n", 9), 1);
}

Test(config, unfolds_no_aliases)
{
	cr_assert_eq(parse("user_config:\n  a: &a [x, x]\n  b: &b [*a, *a]\n  c: [*b, *b]\n"), 1);
	cr_assert_not_null(strstr(why.data, "aliases"));
	refused("# &a *a\nuser_config: &a\n  - *a\n", 3, "aliases");
	cr_assert_eq(parse("user_config: '*a'\n"), 0, "a text is none");
	cr_assert_eq(parse("user_config: &a [b]\n"), 0, "an anchor alone does no harm");
}

Test(config, is_bounded)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	buffer_puts(&text, "user_config: ");
	for (int i = 0; i < 20000; i++)
		buffer_putc(&text, '[');
	cr_assert_eq(parse(text.data), 1, "nested");
	buffer_reset(&text);
	buffer_puts(&text, "# ");
	while (text.size <= 64 * 1024)
		buffer_puts(&text, "much too much ");
	cr_assert_eq(parse(text.data), 1);
	cr_assert_not_null(strstr(why.data, "64 KiB"));
}

Test(config, tells_texts_apart_also_when_they_are_wrong)
{
	struct hash a, b;

	parse("nam: a\n");
	a = c.hash;
	parse("nam: b\n");
	b = c.hash;
	cr_assert_not(hash_equal(a, b));
	parse("nam: a\n");
	cr_assert(hash_equal(a, c.hash));
}

Test(config, is_all_defaults_where_there_is_no_file)
{
	const struct hash none = { 0 };

	cr_assert_eq(config_read("/nonexistent/deployment.yaml", &c, &line, &why), 0);
	cr_assert(hash_equal(c.hash, none));
	cr_assert_eq(config_read("/dev", &c, &line, &why), 1, "no file at all");
}
