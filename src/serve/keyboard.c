/* SPDX-License-Identifier: MIT */

/*
 * A job that was started with '&', or sent there after Ctrl-Z, must not touch the terminal: a
 * shell uses it. Nobody tells a running job that it has come to the foreground, so as long as
 * we are in the background we look once a second.
 */

#include "serve/keyboard.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/columns.h"
#include "base/memory.h"
#include "base/raw_mode.h"

#define LOOK_MS 1000

struct keyboard {
	struct keyboard_callbacks cb;
	uv_poll_t poll;
	uv_signal_t stop, resume;
	uv_timer_t look;
	unsigned n_handles;
};

static void look(struct keyboard *k);

static void on_look(uv_timer_t *timer)
{
	look(timer->data);
}

static void withdraw(struct keyboard *k)
{
	uv_poll_stop(&k->poll);
	raw_mode_leave();
}

/* What a cursor key or its like sends: ESC O letter, or an escape sequence. 0: it is none. */
static size_t special_size(const char *keys, size_t n)
{
	if (n < 2 || keys[0] != KEY_ESCAPE)
		return 0;
	return keys[1] == 'O' && n > 2 ? 3 : escape_size(keys, n);
}

/* Several keys may come at once. */
static void take(struct keyboard *k, const char *keys, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t special = special_size(keys + i, n - i);

		if (!special)
			k->cb.key(k->cb.context, keys[i]);
		i += special ? special : 1;
	}
}

static bool has_hung_up(void)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct keyboard *k = poll->data;
	char keys[64];
	ssize_t n;

	if (!raw_mode_is_ours(STDIN_FILENO)) {
		withdraw(k);
		look(k);
		return;
	}
	n = status < 0 ? -1 : read(STDIN_FILENO, keys, sizeof(keys));
	if (n > 0)
		take(k, keys, (size_t)n);
	else if (n < 0 || events & UV_DISCONNECT || has_hung_up())
		withdraw(k);
}

/* Read keys if the terminal is ours now; else look again later. */
static void look(struct keyboard *k)
{
	bool ours = raw_mode_is_ours(STDIN_FILENO);

	if (ours && raw_mode_enter(STDIN_FILENO) == 0) {
		uv_timer_stop(&k->look);
		uv_poll_start(&k->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	} else if (isatty(STDIN_FILENO)) {
		uv_timer_start(&k->look, on_look, LOOK_MS, 0);
	}
}

static void on_stop(uv_signal_t *signal, int number)
{
	struct keyboard *k = signal->data;

	withdraw(k);
	uv_signal_stop(signal); /* now it does what it does by default */
	kill(getpid(), number);
	uv_signal_start(signal, on_stop, number);
	look(k); /* also where there was no shell to continue us, and it was ignored */
}

static void on_resume(uv_signal_t *signal, int number)
{
	struct keyboard *k = signal->data;

	(void)number;
	withdraw(k); /* a shell may have changed the mode under us */
	look(k);
	k->cb.resumed(k->cb.context);
}

static void add(struct keyboard *k, uv_handle_t *handle)
{
	handle->data = k;
	k->n_handles++;
	uv_unref(handle);
}

struct keyboard *keyboard_new(uv_loop_t *loop, const struct keyboard_callbacks *cb)
{
	const char *term = getenv("TERM");
	struct keyboard *k;

	if (!isatty(STDIN_FILENO) || !term || !*term || strcmp(term, "dumb") == 0)
		return NULL;
	k = xcalloc(1, sizeof(*k));
	k->cb = *cb;
	if (uv_poll_init(loop, &k->poll, STDIN_FILENO) < 0) {
		free(k);
		return NULL;
	}
	uv_signal_init(loop, &k->stop);
	uv_signal_init(loop, &k->resume);
	uv_timer_init(loop, &k->look);
	add(k, (uv_handle_t *)&k->poll);
	add(k, (uv_handle_t *)&k->stop);
	add(k, (uv_handle_t *)&k->resume);
	add(k, (uv_handle_t *)&k->look);
	uv_signal_start(&k->stop, on_stop, SIGTSTP);
	uv_signal_start(&k->resume, on_resume, SIGCONT);
	look(k);
	return k;
}

static void on_closed(uv_handle_t *handle)
{
	struct keyboard *k = handle->data;

	if (--k->n_handles == 0)
		free(k);
}

struct keyboard *keyboard_free(struct keyboard *k)
{
	if (!k)
		return NULL;
	withdraw(k);
	uv_close((uv_handle_t *)&k->poll, on_closed);
	uv_close((uv_handle_t *)&k->stop, on_closed);
	uv_close((uv_handle_t *)&k->resume, on_closed);
	uv_close((uv_handle_t *)&k->look, on_closed);
	return NULL;
}
