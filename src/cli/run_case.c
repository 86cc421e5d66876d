/* SPDX-License-Identifier: MIT */
#include "cli/run_case.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "array/array.h"
#include "array/case.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/capture.h"
#include "cli/interruption.h"
#include "cli/json_reader.h"
#include "infer/dtype.h"
#include "replica/memcheck.h"
#include "replica/sanitizer.h"
#include "ring/link.h"

#define MAX_WORDS 8
#define PATIENCE_MS 60000

const char *case_outcome_name(enum case_outcome outcome)
{
	static const char *const names[] = { "same", "close", "differs", "failed", "crashed" };

	return names[outcome];
}

void case_run_fini(struct case_run *r)
{
	free(r->sentence);
	for (size_t i = 0; i < r->n_outputs; i++) {
		free(r->outputs[i].name);
		free(r->outputs[i].type);
		free(r->outputs[i].sentence);
	}
}

/* Starting the worker */

/* A file that lies in the case, or elsewhere. */
static char *word_of(const char *directory, const char *key, const char *path)
{
	return path[0] == '/' ? xasprintf("%s=%s", key, path) : xasprintf("%s=%s/%s", key, directory, path);
}

size_t case_words(const char *directory, const struct json_reader *facts, char **ret, size_t most)
{
	static const char *const keys[] = { "image", "weights", "device", "state" };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && n < most; i++) {
		const char *path = json_reader_string(facts, "/%s", keys[i]);

		if (path)
			ret[n++] = word_of(directory, keys[i], path);
	}
	if (n < most && json_reader_bool(facts, "/cuda"))
		ret[n++] = xstrdup("cuda=1");
	return n;
}

/* Where a crash is written down; descriptor LINK_FD of the worker. NULL: it goes without. */
static struct link_shared *share_link(void)
{
	void *map;
	int fd;

	if (link_memory("replay", sizeof(struct link_shared), &fd, &map) < 0)
		return NULL;
	if (fd == LINK_FD) {
		fcntl(fd, F_SETFD, 0);
	} else {
		dup2(fd, LINK_FD);
		close(fd);
	}
	return map;
}

static int start(const char *directory, const struct json_reader *facts, const char *got, bool zeroed, bool link,
		 struct buffer *said)
{
	_cleanup_free_ char *worker = path_of_helper("devserve-worker");
	const char *runtime = json_reader_string(facts, "/runtime");
	char **environment = runtime ? sanitizer_environment(runtime) : NULL;
	char *words[MAX_WORDS], *where = xasprintf("got=%s", got);
	const char *argv[MEMCHECK_MAX_WORDS + MAX_WORDS + 8];
	size_t n_words = case_words(directory, facts, words, MAX_WORDS);
	size_t n = memcheck_is(runtime) ? memcheck_command(runtime, argv) : 0;
	int r;

	argv[n++] = worker;
	argv[n++] = "replay";
	argv[n++] = directory;
	if (link)
		argv[n++] = "link=yes";
	argv[n++] = where;
	for (size_t i = 0; i < n_words; i++)
		if (!zeroed || strncmp(words[i], "state=", 6) != 0)
			argv[n++] = words[i];
	argv[n] = NULL;
	r = capture_with(argv, environment, "", PATIENCE_MS, said);
	for (size_t i = 0; environment && environment[i]; i++)
		free(environment[i]);
	free(environment);
	free(where);
	for (size_t i = 0; i < n_words; i++)
		free(words[i]);
	return r;
}

/* Comparing */

/* What a case says of tolerances, and the golden case that it is a copy of; NULL: nothing, or it isn't one. */
struct tolerances {
	struct json_reader *deployment, *golden;
};

static struct json_reader *read_json(const char *directory, const char *name)
{
	_cleanup_free_ char *path = path_join(directory, name);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct json_reader *r = NULL;

	if (file_read(path, &text) == 0)
		json_reader_new(buffer_text(&text), text.size, &r);
	return r;
}

/* As the trial takes it: the deployment's is for floats. */
static struct tolerance tolerance_for(const struct tolerances *all, const char *name, uint32_t dtype)
{
	struct tolerance t = tolerance_of(dtype);

	if (all->deployment && t.rtol != 0) {
		json_reader_number(all->deployment, &t.rtol, "/tolerance/rtol");
		json_reader_number(all->deployment, &t.atol, "/tolerance/atol");
	}
	if (all->golden) {
		json_reader_number(all->golden, &t.rtol, "/tolerance/%s/rtol", name);
		json_reader_number(all->golden, &t.atol, "/tolerance/%s/atol", name);
	}
	return t;
}

static void say_difference(const struct array *expected, const struct array *got, const struct comparison *c,
			   struct buffer *b)
{
	buffer_printf(b, "%" PRIu64 " of %" PRIu64 " element%s %s off; the %s at ", c->n_beyond, c->n,
		      c->n == 1 ? "" : "s", c->n_beyond == 1 ? "is" : "are", expected->dtype == DEVSERVE_BYTES ? "first" : "worst");
	compare_put_place(b, c->worst, expected->shape, expected->rank);
	if (expected->dtype == DEVSERVE_BYTES)
		return;
	buffer_puts(b, ": expected ");
	compare_put_element(b, expected->dtype, expected->data, expected->size, c->worst);
	buffer_puts(b, ", got ");
	compare_put_element(b, got->dtype, got->data, got->size, c->worst);
}

static void judge(const struct array *expected, const struct array *got, struct tolerance t, struct case_output *ret)
{
	struct buffer b = BUFFER_NULL;
	struct comparison *c = &ret->comparison;

	if (expected->dtype == DEVSERVE_BYTES)
		compare_bytes(expected->data, expected->size, got->data, got->size, array_elements(expected), c);
	else
		compare(expected->dtype, expected->data, got->data, array_elements(expected), t, c);
	ret->outcome = c->n_beyond ? CASE_DIFFERS : c->n_other ? CASE_CLOSE : CASE_SAME;
	if (ret->outcome == CASE_SAME)
		buffer_puts(&b, "the same");
	else if (ret->outcome == CASE_CLOSE)
		buffer_printf(&b, "within the tolerance; the largest difference is %g", c->max_abs);
	else
		say_difference(expected, got, c, &b);
	ret->sentence = buffer_steal(&b);
}

static bool same_shape(const struct array *a, const struct array *b)
{
	return a->dtype == b->dtype && a->rank == b->rank && array_is_whole(a) && array_is_whole(b) &&
	       memcmp(a->shape, b->shape, a->rank * sizeof(*a->shape)) == 0;
}

static void compare_output(const char *directory, const char *got_in, const struct tolerances *tolerances, uint32_t dtype,
			   struct case_output *o)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL, type = BUFFER_NULL;
	struct array expected = { .name = xstrdup(o->name) }, got = { .name = xstrdup(o->name) };
	int r = case_read(got_in, CASE_OUT, dtype, &got, &why);

	if (r == 0) {
		array_put_type(&type, got.dtype, got.shape, got.rank);
		r = case_read(directory, CASE_OUT, dtype, &expected, &why);
	}
	o->outcome = r == -ENOENT ? CASE_SAME : CASE_DIFFERS;
	if (r == -ENOENT) {
		buffer_reset(&why);
		buffer_puts(&why, "not compared: no answer was kept");
	} else if (r == 0 && same_shape(&expected, &got)) {
		judge(&expected, &got, tolerance_for(tolerances, o->name, dtype), o);
	} else if (r == 0) {
		buffer_puts(&why, "expected was ");
		array_put_type(&why, expected.dtype, expected.shape, expected.rank);
	}
	o->type = xstrdup(buffer_text(&type));
	if (!o->sentence)
		o->sentence = xstrdup(buffer_text(&why));
	array_fini(&expected);
	array_fini(&got);
}

static void compare_all(const char *directory, const char *got, const struct json_reader *result, struct case_run *ret)
{
	const struct tolerances tolerances = { read_json(directory, "case.json"), read_json(directory, "golden.json") };
	size_t n = json_reader_count(result, "/outputs");

	for (size_t i = 0; i < n && i < DEVSERVE_MAX_TENSORS; i++) {
		const char *name = json_reader_string(result, "/outputs/%zu/name", i);
		const char *type = json_reader_string(result, "/outputs/%zu/datatype", i);
		struct case_output *o = &ret->outputs[i];

		if (!name || !type)
			break;
		ret->n_outputs++;
		o->name = xstrdup(name);
		compare_output(directory, got, &tolerances, dtype_from_name(type, strlen(type)), o);
		if (o->outcome > ret->outcome)
			ret->outcome = o->outcome;
	}
	json_reader_free(tolerances.deployment);
	json_reader_free(tolerances.golden);
}

/* What came of it */

static int read_result(const char *directory, const char *got, struct case_run *ret)
{
	_cleanup_free_ char *path = path_join(got, "result.json");
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct json_reader *result = NULL;
	const char *error;
	double number;

	if (file_read(path, &text) < 0 || json_reader_new(buffer_text(&text), text.size, &result) < 0)
		return -EBADMSG;
	error = json_reader_string(result, "/error");
	if (json_reader_number(result, &number, "/compute_ns"))
		ret->compute_ns = (uint64_t)number;
	if (!json_reader_number(result, &number, "/status") || number != 0) {
		ret->outcome = CASE_FAILED;
		ret->sentence = error && error[0] ?
			xstrdup(error) : xasprintf("infer() returned %.0f (%s)", number, strerror(-(int)number));
	} else {
		compare_all(directory, got, result, ret);
	}
	json_reader_free(result);
	return 0;
}

/* " in infer (twice.c:12: y[i] = x[i];)": the innermost frame that has a line of the plugin's. */
static void put_frame(char *text, struct buffer *b)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *field[5] = { line };

		for (size_t i = 1; i < ARRAY_SIZE(field) && field[i - 1]; i++)
			if ((field[i] = strchr(field[i - 1], '\t')))
				*field[i]++ = '\0';
		if (!field[4] || !field[1][0] || strncmp(field[1], "/usr/", 5) == 0)
			continue;
		buffer_printf(b, " in %s (%s:%s%s%s)", field[0], path_name(field[1]), field[2],
			      field[4][0] ? ": " : "", field[4] + strspn(field[4], " \t"));
		return;
	}
}

/* Where it died, as devserve-debug reads it. */
static void put_place(const struct crash *c, struct buffer *b)
{
	_cleanup_free_ char *program = path_of_helper("devserve-debug");
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *argv[3 + CRASH_MODULES + CRASH_FRAMES] = { program, "backtrace" };
	size_t n = 2;

	for (uint32_t i = 0; i < c->n_modules; i++)
		argv[n++] = xasprintf("%" PRIx64 "=%s", c->modules[i].base, c->modules[i].path);
	for (uint32_t i = 0; i < c->n_frames; i++)
		argv[n++] = xasprintf("%" PRIx64, c->frames[i].pc);
	if (capture(argv, "", PATIENCE_MS, &text) == 0 && text.size)
		put_frame(text.data, b);
	while (n > 2)
		free((char *)argv[--n]);
}

static char *describe_death(int signal, const struct link_shared *link)
{
	_cleanup_free_ struct crash *c = link ? crash_copy(&link->crash) : NULL;
	struct buffer b = BUFFER_NULL;

	if (c && c->what[0])
		buffer_printf(&b, "it %s", c->what);
	else
		buffer_printf(&b, "it was killed by signal %d (%s)", signal, strsignal(signal));
	if (c)
		put_place(c, &b);
	return buffer_steal(&b);
}

/* The last line that it said. */
static char *last_line(const struct buffer *said)
{
	size_t end = said->size, at;

	while (end && said->data[end - 1] == '\n')
		end--;
	for (at = end; at && said->data[at - 1] != '\n';)
		at--;
	return end ? xstrndup(said->data + at, end - at) : xstrdup("it ended without a word");
}

/* What a sanitizer found; NULL: nothing. */
static char *describe_finding(const struct buffer *said)
{
	struct sanitizer_report report = { .memcheck = strstr(buffer_text(said), "COMPUTE-SANITIZER") != NULL };
	const char *line = buffer_text(said), *end;
	struct buffer b = BUFFER_NULL;

	for (; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		sanitizer_report_take(&report, line, (size_t)(end - line));
	}
	if (report.text.size) {
		buffer_printf(&b, "%s found ", sanitizer_tool(report.text.data));
		sanitizer_describe(report.text.data, &b);
	}
	sanitizer_report_fini(&report);
	return b.size ? buffer_steal(&b) : NULL;
}

static int conclude(const char *directory, const char *got, int status, const struct link_shared *link,
		    struct case_run *ret, struct buffer *said, struct buffer *why)
{
	if (status == 0 && read_result(directory, got, ret) == 0)
		return 0;
	if (status < 0 && status != -ETIMEDOUT) {
		buffer_printf(why, "cannot run devserve-worker: %s", strerror(-status));
		return EXIT_FAILURE;
	}
	ret->sentence = describe_finding(said);
	ret->outcome = status > 128 || ret->sentence ? CASE_CRASHED : CASE_FAILED;
	if (ret->sentence)
		return 0;
	if (status == -ETIMEDOUT)
		ret->sentence = xasprintf("it didn't end within %d s", PATIENCE_MS / 1000);
	else
		ret->sentence = status > 128 ? describe_death(status - 128, link) : last_line(said);
	return 0;
}

static int run_held(const char *directory, const struct json_reader *facts, const char *got, bool zeroed,
		    struct case_run *ret, struct buffer *said, struct buffer *why)
{
	struct link_shared *link = share_link();
	int r = start(directory, facts, got, zeroed, link, said);

	*ret = (struct case_run){ .outcome = CASE_SAME };
	r = conclude(directory, got, r, link, ret, said, why);
	if (link) {
		munmap(link, sizeof(*link));
		close(LINK_FD);
	}
	return r;
}

int case_run_zeroed(const char *directory, const struct json_reader *facts, const char *got, struct case_run *ret,
		    struct buffer *said, struct buffer *why)
{
	return run_held(directory, facts, got, true, ret, said, why);
}

int case_run(const char *directory, const struct json_reader *facts, struct case_run *ret, struct buffer *said,
	     struct buffer *why)
{
	char got[] = "/tmp/devserve-replay-XXXXXX";
	struct interruption held;
	int r;

	interruption_hold(&held);
	if (mkdtemp(got)) {
		r = run_held(directory, facts, got, false, ret, said, why);
		file_remove_tree(got);
	} else {
		buffer_printf(why, "cannot make a directory in /tmp: %s", strerror(errno));
		r = EXIT_FAILURE;
	}
	interruption_release(&held);
	return r;
}
