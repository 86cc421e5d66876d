/* SPDX-License-Identifier: MIT */

/*
 * The header is the text of a Python dictionary with three keys. Of Python's grammar it needs
 * strings, True, False, whole numbers and a tuple of them; anything else is refused, and so
 * is what would make sizes overflow. Nothing is believed about sizes but what is there.
 */

#include "array/npy_header.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "infer/tensor.h"

#define MAGIC "\x93NUMPY"
#define MAX_HEADER 65536

struct text {
	const char *at, *end;
	struct npy_header *header;
	struct buffer *why;
	unsigned seen; /* keys, a bit each */
};

static int refuse(struct buffer *why, const char *sentence)
{
	buffer_puts(why, sentence);
	return -EINVAL;
}

static void skip_blanks(struct text *t)
{
	while (t->at < t->end && *t->at && strchr(" \t\r\n\f", *t->at))
		t->at++;
}

static bool skip(struct text *t, char c)
{
	skip_blanks(t);
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

/* A string without escapes. */
static bool read_string(struct text *t, const char **ret, size_t *ret_size)
{
	char quote = skip(t, '\'') ? '\'' : skip(t, '"') ? '"' : '\0';
	const char *end = quote ? memchr(t->at, quote, (size_t)(t->end - t->at)) : NULL;

	if (!end || memchr(t->at, '\\', (size_t)(end - t->at)))
		return false;
	*ret = t->at;
	*ret_size = (size_t)(end - t->at);
	t->at = end + 1;
	return true;
}

static bool read_word(struct text *t, const char *word)
{
	size_t size = strlen(word);

	skip_blanks(t);
	if ((size_t)(t->end - t->at) < size || memcmp(t->at, word, size) != 0)
		return false;
	t->at += size;
	return true;
}

static bool read_number(struct text *t, int64_t *ret)
{
	int64_t n = 0;

	skip_blanks(t);
	if (t->at == t->end || !isdigit((unsigned char)*t->at))
		return false;
	for (; t->at < t->end && isdigit((unsigned char)*t->at); t->at++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *t->at - '0', &n))
			return false;
	*ret = n;
	return true;
}

/* The descr: "<f4" */

static bool is_known(const struct npy_header *h)
{
	switch (h->kind) {
	case 'b':
		return h->item == 1;
	case 'i':
	case 'u':
		return h->item == 1 || h->item == 2 || h->item == 4 || h->item == 8;
	case 'f':
		return h->item == 2 || h->item == 4 || h->item == 8;
	default:
		return (h->kind == 'S' || h->kind == 'U') && h->item > 0;
	}
}

static int refuse_descr(struct text *t, const char *descr, size_t size)
{
	if (size > 1 && descr[1] == 'O')
		return refuse(t->why, "it holds Python objects, which no tensor is");
	buffer_printf(t->why, "elements of the type '%.*s' can't be sent; convert them with astype()",
		      (int)(size < 40 ? size : 40), descr);
	return -EINVAL;
}

static int read_descr(struct text *t)
{
	struct npy_header *h = t->header;
	struct text number;
	const char *descr;
	int64_t item;
	size_t size;

	if (skip(t, '['))
		return refuse(t->why, "it holds records; save one of their fields");
	if (!read_string(t, &descr, &size))
		return refuse(t->why, "its header has no 'descr' that can be read");
	if (size < 3 || !memchr("<>|=", descr[0], 4))
		return refuse_descr(t, descr, size);
	number = (struct text){ .at = descr + 2, .end = descr + size };
	if (!read_number(&number, &item) || number.at != number.end || item > INT32_MAX)
		return refuse_descr(t, descr, size);
	h->kind = descr[1];
	h->item = h->kind == 'U' ? (uint64_t)item * 4 : (uint64_t)item;
	h->swapped = descr[0] == '>';
	return is_known(h) ? 0 : refuse_descr(t, descr, size);
}

static int read_fortran(struct text *t)
{
	t->header->fortran = read_word(t, "True");
	if (t->header->fortran || read_word(t, "False"))
		return 0;
	return refuse(t->why, "its header's 'fortran_order' is neither True nor False");
}

static int read_shape(struct text *t)
{
	struct npy_header *h = t->header;
	bool comma = true;

	if (!skip(t, '('))
		return refuse(t->why, "its header has no 'shape' that can be read");
	for (h->rank = 0; !skip(t, ')'); h->rank++) {
		if (h->rank == DEVSERVE_MAX_RANK) {
			buffer_printf(t->why, "it has more than %d dimensions", DEVSERVE_MAX_RANK);
			return -EINVAL;
		}
		if (!comma || !read_number(t, &h->shape[h->rank]))
			return refuse(t->why, "its header has no 'shape' that can be read");
		comma = skip(t, ',');
	}
	return 0;
}

static int read_member(struct text *t)
{
	static const struct {
		const char *name;
		int (*read)(struct text *t);
	} keys[] = { { "descr", read_descr }, { "fortran_order", read_fortran }, { "shape", read_shape } };
	const char *key;
	size_t size;

	if (!read_string(t, &key, &size) || !skip(t, ':'))
		return refuse(t->why, "its header can't be read");
	for (unsigned i = 0; i < 3; i++) {
		if (strlen(keys[i].name) != size || memcmp(keys[i].name, key, size) != 0)
			continue;
		if (t->seen >> i & 1)
			return refuse(t->why, "its header says something twice");
		t->seen |= 1u << i;
		return keys[i].read(t);
	}
	return refuse(t->why, "its header says something that isn't known");
}

static int read_dictionary(struct text *t)
{
	bool comma = true;
	int r = 0;

	if (!skip(t, '{'))
		return refuse(t->why, "its header can't be read");
	while (r == 0 && !skip(t, '}')) {
		if (!comma)
			return refuse(t->why, "its header can't be read");
		r = read_member(t);
		comma = skip(t, ',');
	}
	if (r == 0)
		skip_blanks(t);
	if (r == 0 && (t->at != t->end || t->seen != 7))
		return refuse(t->why, "its header can't be read");
	return r;
}

/* Where the dictionary is. */
static int find_dictionary(const char *bytes, size_t size, struct text *ret, struct buffer *why)
{
	const unsigned char *b = (const unsigned char *)bytes;
	size_t length, at;

	if (size < 10 || memcmp(bytes, MAGIC, 6) != 0)
		return refuse(why, "it is no .npy file");
	if (b[6] < 1 || b[6] > 3 || b[7] != 0) {
		buffer_printf(why, "its version %u.%u isn't known", b[6], b[7]);
		return -EINVAL;
	}
	at = b[6] == 1 ? 10 : 12;
	if (size < at)
		return refuse(why, "it ends in its header");
	length = b[8] | (size_t)b[9] << 8;
	if (b[6] > 1)
		length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
	if (length > size - at)
		return refuse(why, "it ends in its header");
	if (length > MAX_HEADER)
		return refuse(why, "its header is too long");
	ret->at = bytes + at;
	ret->end = bytes + at + length;
	return 0;
}

static int check_size(const struct npy_header *h, size_t there, struct buffer *why)
{
	int64_t n = tensor_elements(h->shape, h->rank);
	uint64_t needed;

	if (n < 0 || __builtin_mul_overflow((uint64_t)n, h->item, &needed))
		return refuse(why, "its header promises more than any file could hold");
	if (needed == there)
		return 0;
	buffer_printf(why, "its header promises %" PRIu64 " bytes of data, but there are %zu", needed, there);
	return -EINVAL;
}

int npy_header_parse(const char *bytes, size_t size, struct npy_header *ret, struct buffer *why)
{
	struct npy_header h = { .kind = '\0' };
	struct text t = { .header = &h, .why = why };
	int r = find_dictionary(bytes, size, &t, why);

	if (r == 0)
		r = read_dictionary(&t);
	if (r < 0)
		return r;
	h.data_at = (size_t)(t.end - bytes);
	r = check_size(&h, size - h.data_at, why);
	if (r < 0)
		return r;
	h.elements = (uint64_t)tensor_elements(h.shape, h.rank);
	*ret = h;
	return 0;
}
