/* SPDX-License-Identifier: MIT */

/*
 * A job that was started with '&', or sent there after Ctrl-Z, must not touch the terminal: a
 * shell uses it. Nobody tells a running job that it has come to the foreground, so as long as
 * we are in the background we look once a second.
 *
 * libuv makes what it polls non-blocking, and stdin's open file description is the shell's, too:
 * so the terminal is opened anew.
 */

#include "serve/keyboard.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/columns.h"
#include "base/memory.h"
#include "base/raw_mode.h"

#define LOOK_MS 1000

struct keyboard {
	int fd; /* the terminal that stdin is, with a description of our own */
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

static bool has_hung_up(int terminal)
{
	struct pollfd fd = { .fd = terminal, .events = POLLIN };

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct keyboard *k = poll->data;
	char keys[64];
	ssize_t n;

	if (!raw_mode_is_ours(k->fd)) {
		withdraw(k);
		look(k);
		return;
	}
	n = status < 0 ? -1 : read(k->fd, keys, sizeof(keys));
	if (n > 0)
		take(k, keys, (size_t)n);
	else if (n < 0 || events & UV_DISCONNECT || has_hung_up(k->fd))
		withdraw(k);
}

/* Read keys if the terminal is ours now; else look again later. */
static void look(struct keyboard *k)
{
	bool ours = raw_mode_is_ours(k->fd);

	if (ours && raw_mode_enter(k->fd) == 0) {
		uv_timer_stop(&k->look);
		uv_poll_start(&k->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	} else if (isatty(k->fd)) {
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
	int fd;

	if (!isatty(STDIN_FILENO) || !term || !*term || strcmp(term, "dumb") == 0)
		return NULL;
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return NULL; /* stdin isn't the terminal that we belong to */
	k = xcalloc(1, sizeof(*k));
	k->cb = *cb;
	k->fd = fd;
	if (uv_poll_init(loop, &k->poll, fd) < 0) {
		close(fd);
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

bool keyboard_is_read(const struct keyboard *k)
{
	return k && uv_is_active((const uv_handle_t *)&k->poll);
}

static void on_closed(uv_handle_t *handle)
{
	struct keyboard *k = handle->data;

	if (--k->n_handles)
		return;
	close(k->fd);
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
