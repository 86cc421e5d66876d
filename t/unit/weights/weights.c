/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <devserve/ext/weights.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/tree.h"
#include "build/words.h"
#include "ring/weights_index.h"
#include "weights/files.h"
#include "weights/weights.h"
#include "worker/host.h"
#include "worker/weights.h"

/* A plugin in a directory of its own, and what the server and a worker make of its files. */

static char root[] = "/tmp/devserve-weights-XXXXXX";
static char *plugin, *copies;
static uv_loop_t loop;
static struct weights *server;

static void begin(void)
{
	cr_assert_not_null(mkdtemp(root));
	plugin = path_join(root, "plugin");
	copies = path_join(root, "copies");
	cr_assert_eq(file_make_directories(plugin), 0);
	uv_loop_init(&loop);
	server = weights_new(&loop, copies, copies);
}

static void end(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	weights_free(server);
	cr_expect_eq(uv_loop_close(&loop), 0);
	file_remove_tree(root);
	free(plugin);
	free(copies);
}

TestSuite(weights, .init = begin, .fini = end);

static void write_bytes(const char *name, const char *bytes, size_t size)
{
	_cleanup_free_ char *path = path_join(plugin, name), *directory = xstrdup(path);

	*strrchr(directory, '/') = '\0';
	cr_assert_eq(file_make_directories(directory), 0);
	cr_assert_eq(file_write(path, bytes, size, 0644), 0);
}

/* One tensor "x", FP32[2], of these values. */
static void write_floats(const char *name, float a, float b)
{
	static const char json[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  ";
	const float values[2] = { a, b };
	_cleanup_buffer_ struct buffer file = BUFFER_NULL;

	buffer_append(&file, (const char[8]){ sizeof(json) - 1 }, 8);
	buffer_puts(&file, json);
	buffer_append(&file, values, sizeof(values));
	write_bytes(name, file.data, file.size);
}

static bool is_weights(const char *name)
{
	return strcmp(path_suffix(name), ".safetensors") == 0;
}

static int on_found(void *context, const char *path)
{
	words_add(context, path);
	return 0;
}

/* All there are, as the server lists them. */
static struct weights_files find(void)
{
	_cleanup_words_ struct words found = WORDS_NULL;
	struct weights_files files = WEIGHTS_FILES_NULL;

	tree_find(plugin, is_weights, on_found, &found);
	if (found.n)
		weights_files_find(plugin, found.at, &files);
	return files;
}

static void on_read(void *context, struct weights_set *set)
{
	*(struct weights_set **)context = set;
}

static struct weights_set *read_all(void)
{
	struct weights_files files = find();
	struct weights_set *set = NULL;

	cr_assert_not_null(weights_read(server, &files, on_read, &set));
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_not_null(set);
	weights_files_fini(&files);
	return set;
}

/* Timestamps are too coarse to trust a file that is younger. */
static struct weights_set *read_settled(void)
{
	usleep(30000);
	return read_all();
}

static struct weights_set *known(void)
{
	struct weights_files files = find();
	struct weights_set *set = weights_known(server, &files);

	weights_files_fini(&files);
	return set;
}

static unsigned count_copies(void)
{
	_cleanup_free_ char *command = xasprintf("test $(ls -A %s | wc -l) -eq $N", copies);

	for (unsigned n = 0; n < 20; n++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", n);
		setenv("N", text, 1);
		if (system(command) == 0)
			return n;
	}
	return UINT32_MAX;
}

Test(weights, files_are_found_in_order_of_their_names)
{
	struct weights_files files;
	_cleanup_free_ char *absolute = path_join(root, "elsewhere/c.safetensors");
	char *paths[] = { (char *)"b.safetensors", absolute, (char *)"b.safetensors", NULL };

	write_floats("b.safetensors", 1, 2);
	write_floats("a/z.safetensors", 1, 2);
	write_floats(".hidden.safetensors", 1, 2);
	write_bytes("notes.txt", "", 0);
	files = find();
	cr_assert_eq(files.n, 2);
	cr_expect_str_eq(files.at[0].name, "a/z.safetensors");
	cr_expect_str_eq(files.at[1].name, "b.safetensors");
	weights_files_fini(&files);
	weights_files_find(plugin, paths, &files);
	cr_assert_eq(files.n, 2);
	cr_expect_str_eq(files.at[0].name, "b.safetensors");
	cr_expect_str_eq(files.at[1].name, "c.safetensors");
	weights_files_fini(&files);
}

Test(weights, without_files_there_is_a_set_at_once)
{
	struct weights_set *set = known();

	cr_assert_not_null(set);
	cr_expect_null(set->index);
	cr_expect_null(set->error);
	cr_expect_eq(set->hash.high | set->hash.low, 0);
	weights_set_unref(set);
}

Test(weights, a_file_that_looks_as_it_did_is_known)
{
	struct weights_set *set, *again;

	write_floats("a.safetensors", 1, 2);
	cr_expect_null(known());
	set = read_settled();
	cr_assert_null(set->error, "%s", set->error);
	again = known();
	cr_expect_eq(set, again);
	weights_set_unref(again);
	write_floats("a.safetensors", 3, 4);
	cr_expect_null(known());
	weights_set_unref(set);
}

Test(weights, the_same_content_is_the_same_set)
{
	struct weights_set *set, *again;

	write_floats("a.safetensors", 1, 2);
	set = read_all();
	write_floats("a.safetensors", 1, 2);
	again = read_all();
	cr_expect_eq(set, again);
	weights_set_unref(again);
	write_floats("b.safetensors", 1, 2); /* another name is another set, of the same copy */
	again = read_all();
	cr_expect_not(hash_equal(set->hash, again->hash));
	cr_expect_eq(count_copies(), 3);
	weights_set_unref(again);
	weights_set_unref(set);
}

Test(weights, copies_that_no_set_has_are_removed)
{
	struct weights_set *set;

	write_floats("a.safetensors", 1, 2);
	weights_set_unref(read_all());
	write_floats("a.safetensors", 3, 4);
	set = read_all();
	cr_expect_eq(count_copies(), 4);
	weights_tidy(server);
	cr_expect_eq(count_copies(), 2);
	cr_expect_eq(access(set->index, R_OK), 0);
	weights_set_unref(set);
	weights_tidy(server);
	cr_expect_eq(count_copies(), 0);
}

Test(weights, a_copy_that_somebody_removed_is_made_again)
{
	struct weights_set *set, *again;

	write_floats("a.safetensors", 1, 2);
	set = read_settled();
	file_remove_tree(copies);
	cr_expect_null(known());
	again = read_all();
	cr_expect_null(again->error);
	cr_expect_eq(count_copies(), 2);
	weights_set_unref(set);
	weights_set_unref(again);
}

Test(weights, a_copy_that_is_cut_off_is_made_again)
{
	_cleanup_free_ char *cut = xasprintf("chmod u+w %s/*.safetensors && truncate -s 3 %s/*.safetensors", copies, copies);
	struct weights_set *set;
	struct weights *w = NULL;
	char sentence[256];

	write_floats("a.safetensors", 1, 2);
	weights_set_unref(read_all());
	cr_assert_eq(system(cut), 0);
	set = read_all();
	cr_expect_eq(weights_open(set->index, &w, sentence, sizeof(sentence)), 0, "%s", sentence);
	weights_close(w);
	weights_set_unref(set);
}

Test(weights, a_broken_file_is_a_set_with_a_sentence)
{
	struct weights_set *set, *again;

	write_floats("a.safetensors", 1, 2);
	write_bytes("b.safetensors", "short", 5);
	set = read_settled();
	cr_assert_not_null(set->error);
	cr_expect(strstr(set->error, "b.safetensors has 5 bytes"), "%s", set->error);
	cr_expect_null(set->index);
	again = known();
	cr_expect_eq(set, again);
	weights_set_unref(again);
	weights_set_unref(set);
}

Test(weights, what_cannot_be_read_is_looked_at_again)
{
	_cleanup_free_ char *path = path_join(plugin, "a.safetensors");
	char *paths[] = { path, NULL };
	struct weights_files files;
	struct weights_set *set = NULL;

	weights_files_find(plugin, paths, &files);
	weights_read(server, &files, on_read, &set);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_not_null(set);
	cr_expect(strstr(set->error, "there is no file a.safetensors"), "%s", set->error);
	cr_expect_null(weights_known(server, &files));
	weights_set_unref(set);
	weights_files_fini(&files);
}

Test(weights, a_pipe_is_not_waited_for)
{
	_cleanup_free_ char *path = path_join(plugin, "a.safetensors");
	char *paths[] = { path, NULL };
	struct weights_files files;
	struct weights_set *set = NULL;

	cr_assert_eq(mkfifo(path, 0600), 0);
	weights_files_find(plugin, paths, &files);
	weights_read(server, &files, on_read, &set);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_expect(strstr(set->error, "a.safetensors is not a regular file"), "%s", set->error);
	weights_set_unref(set);
	weights_files_fini(&files);
}

Test(weights, who_cancels_hears_nothing)
{
	struct weights_files files;
	struct weights_set *set = NULL;

	write_floats("a.safetensors", 1, 2);
	files = find();
	weights_cancel(weights_read(server, &files, on_read, &set));
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_expect_null(set);
	weights_files_fini(&files);
}

Test(weights, a_job_is_current_until_its_file_changes)
{
	struct weights_files files;
	struct weights_set *set = NULL;
	struct weights_job *job;

	write_floats("a.safetensors", 1, 2);
	files = find();
	job = weights_read(server, &files, on_read, &set);
	cr_expect(weights_job_is_current(job, &files));
	write_floats("a.safetensors", 1, 2);
	cr_expect_not(weights_job_is_current(job, &files));
	uv_run(&loop, UV_RUN_DEFAULT);
	weights_set_unref(set);
	weights_files_fini(&files);
}

/* The worker's side */

static const void *get(const struct devserve_weights_extension *e, const char *name, int64_t extent, char *said,
		       size_t size)
{
	const void *p;

	said[0] = '\0';
	host_capture(said, size);
	p = e->get(host_table(), name, DEVSERVE_FP32, &extent, 1);
	host_capture(NULL, 0);
	return p;
}

Test(weights, a_worker_hands_out_what_the_files_hold)
{
	const struct devserve_weights_extension *e = weights_extension();
	struct weights_set *set;
	struct weights *w;
	char said[1024];
	const float *x;

	write_floats("a.safetensors", 1, 2);
	write_floats("b.safetensors", 3, 4);
	set = read_all();
	cr_assert_eq(weights_open(set->index, &w, said, sizeof(said)), 0, "%s", said);
	weights_offer(w);
	x = get(e, "b/x", 2, said, sizeof(said));
	cr_assert_not_null(x, "%s", said);
	cr_expect(x[0] == 3 && x[1] == 4);
	cr_expect_eq(x, get(e, "b/x", -1, said, sizeof(said)));
	cr_expect_null(get(e, "x", 2, said, sizeof(said)));
	cr_expect_str_eq(said, "\"x\" is in a.safetensors and in b.safetensors; write \"a/x\" for the first");
	cr_expect_null(get(e, "b/x", 3, said, sizeof(said)));
	cr_expect_str_eq(said, "\"x\" in b.safetensors is FP32[2], wanted FP32[3]");
	cr_expect_null(get(e, "c/x", 2, said, sizeof(said)));
	cr_expect_str_eq(said, "a.safetensors, b.safetensors have no \"c/x\"; they have x, x");
	cr_expect_not_null(e->at(host_table(), 1));
	cr_expect_null(e->at(host_table(), 2));
	weights_offer(NULL);
	cr_expect_null(e->at(host_table(), 0));
	weights_close(w);
	weights_set_unref(set);
}

/* Every number of an index by another one: refused or harmless. */
Test(weights, a_worker_believes_no_index)
{
	_cleanup_free_ char *path = path_join(root, "index");
	_cleanup_buffer_ struct buffer index = BUFFER_NULL;
	struct weights_set *set;
	char said[1024];

	write_floats("a.safetensors", 1, 2);
	set = read_all();
	cr_assert_eq(file_read(set->index, &index), 0);
	for (size_t i = 0; i < index.size; i++) {
		struct weights *w = NULL;
		char before = index.data[i];

		index.data[i] = (char)~before;
		cr_assert_eq(file_write(path, index.data, index.size, 0600), 0);
		if (weights_open(path, &w, said, sizeof(said)) == 0) {
			weights_offer(w);
			get(weights_extension(), "x", 2, said, sizeof(said));
			weights_offer(NULL);
		}
		weights_close(w);
		index.data[i] = before;
	}
	for (size_t size = 0; size < index.size; size++) {
		struct weights *w = NULL;

		cr_assert_eq(file_write(path, index.data, size, 0600), 0);
		cr_expect_neq(weights_open(path, &w, said, sizeof(said)), 0);
	}
	weights_set_unref(set);
}
