/* SPDX-License-Identifier: MIT */

/*
 * A packed body is unpacked to where its bytes belong, in pieces as large as the room there:
 * nothing lies between. What it becomes counts against the limit, piece by piece, so a bomb
 * ends where any other body would. Unpacking 64 KiB that came in one read can make 64 MiB:
 * a turn of the loop gives MAX_TURN, then the others have theirs. zlib may have more to give
 * when all bytes are used up, so a body can be behind with none left.
 */

#include "ingress/body.h"

#include <string.h>

#include "base/buffer.h"
#include "ingress/coders.h"
#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/unpack.h"

#define MAX_TURN (256 * 1024) /* bytes unpacked for a connection in a turn of the loop */
#define STEP 16384

uint64_t body_max(const struct exchange *x)
{
	return x->plan.sink == SINK_COLLECT ? EXCHANGE_MAX_CONTROL : x->c->in->options.max_body;
}

static const char *remedy(const struct exchange *x)
{
	return x->plan.sink == SINK_INFER ? "; --max-body raises it" : "";
}

void body_refuse_size(struct exchange *x, uint64_t size)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	buffer_printf(&b, "The request's body of %llu bytes exceeds the maximum of %llu bytes%s.",
		      (unsigned long long)size, (unsigned long long)body_max(x), remedy(x));
	exchange_refuse(x, 413, buffer_text(&b));
}

static void refuse_bomb(struct exchange *x)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	buffer_printf(&b, "The request's body exceeds the maximum of %llu bytes when it is unpacked%s.",
		      (unsigned long long)body_max(x), remedy(x));
	exchange_refuse(x, 413, buffer_text(&b));
}

void body_begin(struct exchange *x, enum coding c)
{
	if (c == CODING_IDENTITY || x->plan.sink == SINK_DROP)
		return;
	x->unpack = coders_take_unpack(&x->c->in->coders, c);
	if (!x->unpack)
		exchange_refuse(x, 503, "There is no memory for unpacking the request's body now.");
}

bool body_is_behind(const struct exchange *x)
{
	return x->behind;
}

static bool room_of(struct exchange *x, void **ret, size_t *ret_size)
{
	if (x->plan.sink == SINK_COLLECT) {
		*ret = buffer_reserve(&x->body, STEP);
		*ret_size = STEP;
		return true;
	}
	infer_request_room(&x->r, ret, ret_size);
	return *ret_size > 0;
}

bool body_room(struct exchange *x, void **ret, size_t *ret_size)
{
	return x->plan.sink == SINK_INFER && !x->unpack && room_of(x, ret, ret_size);
}

void body_filled(struct exchange *x, size_t size)
{
	int r;

	if (x->plan.sink == SINK_COLLECT) {
		buffer_grow(&x->body, size);
		return;
	}
	r = infer_request_filled(&x->r, size);
	if (r)
		exchange_refuse(x, infer_status_http((enum infer_status)r), buffer_text(&x->r.error));
}

static void refuse_more(struct exchange *x)
{
	exchange_refuse(x, 400, "unexpected additional input data for model");
}

static void take_plain(struct exchange *x, const char *bytes, size_t size)
{
	while (size && x->state == EXCHANGE_RECEIVING) {
		size_t room;
		void *to;

		if (!room_of(x, &to, &room)) {
			refuse_more(x);
			return;
		}
		if (room > size)
			room = size;
		memcpy(to, bytes, room);
		body_filled(x, room);
		bytes += room;
		size -= room;
	}
}

/* One room full. Returns what unpack_step() does; x may have been answered. */
static int unpack_once(struct exchange *x, const char **bytes, size_t *size)
{
	size_t room, n = 0;
	void *to;
	int r;

	if (!room_of(x, &to, &room)) {
		refuse_more(x);
		return UNPACK_BAD;
	}
	if (room > MAX_TURN)
		room = MAX_TURN;
	r = unpack_step(x->unpack, bytes, size, to, room, &n);
	x->unpacked += n;
	x->c->unpacked += n;
	if (r == UNPACK_BAD)
		exchange_refuse(x, 400, "The request's body is no valid stream of the Content-Encoding that it "
					"claims (gzip is RFC 1952, deflate RFC 1950).");
	else if (x->unpacked > body_max(x))
		refuse_bomb(x);
	else if (n)
		body_filled(x, n);
	return r;
}

static size_t take_packed(struct exchange *x, const char *bytes, size_t size)
{
	size_t left = size;
	int r;

	do {
		r = unpack_once(x, &bytes, &left);
		if (x->state != EXCHANGE_RECEIVING)
			return size;
	} while (r == UNPACK_FULL && x->c->unpacked < MAX_TURN);
	x->behind = r == UNPACK_FULL;
	return size - left;
}

size_t body_take(struct exchange *x, const char *bytes, size_t size)
{
	size_t used = size;

	x->behind = false;
	if (x->received + size > body_max(x))
		body_refuse_size(x, x->received + size);
	else if (x->unpack)
		used = take_packed(x, bytes, size);
	else if (x->plan.sink != SINK_DROP)
		take_plain(x, bytes, size);
	x->received += used;
	return used;
}

void body_end(struct exchange *x)
{
	bool whole = !x->unpack || unpack_is_whole(x->unpack);

	if (x->unpack)
		x->unpack = coders_give_unpack(&x->c->in->coders, x->unpack);
	if (whole)
		x->plan.run(x);
	else
		exchange_refuse(x, 400, "The request's body ends before the stream in it does.");
}
