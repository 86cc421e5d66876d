/* SPDX-License-Identifier: MIT */

/*
 * ptxas says one of
 *
 *	ptxas error   : Entry function 'big' uses too much shared data (0x13880 bytes, 0xc000 max)
 *	ptxas fatal   : Unresolved extern function '_Z9elsewheref'
 *	ptxas application ptx input, line 23; error   : Unknown modifier '.op'
 *
 * The line is one of its own input, which nobody sees. And NVRTC:
 *
 *	k.cu(1): catastrophic error: cannot open source file "vector"
 */

#include "build/advice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

#define MISSING " open source file \"" /* cannot, or could not */
#define IDENTIFIER "identifier \""
#define UNRESOLVED "Unresolved extern function '"

/* Of libstdc++; its header is for C++ alone. */
char *__cxa_demangle(const char *mangled, char *ret, size_t *size, int *ret_status);

/* Where a message of ptxas starts in @line, NULL: it's none. @ret_severity: how bad it is. */
static const char *complaint(const char *line, const char **ret_severity)
{
	static const char *const words[][2] = { { "error", "error" }, { "fatal", "error" }, { "warning", "warning" } };
	const char *colon = strncmp(line, "ptxas ", 6) == 0 ? strstr(line, " : ") : NULL, *end = colon;

	while (end && end[-1] == ' ')
		end--;
	for (size_t i = 0; end && i < ARRAY_SIZE(words); i++) {
		size_t size = strlen(words[i][0]);

		if ((size_t)(end - line) <= size || memcmp(end - size, words[i][0], size) != 0 ||
		    end[-(ptrdiff_t)size - 1] != ' ')
			continue;
		*ret_severity = words[i][1];
		return colon + 3;
	}
	return NULL;
}

/* Once, however many lines ask for it. */
static void add_note(struct buffer *notes, const char *source, const char *text, const char *what, const char *rest)
{
	_cleanup_free_ char *note = xasprintf("%s: note: %s%s%s\n", source, text, what, rest);

	if (!strstr(buffer_text(notes), note))
		buffer_puts(notes, note);
}

static void advise_unresolved(const char *message, const char *source, struct buffer *ret)
{
	_cleanup_free_ char *symbol = NULL, *plain = NULL;

	if (strncmp(message, UNRESOLVED, strlen(UNRESOLVED)) != 0)
		return;
	message += strlen(UNRESOLVED);
	symbol = xstrndup(message, strcspn(message, "'"));
	plain = strncmp(symbol, "_Z", 2) == 0 ? __cxa_demangle(symbol, NULL, NULL, NULL) : NULL;
	add_note(ret, source, "each .cu is compiled alone: include the file that has ", plain ? plain : symbol, "");
}

static void advise_limits(const char *message, const char *source, struct buffer *ret)
{
	if (strstr(message, "not supported on .target") || strstr(message, "requires .target"))
		add_note(ret, source, "it is compiled for the GPU that is here, or sm_80; in deployment.yaml, "
				      "cflags: [-arch=sm_90a] chooses another", "", "");
	if (strstr(message, "uses too much shared data"))
		add_note(ret, source, "more than 48 KiB are the launch's to ask for: extern __shared__, and "
				      "`shared` of devserve_launch()", "", "");
}

/* C++ names its headers without a suffix. Of C's ours stand in for most (nvrtc/headers.h). */
static bool is_of_host(const char *header)
{
	static const char *const names[] = { "stdlib.h", "time.h", "errno.h", "unistd.h", "pthread.h" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(header, names[i]) == 0)
			return true;
	return !strpbrk(header, "./");
}

/* nvcc puts much before a source that NVRTC does not. */
static void advise_undefined(const char *line, const char *source, struct buffer *ret)
{
	static const char *const headers[][2] = {
		{ "INFINITY", "math.h" }, { "NAN", "math.h" }, { "M_PI", "math.h" }, { "FLT_MAX", "float.h" },
		{ "FLT_MIN", "float.h" }, { "FLT_EPSILON", "float.h" }, { "INT_MAX", "limits.h" }, { "INT_MIN", "limits.h" },
		{ "UINT_MAX", "limits.h" }, { "int8_t", "stdint.h" }, { "uint8_t", "stdint.h" }, { "int16_t", "stdint.h" },
		{ "uint16_t", "stdint.h" }, { "int32_t", "stdint.h" }, { "uint32_t", "stdint.h" }, { "int64_t", "stdint.h" },
		{ "uint64_t", "stdint.h" }, { "half", "cuda_fp16.h" }, { "__half", "cuda_fp16.h" }, { "half2", "cuda_fp16.h" },
		{ "__nv_bfloat16", "cuda_bf16.h" },
	};
	const char *name = strstr(line, IDENTIFIER);
	size_t size;

	if (!name || !strstr(name, "\" is undefined"))
		return;
	name += strlen(IDENTIFIER);
	size = strcspn(name, "\"");
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		if (strlen(headers[i][0]) == size && memcmp(headers[i][0], name, size) == 0)
			add_note(ret, source, "NVRTC includes nothing by itself: #include <", headers[i][1], ">");
}

/* Whether @line is of a part of CUB or Thrust that is the host's, at least with what it includes. */
static bool advise_cccl(const char *line, const char *source, struct buffer *ret)
{
	const char *place = strstr(line, "): "), *cub = strstr(line, "/cub/"), *thrust = strstr(line, "/thrust/");

	if (!place || !((cub && cub < place) || (thrust && thrust < place)))
		return false;
	add_note(ret, source, "kernels take <cub/block/…> and <cub/warp/…>; <cub/cub.cuh> and Thrust are for a .cu that nvcc "
			      "compiles, with its launches", "", "");
	return true;
}

static void advise_missing(const char *line, const char *source, struct buffer *ret)
{
	const char *name = strstr(line, "error: could not" MISSING) || strstr(line, "error: cannot" MISSING)
				   ? strstr(line, MISSING) + strlen(MISSING) : NULL;
	_cleanup_free_ char *header = name ? xstrndup(name, strcspn(name, "\"")) : NULL;

	if (header && is_of_host(header))
		add_note(ret, source, "NVRTC, which compiles kernels, has no library of the host: include what there is in "
				      "<cuda/std/…> instead of <", header, ">, or move what needs it to the host's source");
}

static void put_line(const char *line, const char *source, struct buffer *ret, struct buffer *notes)
{
	const char *severity, *message = complaint(line, &severity);

	if (!message) {
		buffer_printf(ret, "%s\n", line);
		advise_undefined(line, source, notes);
		if (!advise_cccl(line, source, notes))
			advise_missing(line, source, notes);
		return;
	}
	buffer_printf(ret, "%s: %s: %s\n", source, severity, message);
	advise_unresolved(message, source, notes);
	advise_limits(message, source, notes);
}

void advice_add(const char *text, const char *source, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer notes = BUFFER_NULL;

	while (*text) {
		size_t size = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, size);

		text += size + (text[size] == '\n');
		put_line(line, source, ret, &notes);
	}
	buffer_puts(ret, buffer_text(&notes));
}
