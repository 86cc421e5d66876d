/* SPDX-License-Identifier: MIT */
#include "golden/cases.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "infer/json_parse.h"

struct golden_cases *golden_cases_ref(struct golden_cases *g)
{
	if (g)
		g->n_refs++;
	return g;
}

static void case_fini(struct golden_case *c)
{
	for (size_t i = 0; i < c->n_tolerances; i++)
		free(c->tolerances[i].tensor);
	free(c->tolerances);
	free(c->weights);
	free(c->name);
}

struct golden_cases *golden_cases_unref(struct golden_cases *g)
{
	if (!g || --g->n_refs)
		return NULL;
	for (size_t i = 0; i < g->n; i++)
		case_fini(&g->cases[i]);
	free(g->cases);
	free(g->path);
	free(g);
	return NULL;
}

const struct tolerance *golden_case_tolerance(const struct golden_case *c, const char *tensor)
{
	for (size_t i = 0; i < c->n_tolerances; i++)
		if (strcmp(c->tolerances[i].tensor, tensor) == 0)
			return &c->tolerances[i].tolerance;
	return NULL;
}

bool golden_case_has_other_weights(const struct golden_cases *g, const struct golden_case *c)
{
	return c->weights && strcmp(c->weights, g->weights) != 0;
}

/* case.json */

static bool is_tolerable(struct node n, double *ret)
{
	return node_number(n, ret) && *ret >= 0 && *ret <= 1e300;
}

static int read_tolerance(struct golden_case *c, const char *tensor, size_t size, struct node value, struct buffer *why)
{
	static const struct node_key keys[] = { NODE_KEY("rtol"), NODE_KEY("atol") };
	struct node both[2];
	struct tolerance t;

	if (node_pick(value, keys, 2, both) || !is_tolerable(both[0], &t.rtol) || !is_tolerable(both[1], &t.atol)) {
		buffer_printf(why, "the tolerance of \"%.*s\" must be {\"rtol\": NUMBER, \"atol\": NUMBER}", (int)size, tensor);
		return 1;
	}
	c->tolerances = xrealloc(c->tolerances, (c->n_tolerances + 1) * sizeof(*c->tolerances));
	c->tolerances[c->n_tolerances++] = (struct golden_tolerance){ xstrndup(tensor, size), t };
	return 0;
}

static int read_weights(struct golden_case *c, struct node weights, struct buffer *why)
{
	const char *text;
	struct hash h;
	size_t size;

	if (node_is_absent(weights))
		return 0;
	if (node_string(weights, &text, &size))
		c->weights = xstrndup(text, size);
	if (c->weights && hash_from_text(c->weights, &h))
		return 0;
	buffer_puts(why, "the weights must be the 32 digits that devserve record writes, or be left out");
	return 1;
}

static int read_document(struct golden_case *c, struct node top, struct buffer *why)
{
	static const struct node_key keys[] = { NODE_KEY("tolerance"), NODE_KEY("weights") };
	struct node both[2], value;
	struct node_cursor cursor;
	const char *tensor;
	size_t size;
	int r;

	if (node_type(top) != NODE_OBJECT || node_pick(top, keys, 2, both)) {
		buffer_puts(why, "it must be an object");
		return 1;
	}
	r = read_weights(c, both[1], why);
	for (cursor = node_members(both[0]); r == 0 && node_next_member(&cursor, &tensor, &size, &value);)
		r = read_tolerance(c, tensor, size, value, why);
	return r;
}

static int parse(struct golden_case *c, struct buffer *text, struct buffer *why)
{
	const char *wrong;
	struct node top;
	int r;

	buffer_reserve(text, JSON_PADDING);
	r = json_parse(buffer_text(text), text->size, &top, &wrong);
	if (r != 0)
		buffer_puts(why, wrong);
	else
		r = read_document(c, top, why);
	json_close();
	return r ? 1 : 0;
}

static int read_case(struct golden_case *c, const char *directory, struct buffer *why)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/case.json", directory, c->name);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL, wrong = BUFFER_NULL;
	int r = file_read(path, &text);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		buffer_puts(&wrong, strerror(-r));
	else
		r = parse(c, &text, &wrong);
	if (r != 0)
		buffer_printf(why, "%s: %s", path, buffer_text(&wrong));
	return r ? 1 : 0;
}

/* Directories */

static int is_case(const struct dirent *d)
{
	return d->d_name[0] != '.' && (d->d_type == DT_DIR || d->d_type == DT_LNK || d->d_type == DT_UNKNOWN);
}

static void add(struct golden_cases *g, const char *name)
{
	_cleanup_free_ char *in = xasprintf("%s/%s/in", g->path, name);

	if (file_is_directory(in))
		g->cases[g->n++] = (struct golden_case){ .name = xstrdup(name) };
}

static void list(struct golden_cases *g)
{
	struct dirent **names = NULL;
	int n = scandir(g->path, &names, is_case, alphasort);

	g->cases = xcalloc(n > 0 ? (size_t)n : 1, sizeof(*g->cases));
	for (int i = 0; i < n; i++) {
		add(g, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

int golden_cases_read(const char *path, struct hash weights, struct golden_cases **ret, struct buffer *why)
{
	struct golden_cases *g = xcalloc(1, sizeof(*g));
	int r = 0;

	g->n_refs = 1;
	hash_text(weights, g->weights);
	g->path = path_join(path, GOLDEN_DIRECTORY);
	list(g);
	if (g->n > GOLDEN_MAX_CASES) {
		buffer_printf(why, "%s has %zu cases; at most %d can be proved at every save", g->path, g->n, GOLDEN_MAX_CASES);
		r = 1;
	}
	for (size_t i = 0; i < g->n && r == 0; i++)
		r = read_case(&g->cases[i], g->path, why);
	*ret = r == 0 ? g : NULL;
	if (r != 0)
		golden_cases_unref(g);
	return r;
}
