/* SPDX-License-Identifier: MIT */

/*
 * Texts into tokens: BYTES come in and go out, in a number that nobody knows before.
 *
 * TEXT [n] gives LENGTHS [n], how many tokens each text has, and TOKENS, all of them in a row.
 * A word is a run of letters, digits, _ and everything beyond ASCII; each other visible
 * character is a token by itself. Nothing is cut but between ASCII characters, so what was
 * UTF-8 still is.
 *
 * The size of LENGTHS is known at once, so its memory is asked for first. TOKENS grow one by
 * one by devserve_append(), and their shape is said when they are counted.
 */

#include <devserve/deployment.h>

enum kind { SPACE, WORD, MARK };

static enum kind kind_of(char byte)
{
	unsigned char c = (unsigned char)byte, letter = c | 0x20;

	if (c == ' ' || (c >= '\t' && c <= '\r'))
		return SPACE;
	if (c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z'))
		return WORD;
	return MARK;
}

/* The end of what starts at @at and is all of one @kind. */
static size_t end_of(struct devserve_bytes text, size_t at, enum kind kind)
{
	do
		at++;
	while (kind != MARK && at < text.size && kind_of(text.data[at]) == kind);
	return at;
}

/* Append the tokens of @text; how many, or -1. */
static int32_t split(const struct devserve_call *call, struct devserve_bytes text)
{
	int32_t n = 0;

	for (size_t at = 0, end; at < text.size; at = end) {
		enum kind kind = kind_of(text.data[at]);

		end = end_of(text, at, kind);
		if (kind == SPACE)
			continue;
		if (devserve_append(call, 0, text.data + at, end - at) < 0)
			return -1;
		n++;
	}
	return n;
}

static int infer(const struct devserve_call *call)
{
	const struct devserve_tensor *texts = &call->in[0];
	int32_t *length = devserve_make(call, 1, devserve_dim(texts, 0));
	struct devserve_bytes text;
	int64_t n_tokens = 0;

	if (!length)
		return devserve_fail(call, "no memory for the lengths");
	for (size_t at = 0; devserve_next(texts, &at, &text); length++) {
		*length = split(call, text);
		if (*length < 0)
			return devserve_fail(call, "no memory for the tokens");
		n_tokens += *length;
	}
	return devserve_make(call, 0, n_tokens) ? 0 : devserve_fail(call, "no tokens");
}

DEVSERVE_DEPLOYMENT(
	.description = "Words and punctuation of texts.",
	.inputs = DEVSERVE_TENSORS({ "TEXT", DEVSERVE_BYTES, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "TOKENS", DEVSERVE_BYTES, { -1 } },
				    { "LENGTHS", DEVSERVE_INT32, { -1 } }),
	.infer = infer,
)
