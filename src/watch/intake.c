/* SPDX-License-Identifier: MIT */
#include "watch/intake.h"

#include <string.h>

#include "base/memory.h"
#include "base/file.h"
#include "watch/protocol.h"
#include "watch/settle.h"

static void take_record(struct intake *i, char type, const char *text)
{
	_cleanup_free_ char *path = NULL;

	switch (type) {
	case WATCH_READY:
		settle_everything(i->settle, false);
		settle_flush(i->settle);
		break;
	case WATCH_OVERFLOW:
		settle_everything(i->settle, true);
		break;
	case WATCH_PATH:
		path = path_join(i->root, text);
		settle_path(i->settle, path);
		break;
	case WATCH_BEGUN:
		path = path_join(i->root, text);
		settle_begun(i->settle, path);
		break;
	case WATCH_NOTICE:
		i->notice(i->context, text);
		break;
	}
}

bool intake_records(struct intake *i, const char *bytes, size_t size)
{
	struct buffer *b = &i->records;
	const char *at, *end, *nul;

	buffer_append(b, bytes, size);
	at = b->data;
	end = at + b->size;
	while (!i->ended && at < end && (nul = memchr(at, '\0', (size_t)(end - at)))) {
		if (nul > at)
			take_record(i, *at, at + 1);
		at = nul + 1;
	}
	buffer_consume(b, (size_t)(at - b->data));
	return i->ended || b->size <= WATCH_RECORD_SIZE;
}

void intake_lines(struct intake *i, const char *bytes, size_t size)
{
	struct buffer *b = &i->lines;
	char *newline;

	buffer_append(b, bytes, size);
	while (!i->ended && b->size && (newline = memchr(b->data, '\n', b->size))) {
		_cleanup_free_ char *sentence = NULL;

		*newline = '\0';
		sentence = xasprintf("devserve-watch: %s", b->data);
		i->notice(i->context, sentence);
		buffer_consume(b, (size_t)(newline + 1 - b->data));
	}
	if (b->size > WATCH_RECORD_SIZE)
		buffer_reset(b);
}

void intake_reset(struct intake *i)
{
	buffer_reset(&i->records);
	buffer_reset(&i->lines);
}

void intake_fini(struct intake *i)
{
	buffer_fini(&i->records);
	buffer_fini(&i->lines);
}
