/* SPDX-License-Identifier: MIT */
#include "history/history.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "history/entry.h"

static char directory[] = "/tmp/devserve-history-XXXXXX";
static uv_loop_t loop;
static struct history *history;
static unsigned n_answers, n_known;

static void on_notice(void *context, const char *sentence)
{
	(void)context;
	cr_assert_fail("%s", sentence);
}

static void open_it(void)
{
	cr_assert(mkdtemp(directory));
	uv_loop_init(&loop);
	history = history_new(&loop, &(struct history_options){ .state_dir = directory, .version = "1", .notice = on_notice });
}

static void close_it(void)
{
	history_free(history);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&loop), 0);
	file_remove_tree(directory);
}

TestSuite(history, .init = open_it, .fini = close_it);

static void add_generation(uint32_t generation)
{
	static const struct history_file none;
	const struct history_build built = { .source = { .high = generation }, .image = { .high = generation },
					     .files = &none };

	history_add(history, &(struct history_entry){ .event = "save.done", .deployment = "m", .generation = generation,
						      .build = generation, .outcome = "swapped", .json = "{}",
						      .built = &built });
}

static void on_found(void *context, const struct history_answer *a)
{
	const uint32_t *more = context;

	n_answers++;
	n_known += a->generation != 0;
	for (uint32_t i = 0; more && i < *more; i++)
		add_generation(a->generation + 1 + i);
}

static void find(uint32_t generation, void *context)
{
	history_find(history, "m", generation, 0, on_found, context);
}

Test(history, finds_what_was_told_before)
{
	add_generation(1);
	find(1, NULL);
	find(2, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_expect_eq(n_answers, 2);
	cr_expect_eq(n_known, 1);
}

Test(history, keeps_what_is_told_while_it_answers)
{
	static uint32_t more = 50;

	add_generation(1);
	find(1, &more);
	find(1, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	for (uint32_t i = 2; i <= 51; i++)
		find(i, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_expect_eq(n_answers, 52);
	cr_expect_eq(n_known, 52);
}
