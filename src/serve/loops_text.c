/* SPDX-License-Identifier: MIT */
#include "serve/loops_text.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "build/loop_change.h"
#include "serve/event.h"
#include "serve/style.h"

static void put_loop(const struct style *s, struct buffer *b, const struct loop_change *l)
{
	buffer_puts(b, "the loop at ");
	style_place(s, b, l->file, l->line, l->column);
	if (l->vectorised)
		buffer_printf(b, " %sis vectorised now%s", GREEN(s), PLAIN(s));
	else
		buffer_printf(b, " %sis no longer vectorised%s", YELLOW(s), PLAIN(s));
	if (l->bytes)
		buffer_printf(b, ", %u bytes at a time", l->bytes);
	else if (l->lanes)
		buffer_printf(b, ", %u numbers at a time", l->lanes);
	if (!l->reason)
		return;
	buffer_puts(b, ": ");
	style_sentence(b, l->reason);
}

void loops_text(const struct style *s, struct buffer *b, const struct event *e)
{
	for (size_t i = 0; i < e->n_loops; i++) {
		style_head(s, b, e->deployment);
		buffer_printf(b, "gen %" PRIu32 ": ", e->generation);
		put_loop(s, b, &e->loops[i]);
		buffer_putc(b, '\n');
	}
}
