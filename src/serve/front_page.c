/* SPDX-License-Identifier: MIT */
#include "serve/front_page.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "serve/plugin.h"

static void put_text(struct buffer *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			buffer_puts(b, "&lt;");
		else if (*text == '&')
			buffer_puts(b, "&amp;");
		else
			buffer_putc(b, *text);
	}
}

static const char *describe(const struct handle *h)
{
	return h->state == HANDLE_READY ? "serves" : h->state == HANDLE_LOADING ? "is being built" : "is unavailable";
}

/* Names have no character that HTML would mind. */
static void put_deployment(struct buffer *b, const struct plugin *p)
{
	const struct handle *h = deployment_handle(p->deployment);
	const char *reason = h->state == HANDLE_READY ? p->reason : h->reason;

	buffer_printf(b, "<tr><td><a href=\"/v2/models/%s\">%s</a></td><td>%s", p->name, p->name, describe(h));
	if (h->generation)
		buffer_printf(b, " generation %" PRIu32, h->generation);
	buffer_puts(b, "</td><td>");
	put_text(b, reason ? reason : "");
	buffer_puts(b, "</td></tr>\n");
}

void front_page(const struct plugins *ps, struct buffer *ret)
{
	const struct plugin *p;

	buffer_puts(ret, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>devserve</title></head>"
			 "<body>\n<h1>devserve</h1>\n<table>\n");
	LIST_FOREACH(p, &ps->list, entry)
		if (p->deployment)
			put_deployment(ret, p);
	buffer_puts(ret, "</table>\n<p>Ask one with <code>POST /v2/models/NAME/infer</code>; "
			 "<a href=\"/v2\">the server</a>, <a href=\"/v2/health/ready\">whether it is ready</a></p>\n"
			 "</body></html>\n");
}
