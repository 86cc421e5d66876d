/* SPDX-License-Identifier: MIT */

/*
 * On a real loop with real time. That something takes long enough is measured; that it
 * doesn't take too long is not, for the machine may be busy: what must come first is told by
 * a timer that comes later, and both are late together.
 */

#include "watch/settle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "watch/watch.h"

struct bench {
	uv_loop_t loop;
	struct settle settle;
	uv_timer_t timer; /* for the test */
	int n_ticks;

	int n_batches;
	struct buffer paths; /* of the last batch, each with a blank behind */
	struct watch_batch last;
	uint64_t delivered_ns;
};

static struct bench bench;

static void on_batch(void *context, const struct watch_batch *batch)
{
	struct bench *b = context;

	b->n_batches++;
	b->delivered_ns = clock_ns();
	b->last = *batch;
	buffer_reset(&b->paths);
	for (size_t i = 0; i < batch->n_paths; i++)
		buffer_printf(&b->paths, "%s ", batch->paths[i]);
}

static void set_up(void)
{
	uv_loop_init(&bench.loop);
	settle_init(&bench.settle, &bench.loop, 10, on_batch, &bench);
	uv_timer_init(&bench.loop, &bench.timer);
}

static void tear_down(void)
{
	uv_close((uv_handle_t *)&bench.settle.timer, NULL);
	uv_close((uv_handle_t *)&bench.timer, NULL);
	uv_run(&bench.loop, UV_RUN_DEFAULT);
	settle_fini(&bench.settle);
	buffer_fini(&bench.paths);
	cr_expect_eq(uv_loop_close(&bench.loop), 0);
}

static void run(void)
{
	uv_run(&bench.loop, UV_RUN_DEFAULT);
}

static void add_many(int n)
{
	char path[32];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/p/%d", i);
		settle_path(&bench.settle, path);
	}
}

/* From the batch's first event to its delivery. */
static uint64_t took_ms(void)
{
	return (bench.delivered_ns - bench.last.first_ns) / NS_PER_MS;
}

TestSuite(settle, .init = set_up, .fini = tear_down, .timeout = 60);

Test(settle, a_change_is_delivered_after_the_rest)
{
	uint64_t before = clock_ns();

	settle_path(&bench.settle, "/k.c");
	run();
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_str_eq(buffer_text(&bench.paths), "/k.c ");
	cr_expect_geq(bench.last.first_ns, before);
	cr_expect_geq(took_ms(), 10);
	cr_expect(!bench.last.everything && !bench.last.overflow);
}

static void add_companion(uv_timer_t *timer)
{
	(void)timer;
	settle_path(&bench.settle, "/a.h");
	bench.delivered_ns = clock_ns();
}

Test(settle, what_comes_within_the_rest_joins_and_is_waited_for)
{
	uint64_t companion_ns;

	settle_path(&bench.settle, "/k.c");
	settle_path(&bench.settle, "/k.c");
	uv_timer_start(&bench.timer, add_companion, 5, 0);
	uv_run(&bench.loop, UV_RUN_ONCE);
	companion_ns = bench.delivered_ns;
	cr_assert_eq(bench.n_batches, 0);
	run();
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_str_eq(buffer_text(&bench.paths), "/a.h /k.c ");
	cr_expect_geq(bench.delivered_ns - companion_ns, 10 * NS_PER_MS);
}

static void expect_delivered(uv_timer_t *timer)
{
	(void)timer;
	cr_expect_eq(bench.n_batches, 1);
}

Test(settle, twenty_paths_are_a_save)
{
	add_many(20);
	uv_timer_start(&bench.timer, expect_delivered, 150, 0);
	run();
	cr_expect_eq(bench.last.n_paths, 20);
	cr_expect_geq(took_ms(), 10);
}

Test(settle, twenty_one_paths_are_a_storm)
{
	add_many(21);
	run();
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_eq(bench.last.n_paths, 21);
	cr_expect_geq(took_ms(), 200);
}

static void write_again(uv_timer_t *timer)
{
	if (bench.n_batches)
		uv_timer_stop(timer);
	else
		settle_path(&bench.settle, "/k.c");
}

Test(settle, what_never_rests_is_delivered_after_two_seconds)
{
	bench.settle.quiet_ms = 1000; /* no pause of the machine may pass for a rest */
	write_again(&bench.timer);
	uv_timer_start(&bench.timer, write_again, 1, 1);
	run();
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_geq(took_ms(), 2000);
}

static void written(uv_timer_t *timer)
{
	(void)timer;
	bench.n_ticks++;
	cr_expect_eq(bench.n_batches, 0);
	settle_path(&bench.settle, "/k.c");
}

Test(settle, a_file_that_vanished_is_waited_for_while_it_is_made_again)
{
	settle_path(&bench.settle, "/k.c");
	settle_begun(&bench.settle, "/k.c");
	settle_begun(&bench.settle, "/k.c");
	uv_timer_start(&bench.timer, written, 100, 0);
	run();
	cr_expect_eq(bench.n_ticks, 1);
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_str_eq(buffer_text(&bench.paths), "/k.c ");
	cr_expect_geq(took_ms(), 100);
}

Test(settle, a_file_that_is_never_closed_is_waited_for_two_seconds)
{
	settle_path(&bench.settle, "/k.c");
	settle_begun(&bench.settle, "/k.c");
	run();
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_geq(took_ms(), 2000);
}

Test(settle, a_new_file_says_nothing_before_it_is_written)
{
	settle_begun(&bench.settle, "/new.c");
	run();
	cr_expect_eq(bench.n_batches, 0);

	settle_path(&bench.settle, "/k.c");
	settle_begun(&bench.settle, "/new.c");
	uv_timer_start(&bench.timer, expect_delivered, 150, 0);
	run();
	cr_expect_str_eq(buffer_text(&bench.paths), "/k.c ");
}

Test(settle, everything_takes_the_place_of_paths)
{
	add_many(3);
	settle_begun(&bench.settle, "/p/1");
	settle_everything(&bench.settle, false);
	settle_path(&bench.settle, "/k.c");
	uv_timer_start(&bench.timer, expect_delivered, 150, 0);
	run();
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_eq(bench.last.n_paths, 0);
	cr_expect(bench.last.everything && !bench.last.overflow);
}

Test(settle, an_overflow_is_a_storm)
{
	settle_everything(&bench.settle, true);
	run();
	cr_expect(bench.last.everything && bench.last.overflow);
	cr_expect_geq(took_ms(), 200);
}

Test(settle, more_than_ten_thousand_paths_are_everything)
{
	add_many(10000);
	cr_expect_eq(bench.settle.paths.n_paths, 10000);
	settle_path(&bench.settle, "/p/7");
	cr_expect(!bench.settle.everything);
	settle_path(&bench.settle, "/one.c");
	run();
	cr_expect_eq(bench.n_batches, 1);
	cr_expect_eq(bench.last.n_paths, 0);
	cr_expect(bench.last.everything && !bench.last.overflow);
}

Test(settle, a_flush_delivers_at_once_and_forgets)
{
	settle_everything(&bench.settle, true);
	settle_flush(&bench.settle);
	cr_expect_eq(bench.n_batches, 1);
	settle_flush(&bench.settle);
	cr_expect_eq(bench.n_batches, 1);

	settle_path(&bench.settle, "/k.c");
	run();
	cr_expect_eq(bench.n_batches, 2);
	cr_expect(!bench.last.everything && !bench.last.overflow);
	cr_expect_str_eq(buffer_text(&bench.paths), "/k.c ");
}

static void save_while_delivering(void *context, const struct watch_batch *batch)
{
	on_batch(context, batch);
	if (bench.n_batches == 1)
		settle_path(&bench.settle, "/next.c");
}

Test(settle, what_changes_during_a_delivery_is_the_next_batch)
{
	bench.settle.deliver = save_while_delivering;
	settle_path(&bench.settle, "/k.c");
	run();
	cr_expect_eq(bench.n_batches, 2);
	cr_expect_str_eq(buffer_text(&bench.paths), "/next.c ");
}
