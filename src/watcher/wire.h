/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Wire
 *
 * The records of watch/protocol.h, on their way to standard output. They are gathered and
 * written at wire_flush(), or when there are many; a write that fails ends the process, for
 * nobody listens any more.
 */

#include "base/buffer.h"
#include "watch/protocol.h"

struct wire {
	struct buffer records;
};

void wire_fini(struct wire *w);

void wire_tell(struct wire *w, enum watch_record type, const char *text);
void wire_notice(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void wire_flush(struct wire *w);
