/* SPDX-License-Identifier: MIT */
#include "watch/intake.h"

#include <string.h>

#include <criterion/criterion.h>

#include "base/memory.h"
#include "watch/protocol.h"
#include "watch/settle.h"
#include "watch/watch.h"

static struct world {
	uv_loop_t loop;
	struct settle settle;
	struct intake intake;
	struct buffer told; /* what came out, a line each */
} world;

static void on_batch(void *context, const struct watch_batch *batch)
{
	(void)context;
	buffer_printf(&world.told, "batch%s%s", batch->everything ? " everything" : "",
		      batch->overflow ? " overflow" : "");
	for (size_t i = 0; i < batch->n_paths; i++)
		buffer_printf(&world.told, " %s", batch->paths[i]);
	buffer_putc(&world.told, '\n');
}

static void on_notice(void *context, const char *sentence)
{
	(void)context;
	buffer_printf(&world.told, "notice %s\n", sentence);
}

static void begin(void)
{
	uv_loop_init(&world.loop);
	settle_init(&world.settle, &world.loop, 10, on_batch, NULL);
	world.intake = (struct intake){ .root = "/root", .settle = &world.settle, .notice = on_notice };
	buffer_reset(&world.told);
}

static bool take(const char *bytes, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step)
		if (!intake_records(&world.intake, bytes + at, size - at < step ? size - at : step))
			return false;
	settle_flush(&world.settle);
	return true;
}

static void expect(const char *told)
{
	cr_expect_str_eq(buffer_text(&world.told), told);
	buffer_reset(&world.told);
}

#define TAKE(literal, step) cr_expect(take(literal, sizeof(literal) - 1, step))

Test(intake, understands_every_record_in_whatever_pieces_it_comes, .init = begin)
{
	for (size_t step = 1; step < 40; step++) {
		TAKE("R\0Pb.c\0Pa/x y\n.c\0Nhello\0Pb.c\0", step);
		expect("batch everything\nnotice hello\nbatch /root/a/x y\n.c /root/b.c\n");
		TAKE("Pa.c\0O\0", step);
		expect("batch everything overflow\n");
	}
}

Test(intake, ignores_records_of_no_kind, .init = begin)
{
	TAKE("\0\0X\0Xpath\0\xff\0Pa.c\0", 3);
	expect("batch /root/a.c\n");
}

Test(intake, ends_who_writes_a_record_without_an_end, .init = begin)
{
	char *bytes = xmalloc(WATCH_RECORD_SIZE + 1);

	memset(bytes, 'P', WATCH_RECORD_SIZE + 1);
	cr_expect(intake_records(&world.intake, bytes, WATCH_RECORD_SIZE));
	cr_expect_not(intake_records(&world.intake, bytes, 1));
	intake_reset(&world.intake);
	TAKE("Pa.c\0", 1);
	expect("batch /root/a.c\n");
	free(bytes);
}

Test(intake, passes_lines_of_libraries_on_and_forgets_what_never_ends, .init = begin)
{
	intake_lines(&world.intake, "one\nt", 5);
	intake_lines(&world.intake, "wo\n\nthree", 9);
	expect("notice devserve-watch: one\nnotice devserve-watch: two\nnotice devserve-watch: \n");
	for (size_t i = 0; i < 3 * WATCH_RECORD_SIZE; i++)
		intake_lines(&world.intake, "x", 1);
	cr_expect_leq(world.intake.lines.size, WATCH_RECORD_SIZE);
	intake_lines(&world.intake, "\0x\nafter\n", 9);
	cr_expect_not_null(strstr(buffer_text(&world.told), "notice devserve-watch: after\n"));
}

static void end_it(void *context, const char *sentence)
{
	on_notice(context, sentence);
	world.intake.ended = true;
}

Test(intake, says_nothing_more_once_it_is_ended_from_within, .init = begin)
{
	world.intake.notice = end_it;
	TAKE("Na\0Nb\0Pc\0", 100);
	expect("notice a\n");
}
