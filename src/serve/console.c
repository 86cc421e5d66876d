/* SPDX-License-Identifier: MIT */

/*
 * With several deployments, a, r and y ask which one: a name is typed, as far as it takes to tell it
 * from the others, while everything goes on above that line.
 */

#include "serve/console.h"

#include <ctype.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "serve/acceptance.h"
#include "serve/browser.h"
#include "serve/keyboard.h"
#include "serve/plugin.h"
#include "serve/terminal.h"

#define CONTROL(letter) ((letter) & 0x1f)
#define DELETE 0x7f
#define LONGEST_NAME 64

struct console {
	struct console_options o;
	char *url;
	uv_signal_t resize;
	struct keyboard *keyboard; /* NULL: there are no keys */
	struct browser *browser;
	const struct question *asking; /* for a name; or NULL */
	struct buffer typed;
};

/* What a key does to deployments, once it is known to which. */
struct question {
	const char *verb;
	bool (*concerns)(const struct plugin *p);
	void (*act)(struct console *c, struct plugin *p);
};

static bool is_deployed(const struct plugin *p)
{
	return p->deployment != NULL;
}

static void rebuild_it(struct console *c, struct plugin *p)
{
	(void)c;
	plugin_rebuild(p);
}

static void toggle_sanitizer(struct console *c, struct plugin *p)
{
	(void)c;
	plugin_sanitize(p, !p->sanitize);
}

/* It says which, for what was refused last needn't be what is meant. */
static void accept_it(struct console *c, struct plugin *p)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_free_ char *sentence = xasprintf("%s: what it answers now is accepted", p->name);

	terminal_say(c->o.terminal, accept_refused(p, &why) == 0 ? sentence : buffer_text(&why));
}

static const struct question rebuild = { "rebuild", is_deployed, rebuild_it };
static const struct question sanitize = { "a sanitizer for", is_deployed, toggle_sanitizer };
static const struct question acceptance = { "accept", accept_is_possible, accept_it };

/* Which */

static unsigned count(const struct console *c, const struct question *q)
{
	const struct plugin *p;
	unsigned n = 0;

	LIST_FOREACH(p, &c->o.plugins->list, entry)
		n += q->concerns(p);
	return n;
}

/* The one that is called @typed, or the only one whose name starts so. */
static struct plugin *find(const struct console *c, const char *typed)
{
	struct plugin *p, *found = NULL;
	unsigned n = 0;

	LIST_FOREACH(p, &c->o.plugins->list, entry) {
		if (!c->asking->concerns(p) || strncmp(p->name, typed, strlen(typed)) != 0)
			continue;
		if (strcmp(p->name, typed) == 0)
			return p;
		found = p;
		n++;
	}
	return n == 1 ? found : NULL;
}

/* Acting may remove a plugin, and bring in another: so by name, from a list made before. */
static void act_on_all(struct console *c, const struct question *q)
{
	struct plugins *ps = c->o.plugins;
	unsigned n = count(c, q), i = 0;
	char **names = xcalloc(n + 1, sizeof(*names));
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry)
		if (q->concerns(p))
			names[i++] = xstrdup(p->name);
	for (i = 0; i < n; i++) {
		p = plugins_find(ps, names[i]);
		if (p)
			q->act(c, p);
		free(names[i]);
	}
	free(names);
}

static void show_question(struct console *c)
{
	const char *typed = buffer_text(&c->typed);
	const struct plugin *p = *typed ? find(c, typed) : NULL;
	_cleanup_free_ char *line = xasprintf("%s which? (Enter: all %u, Esc: none) %s%s%s", c->asking->verb,
					      count(c, c->asking), typed,
					      p && strcmp(p->name, typed) != 0 ? "  → " : "",
					      p && strcmp(p->name, typed) != 0 ? p->name : "");

	terminal_set_prompt(c->o.terminal, line);
}

static void stop_asking(struct console *c)
{
	c->asking = NULL;
	buffer_reset(&c->typed);
	terminal_set_prompt(c->o.terminal, NULL);
}

static void answer(struct console *c)
{
	const char *typed = buffer_text(&c->typed);
	struct plugin *p = *typed ? find(c, typed) : NULL;
	_cleanup_free_ char *sentence = xasprintf("there is no deployment '%s', or more than one", typed);
	const struct question *q = c->asking;
	bool all = !*typed;

	stop_asking(c);
	if (all)
		act_on_all(c, q);
	else if (p)
		q->act(c, p);
	else
		terminal_say(c->o.terminal, sentence);
}

static void ask(struct console *c, const struct question *q)
{
	if (count(c, q) < 2) {
		act_on_all(c, q);
		return;
	}
	c->asking = q;
	show_question(c);
}

static void cut_typed(struct console *c, size_t size)
{
	while (c->typed.size > size)
		c->typed.data[--c->typed.size] = '\0';
}

static void complete(struct console *c)
{
	const struct plugin *p = find(c, buffer_text(&c->typed));

	if (!p)
		return;
	buffer_reset(&c->typed);
	buffer_puts(&c->typed, p->name);
}

static void edit(struct console *c, char key)
{
	if (key == '\t')
		complete(c);
	else if (key == DELETE || key == '\b')
		cut_typed(c, c->typed.size ? c->typed.size - 1 : 0);
	else if (key == CONTROL('U'))
		cut_typed(c, 0);
	else if ((isalnum((unsigned char)key) || strchr("_-.", key)) && c->typed.size < LONGEST_NAME)
		buffer_putc(&c->typed, key);
	show_question(c);
}

static void type(struct console *c, char key)
{
	if (key == '\r' || key == '\n')
		answer(c);
	else if (key == KEY_ESCAPE)
		stop_asking(c);
	else
		edit(c, key);
}

static void open_browser(struct console *c)
{
	_cleanup_free_ char *sentence = xasprintf("xdg-open, which would open a browser, is not there; it's at %s",
						  c->url);

	if (browser_open(c->browser, c->url) < 0)
		terminal_say(c->o.terminal, sentence);
}

static void help(struct console *c)
{
	static const char *const lines[] = {
		"  h  this list", "  r  rebuild a deployment, or all",
		"  a  serve a deployment under a sanitizer, or not any more", "  c  clear the screen",
		"  l  hide log lines, or show them", "  o  open the server's page in a browser",
		"  y  let a save serve that was refused for its answers", "  q  quit",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		terminal_say(c->o.terminal, lines[i]);
}

static void accept_one(struct console *c)
{
	if (count(c, &acceptance))
		ask(c, &acceptance);
	else
		terminal_say(c->o.terminal, "no save waits for that: none was refused for its answers");
}

static void act(struct console *c, char key)
{
	if (key == 'h' || key == '?')
		help(c);
	else if (key == 'r' && c->o.plugins)
		ask(c, &rebuild);
	else if (key == 'a' && c->o.plugins)
		ask(c, &sanitize);
	else if (key == 'c' || key == CONTROL('L'))
		terminal_clear(c->o.terminal);
	else if (key == 'l')
		terminal_toggle_logs(c->o.terminal);
	else if (key == 'o')
		open_browser(c);
	else if (key == 'y' && c->o.plugins)
		accept_one(c);
	else if (key == 'q')
		c->o.quit(c->o.context);
	else if (key == '\n' || key == '\r')
		terminal_say(c->o.terminal, ""); /* room between what was and what comes */
}

static void on_key(void *context, char key)
{
	struct console *c = context;

	if (c->asking)
		type(c, key);
	else
		act(c, key);
}

static void on_resumed(void *context)
{
	struct console *c = context;

	terminal_redraw(c->o.terminal);
}

static void on_resize(uv_signal_t *signal, int number)
{
	(void)number;
	on_resumed(signal->data);
}

struct console *console_new(uv_loop_t *loop, const struct console_options *o)
{
	struct console *c = xcalloc(1, sizeof(*c));

	c->o = *o;
	c->url = xstrdup(o->url);
	c->browser = browser_new(loop);
	uv_signal_init(loop, &c->resize);
	c->resize.data = c;
	uv_signal_start(&c->resize, on_resize, SIGWINCH);
	uv_unref((uv_handle_t *)&c->resize);
	if (terminal_is_live(o->terminal))
		c->keyboard = keyboard_new(loop, &(struct keyboard_callbacks){ on_key, on_resumed, c });
	return c;
}

void console_stop(struct console *c)
{
	if (!c)
		return;
	stop_asking(c);
	c->o.plugins = NULL;
}

static void on_closed(uv_handle_t *handle)
{
	struct console *c = handle->data;

	buffer_fini(&c->typed);
	free(c->url);
	free(c);
}

struct console *console_free(struct console *c)
{
	if (!c)
		return NULL;
	c->keyboard = keyboard_free(c->keyboard);
	c->browser = browser_free(c->browser);
	uv_close((uv_handle_t *)&c->resize, on_closed);
	return NULL;
}

void console_greet(struct console *c)
{
	if (c && keyboard_is_read(c->keyboard))
		terminal_say(c->o.terminal, "h lists the keys");
}
