/* SPDX-License-Identifier: MIT */

/*
 * The gate goes by lines. A line is judged once, when its line feed is there, whatever
 * the pieces it came in; so a client that sends byte by byte costs one search a byte.
 *
 * The framing fields (Host, Content-Length, Transfer-Encoding, Connection) are decided here and
 * not by the parser: two readers of a message that disagree about its length are what request
 * smuggling lives on, so there must be only one opinion, and it must be the strict one.
 */

#include "ingress/gate.h"

#include <string.h>
#include <strings.h>

#include "ingress/charset.h"

static int refuse(int status, const char *sentence, const char **ret_why)
{
	*ret_why = sentence;
	return status;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int judge_version(struct gate *g, const char *s, size_t size, const char **ret_why)
{
	if (size != 8 || memcmp(s, "HTTP/", 5) != 0 || !is_digit(s[5]) || s[6] != '.' || !is_digit(s[7]))
		return refuse(400, "The request line must end in HTTP/1.1.", ret_why);
	if (s[5] != '1' || s[7] > '1')
		return refuse(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.", ret_why);
	g->minor = (unsigned)(s[7] - '0');
	return 0;
}

/* "GET /v2 HTTP/1.1": two single spaces, nothing else between. */
static int judge_request_line(struct gate *g, const char *s, size_t size, const char **ret_why)
{
	size_t method = charset_run(CHARSET_TOKEN, s, size), target;

	if (!method || method == size || s[method] != ' ')
		return refuse(400, "The request line is malformed.", ret_why);
	s += method + 1;
	size -= method + 1;
	target = charset_run(CHARSET_TARGET, s, size);
	if (!target || target == size || s[target] != ' ')
		return refuse(400, "The request line is malformed: a target without spaces, "
				   "control bytes and '#' must follow the method.", ret_why);
	return judge_version(g, s + target + 1, size - target - 1, ret_why);
}

static int judge_host(struct gate *g, const char **ret_why)
{
	if (g->has_host)
		return refuse(400, "There must be one Host header, not several.", ret_why);
	g->has_host = true;
	return 0;
}

static int judge_length(struct gate *g, const char *value, size_t size, const char **ret_why)
{
	uint64_t length = 0;

	if (g->has_length)
		return refuse(400, "There must be one Content-Length, not several.", ret_why);
	if (size > 1 && value[0] == '0')
		return refuse(400, "Content-Length has leading zeros.", ret_why);
	for (size_t i = 0; i < size; i++) {
		if (!is_digit(value[i]) ||
		    __builtin_mul_overflow(length, 10, &length) ||
		    __builtin_add_overflow(length, (uint64_t)(value[i] - '0'), &length))
			return refuse(400, "Content-Length is not a number of bytes.", ret_why);
	}
	if (!size || length == UINT64_MAX)
		return refuse(400, "Content-Length is not a number of bytes.", ret_why);
	g->has_length = true;
	g->length = length;
	return 0;
}

static bool is_word(const char *s, size_t size, const char *word)
{
	return size == strlen(word) && strncasecmp(s, word, size) == 0;
}

static int judge_encoding(struct gate *g, const char *value, size_t size, const char **ret_why)
{
	if (g->chunked || g->minor == 0 || !is_word(value, size, "chunked"))
		return refuse(400, "The only Transfer-Encoding is \"chunked\", once, in HTTP/1.1.",
			      ret_why);
	g->chunked = true;
	return 0;
}

/* "close", "keep-alive, Upgrade": a list, and there may be several. */
static void note_connection(struct gate *g, const char *s, size_t size)
{
	const char *const end = s + size;

	while (s < end) {
		const char *comma = memchr(s, ',', (size_t)(end - s)), *next = comma ? comma + 1 : end;
		size_t n;

		while (s < end && (*s == ' ' || *s == '\t'))
			s++;
		n = charset_run(CHARSET_TOKEN, s, (size_t)(end - s));
		g->close |= is_word(s, n, "close");
		g->keep_alive |= is_word(s, n, "keep-alive");
		s = next;
	}
}

static int judge_framing(struct gate *g, const char *name, size_t name_size, const char *value,
			 size_t size, const char **ret_why)
{
	if (is_word(name, name_size, "host"))
		return judge_host(g, ret_why);
	if (is_word(name, name_size, "content-length"))
		return judge_length(g, value, size, ret_why);
	if (is_word(name, name_size, "transfer-encoding"))
		return judge_encoding(g, value, size, ret_why);
	if (is_word(name, name_size, "connection"))
		note_connection(g, value, size);
	return 0;
}

static int judge_field(struct gate *g, const char *s, size_t size, const char **ret_why)
{
	size_t name = charset_run(CHARSET_TOKEN, s, size), at = name + 1;

	if (++g->n_fields > GATE_MAX_FIELDS)
		return refuse(431, "There are more than 100 header fields.", ret_why);
	if (!name || name == size || s[name] != ':')
		return refuse(400, "A header field is malformed: each is one line, "
				   "\"Name: value\", without a space before the colon.", ret_why);
	if (charset_run(CHARSET_VALUE, s + at, size - at) != size - at)
		return refuse(400, "A header field has a control byte in it.", ret_why);
	while (at < size && (s[at] == ' ' || s[at] == '\t'))
		at++;
	while (size > at && (s[size - 1] == ' ' || s[size - 1] == '\t'))
		size--;
	return judge_framing(g, s, name, s + at, size - at, ret_why);
}

static int judge_end(struct gate *g, const char **ret_why)
{
	if (g->chunked && g->has_length)
		return refuse(400, "Content-Length and Transfer-Encoding exclude each other.",
			      ret_why);
	if (!g->has_host && g->minor > 0)
		return refuse(400, "The Host header is missing.", ret_why);
	return GATE_WHOLE;
}

/* One line without its CRLF. GATE_MORE: go on. */
static int judge_line(struct gate *g, const char *s, size_t size, size_t next, const char **ret_why)
{
	int r = GATE_MORE;

	if (g->fields) {
		if (!size)
			return judge_end(g, ret_why);
		return judge_field(g, s, size, ret_why);
	}
	if (size) {
		r = judge_request_line(g, s, size, ret_why);
		g->fields = next;
	} else if (next <= 4) {
		g->start = next; /* an empty line or two after the last body are tolerated */
	} else {
		r = refuse(400, "The request line is missing.", ret_why);
	}
	return r;
}

static int judge_size(const struct gate *g, size_t end, const char **ret_why)
{
	if (!g->fields && end - g->start > GATE_MAX_LINE)
		return refuse(414, "The request line is longer than 8 KiB.", ret_why);
	if (g->fields && end - g->fields > GATE_MAX_HEAD)
		return refuse(431, "The header fields are longer than 16 KiB.", ret_why);
	return 0;
}

/*
 * A request line that has begun. What can't become one is told so at once: who speaks TLS, or
 * anything else, to this port waits for us to say something.
 */
static int judge_beginning(struct gate *g, const char *s, size_t size, const char **ret_why)
{
	g->is_head = size > 4 && memcmp(s, "HEAD ", 5) == 0;
	if (!size || charset_has(CHARSET_TOKEN, *s) || *s == '\r' || *s == '\n')
		return 0;
	return refuse(400, *s == '\x16' ? "This port speaks HTTP, not HTTPS."
				       : "The request line is malformed.", ret_why);
}

int gate_head(struct gate *g, const char *bytes, size_t size, const char **ret_why)
{
	for (;;) {
		const char *feed = memchr(bytes + g->seen, '\n', size - g->seen);
		size_t next = feed ? (size_t)(feed - bytes) + 1 : size;
		int r = g->fields ? 0 : judge_beginning(g, bytes + g->at, size - g->at, ret_why);

		if (!r)
			r = judge_size(g, next, ret_why);
		g->seen = next;
		if (r || !feed)
			return r;
		if (next - g->at < 2 || feed[-1] != '\r')
			return refuse(400, "Lines end in CR LF.", ret_why);
		r = judge_line(g, bytes + g->at, next - 2 - g->at, next, ret_why);
		g->at = next;
		if (r)
			return r;
	}
}
