/* SPDX-License-Identifier: MIT */
#include "ingress/coding.h"

#include <string.h>
#include <strings.h>

static const char *const names[CODINGS] = { "identity", "gzip", "deflate" };

const char *coding_name(enum coding c)
{
	return c == CODING_GZIP || c == CODING_DEFLATE ? names[c] : NULL;
}

static bool is(struct span s, const char *name)
{
	return s.size == strlen(name) && strncasecmp(s.at, name, s.size) == 0;
}

enum coding coding_of(struct span value)
{
	if (!value.size)
		return CODING_IDENTITY;
	for (int i = 0; i < CODINGS; i++)
		if (is(value, names[i]))
			return (enum coding)i;
	return is(value, "x-gzip") ? CODING_GZIP : CODING_UNKNOWN;
}

static struct span trim(struct span s)
{
	while (s.size && (*s.at == ' ' || *s.at == '\t'))
		s = (struct span){ s.at + 1, s.size - 1 };
	while (s.size && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '\t'))
		s.size--;
	return s;
}

/* Cut @rest at its first @end: returns what is before, trimmed, and leaves what is behind. */
static struct span cut(struct span *rest, char end)
{
	const char *at = rest->size ? memchr(rest->at, end, rest->size) : NULL;
	struct span s = { rest->at, at ? (size_t)(at - rest->at) : rest->size };
	size_t n = s.size + (at != NULL);

	*rest = (struct span){ rest->at + n, rest->size - n };
	return trim(s);
}

/* "q=0.25" -> 250; "" -> 1000; -1: malformed. */
static int weight_of(struct span s)
{
	static const int places[] = { 1000, 0, 100, 10, 1 };
	int weight = 0;

	if (!s.size)
		return 1000;
	if (s.size < 3 || s.size > 7 || (s.at[0] | 0x20) != 'q' || s.at[1] != '=')
		return -1;
	for (size_t i = 2; i < s.size; i++) {
		if (i == 3 ? s.at[i] != '.' : s.at[i] < '0' || s.at[i] > '9')
			return -1;
		if (i != 3)
			weight += (s.at[i] - '0') * places[i - 2];
	}
	return weight <= 1000 ? weight : -1;
}

static void read_member(struct coding_wish *w, struct span member)
{
	struct span name = cut(&member, ';');
	int weight = weight_of(trim(member));
	enum coding c = coding_of(name);

	if (weight < 0 || !name.size)
		return;
	if (is(name, "*")) {
		w->others = weight;
	} else if (c != CODING_UNKNOWN) {
		w->weight[c] = weight;
		w->place[c] = ++w->n;
	}
}

void coding_wish_read(struct coding_wish *w, struct span value)
{
	while (value.size)
		read_member(w, cut(&value, ','));
}

/* What isn't named is as good as '*'; where that isn't there either, nothing but identity is. */
static int weight_in(const struct coding_wish *w, enum coding c)
{
	return w->weight[c] >= 0 ? w->weight[c] : w->others;
}

bool coding_wish_takes_plain(const struct coding_wish *w)
{
	return weight_in(w, CODING_IDENTITY) != 0;
}

enum coding coding_wish_best(const struct coding_wish *w)
{
	enum coding best = CODING_UNKNOWN;
	int most = 0;

	for (enum coding c = CODING_GZIP; c < CODINGS; c++) {
		int weight = weight_in(w, c);

		if (weight > most || (weight > 0 && weight == most && w->place[c] && w->place[c] < w->place[best])) {
			most = weight;
			best = c;
		}
	}
	if (w->weight[CODING_IDENTITY] > most ||
	    (w->weight[CODING_IDENTITY] > 0 && w->weight[CODING_IDENTITY] == most &&
	     w->place[CODING_IDENTITY] < w->place[best]))
		return CODING_IDENTITY;
	if (best == CODING_UNKNOWN && coding_wish_takes_plain(w))
		return CODING_IDENTITY;
	return best;
}
