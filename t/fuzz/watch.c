/* SPDX-License-Identifier: MIT */

/*
 * devserve-watch is hostile: any bytes are what it writes. What comes of them doesn't depend on
 * the pieces they come in; batches hold each path once, in order, below the root. The first
 * byte says where to cut.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "watch/intake.h"
#include "watch/protocol.h"
#include "watch/settle.h"
#include "watch/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define ROOT "/root"

static void on_batch(void *context, const struct watch_batch *batch)
{
	struct buffer *told = context;

	assert(batch->first_ns);
	assert(!batch->everything || !batch->n_paths);
	assert(!batch->overflow || batch->everything);
	buffer_printf(told, "batch %d%d", batch->everything, batch->overflow);
	for (size_t i = 0; i < batch->n_paths; i++) {
		assert(strncmp(batch->paths[i], ROOT "/", sizeof(ROOT)) == 0);
		assert(!i || strcmp(batch->paths[i - 1], batch->paths[i]) < 0);
		buffer_append(told, batch->paths[i], strlen(batch->paths[i]) + 1);
	}
}

static void on_notice(void *context, const char *sentence)
{
	buffer_puts(context, sentence);
	buffer_putc(context, '\n');
}

/* What is told of @bytes, which come in pieces of @step, as records or as lines. */
static void run(uv_loop_t *loop, const uint8_t *bytes, size_t size, size_t step, bool lines,
		struct buffer *told)
{
	struct settle settle;
	struct intake intake = { .root = ROOT, .settle = &settle, .notice = on_notice, .context = told };
	bool good = true;

	settle_init(&settle, loop, 10, on_batch, told);
	for (size_t at = 0; at < size && good; at += step) {
		size_t n = size - at < step ? size - at : step;
		char *piece = xmalloc(n); /* of that size: reading beyond is seen */

		memcpy(piece, bytes + at, n);
		if (lines)
			intake_lines(&intake, piece, n);
		else
			good = intake_records(&intake, piece, n);
		free(piece);
	}
	settle_flush(&settle);
	intake_fini(&intake);
	uv_close((uv_handle_t *)&settle.timer, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	settle_fini(&settle);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	_cleanup_buffer_ struct buffer whole = BUFFER_NULL, pieces = BUFFER_NULL;
	static uv_loop_t loop;
	static bool started;
	bool lines;

	if (!started)
		assert(uv_loop_init(&loop) == 0);
	started = true;
	if (size < 2 || size > WATCH_RECORD_SIZE) /* beyond, it depends on the pieces when it ends */
		return 0;
	lines = bytes[0] & 0x80;
	run(&loop, bytes + 1, size - 1, size, lines, &whole);
	run(&loop, bytes + 1, size - 1, bytes[0] % 0x80 + 1, lines, &pieces);
	assert(whole.size == pieces.size);
	assert(!whole.size || memcmp(whole.data, pieces.data, whole.size) == 0);
	return 0;
}
