/* SPDX-License-Identifier: MIT */
#include "infer/room.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

#define MIN_ROOM 4096
#define MAX_KEPT_ROOM (64 * 1024)

static _Thread_local struct {
	size_t n;
	struct buffer buffers[32];
} kept;

struct buffer room_take(void)
{
	return kept.n ? kept.buffers[--kept.n] : (struct buffer)BUFFER_NULL;
}

void room_give(struct buffer *b)
{
	if (!b->data || b->room > MAX_KEPT_ROOM || kept.n == ARRAY_SIZE(kept.buffers)) {
		buffer_fini(b);
		return;
	}
	buffer_reset(b);
	kept.buffers[kept.n++] = *b;
	*b = (struct buffer)BUFFER_NULL;
}

bool room_for(struct buffer *b, size_t more)
{
	size_t room, least;
	char *data;

	if (b->room - b->size > more)
		return true;
	if (__builtin_add_overflow(b->size, more, &least) || least >= SIZE_MAX / 2)
		return false;
	room = b->room + b->room / 2;
	if (room < MIN_ROOM)
		room = MIN_ROOM;
	if (room < least + 1)
		room = least + 1;
	data = realloc(b->data, room);
	if (!data)
		return false;
	if (!b->data)
		data[0] = '\0';
	b->data = data;
	b->room = room;
	return true;
}
