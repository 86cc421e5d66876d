/* SPDX-License-Identifier: MIT */
#include "cli/findings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/wrap.h"

#define VALUE 21      /* the column where a value starts, */
#define NARROW 24     /* or, where there would be fewer than these, */
#define VALUE_BELOW 4 /* that of a line of its own */

static const char *const states[] = {
	[FINDING_OK] = "ok",
	[FINDING_NOTE] = "note",
	[FINDING_MISSING] = "missing",
};

void findings_fini(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->at[i].value);
		free(f->at[i].mend);
	}
	free(f->at);
	*f = (struct findings)FINDINGS_NULL;
}

void findings_add(struct findings *f, const char *name, enum finding_state state, char *value, char *mend)
{
	f->at = xrealloc(f->at, (f->n + 1) * sizeof(*f->at));
	f->at[f->n++] = (struct finding){ name, state, value, mend };
}

bool findings_are_good(const struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->at[i].state == FINDING_MISSING)
			return false;
	return true;
}

void findings_put_text(const struct findings *f, size_t width, bool color, struct buffer *ret)
{
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m" };
	size_t column = width < VALUE + NARROW ? VALUE_BELOW : VALUE;

	for (size_t i = 0; i < f->n; i++) {
		const struct finding *one = &f->at[i];

		buffer_printf(ret, "%s%-7s%s  %-12s", color ? colors[one->state] : "", states[one->state],
			      color ? "\033[0m" : "", one->name);
		if (column != VALUE)
			buffer_printf(ret, "\n%*s", (int)column, "");
		text_wrap(ret, one->value, column, column, width);
		buffer_putc(ret, '\n');
		if (one->mend)
			buffer_printf(ret, "%*s%s\n", (int)column + 2, "", one->mend); /* whole, to be copied */
	}
}

void findings_put_json(const struct findings *f, struct buffer *ret)
{
	for (size_t i = 0; i < f->n; i++) {
		json_object(ret, NULL);
		json_string(ret, "name", f->at[i].name);
		json_string(ret, "state", states[f->at[i].state]);
		json_string(ret, "value", f->at[i].value);
		json_string(ret, "mend", f->at[i].mend);
		json_object_end(ret);
	}
}

/* The distribution */

/* The value of @key in /etc/os-release, without quotes; free(). NULL: it isn't there. */
static char *os_release(const char *key)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	size_t size = strlen(key);
	char *line, *rest;

	if (file_read("/etc/os-release", &text) < 0 && file_read("/usr/lib/os-release", &text) < 0)
		return NULL;
	for (rest = text.data; rest && (line = strsep(&rest, "\n"));) {
		if (strncmp(line, key, size) != 0 || line[size] != '=')
			continue;
		line += size + 1;
		line += *line == '"';
		return xstrndup(line, strcspn(line, "\""));
	}
	return NULL;
}

char *distribution_name(void)
{
	char *name = os_release("PRETTY_NAME");

	return name ? name : xstrdup("Linux");
}

static bool is_like(const char *family)
{
	_cleanup_free_ char *id = os_release("ID"), *like = os_release("ID_LIKE");

	return (id && strcmp(id, family) == 0) || (like && strstr(like, family));
}

char *package_command(const struct package *p)
{
	const char *sudo = getuid() == 0 ? "" : "sudo ";

	if (is_like("fedora") && p->fedora)
		return xasprintf("%sdnf install %s", sudo, p->fedora);
	if (is_like("arch") && p->arch)
		return xasprintf("%spacman -S %s", sudo, p->arch);
	if (is_like("debian"))
		return xasprintf("%sapt-get install %s", sudo, p->debian);
	return xasprintf("install what Debian calls %s", p->debian);
}
