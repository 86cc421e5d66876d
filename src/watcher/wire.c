/* SPDX-License-Identifier: GPL-2.0-only */
#include "watcher/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENOUGH 32768

void wire_fini(struct wire *w)
{
	buffer_fini(&w->records);
}

void wire_tell(struct wire *w, enum watch_record type, const char *text)
{
	size_t size = strlen(text) + 1;

	if (1 + size > WATCH_RECORD_SIZE)
		return; /* no path that can be opened is that long */
	buffer_putc(&w->records, (char)type);
	buffer_append(&w->records, text, size);
	if (w->records.size > ENOUGH)
		wire_flush(w);
}

void wire_notice(struct wire *w, const char *format, ...)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	va_list args;

	va_start(args, format);
	buffer_vprintf(&sentence, format, args);
	va_end(args);
	wire_tell(w, WATCH_NOTICE, buffer_text(&sentence));
}

void wire_flush(struct wire *w)
{
	size_t done = 0;

	while (done < w->records.size) {
		ssize_t n = write(STDOUT_FILENO, w->records.data + done, w->records.size - done);

		if (n < 0 && errno != EINTR)
			exit(EXIT_SUCCESS);
		done += n > 0 ? (size_t)n : 0;
	}
	buffer_reset(&w->records);
}
