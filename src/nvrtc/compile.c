/* SPDX-License-Identifier: MIT */
#include "nvrtc/compile.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "nvrtc/headers.h"
#include "nvrtc/names.h"

#define REQUEST_FD 3
#define MAX_OPTIONS 4096

typedef struct _nvrtcProgram *program;

/* NVIDIA's <nvrtc.h>; results are 0 or an error. */
#define NVRTC_FUNCTIONS(X)                                                                   \
	X(create, nvrtcCreateProgram, (program *ret, const char *text, const char *name, int n, \
		const char *const *headers, const char *const *names))                       \
	X(compile, nvrtcCompileProgram, (program p, int n, const char *const *options))      \
	X(add_name, nvrtcAddNameExpression, (program p, const char *expression))             \
	X(lowered_name, nvrtcGetLoweredName, (program p, const char *expression, const char **ret)) \
	X(destroy, nvrtcDestroyProgram, (program *p))                                        \
	X(log_size, nvrtcGetProgramLogSize, (program p, size_t *ret))                        \
	X(log, nvrtcGetProgramLog, (program p, char *ret))                                   \
	X(cubin_size, nvrtcGetCUBINSize, (program p, size_t *ret))                           \
	X(cubin, nvrtcGetCUBIN, (program p, char *ret))

static struct {
#define NVRTC_FIELD(field, symbol, arguments) int (*field) arguments;
	NVRTC_FUNCTIONS(NVRTC_FIELD)
#undef NVRTC_FIELD
} nvrtc;

static struct buffer opened; /* paths, each with its NUL */
static bool noting, alone;

bool compile_is_alone(void)
{
	return alone;
}

void compile_note(const char *path)
{
	struct stat st;

	if (noting && stat(path, &st) == 0 && S_ISREG(st.st_mode) && strncmp(path, "/proc/", 6) != 0)
		buffer_append(&opened, path, strlen(path) + 1);
}

static bool find_functions(const char *path)
{
	static const char *const names[] = {
#define NVRTC_NAME(field, symbol, arguments) #symbol,
		NVRTC_FUNCTIONS(NVRTC_NAME)
#undef NVRTC_NAME
	};
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		fprintf(stderr, "error: cannot load NVRTC: %s\n", dlerror());
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		void *address = dlsym(library, names[i]);

		if (!address) {
			fprintf(stderr, "error: %s is too old: it has no %s\n", path, names[i]);
			return false;
		}
		memcpy((char *)&nvrtc + i * sizeof(address), &address, sizeof(address));
	}
	return true;
}

/* What the library does once in its life it does now. */
static void warm_up(void)
{
	static const char *const options[] = { "--gpu-architecture=sm_80" };
	program p;

	if (nvrtc.create(&p, "extern \"C\" __global__ void warm(float *x) { x[threadIdx.x] += 1; }", "warm.cu",
			 0, NULL, NULL) != 0)
		return;
	nvrtc.compile(p, 1, options);
	nvrtc.destroy(&p);
}

/* Whether there was one. */
static bool read_request(struct buffer *ret)
{
	ssize_t n;

	do {
		n = read(REQUEST_FD, buffer_reserve(ret, 4096), 4096);
		if (n > 0)
			buffer_grow(ret, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return ret->size > 0;
}

static size_t split(const struct buffer *request, const char **words, size_t max)
{
	size_t n = 0;

	for (const char *p = request->data; p < request->data + request->size && n < max; p += strlen(p) + 1)
		words[n++] = p;
	return n;
}

static void put_path(struct buffer *b, const char *path)
{
	for (; *path; path++) {
		if (strchr(" #\\", *path))
			buffer_putc(b, '\\');
		if (*path == '$')
			buffer_putc(b, '$');
		buffer_putc(b, *path);
	}
}

static int write_depends(const char *path, const char *object, const char *source)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	put_path(&text, object);
	buffer_puts(&text, ": ");
	put_path(&text, source);
	for (size_t at = 0; at < opened.size; at += strlen(opened.data + at) + 1) {
		buffer_puts(&text, " \\\n ");
		put_path(&text, opened.data + at);
	}
	buffer_putc(&text, '\n');
	return file_write(path, text.data, text.size, 0644);
}

/* Of several parts, each with its NUL, one text. */
static void join(char *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		if (text[i])
			text[n++] = text[i];
		else if (n && text[n - 1] != '\n')
			text[n++] = '\n';
	text[n] = '\0';
}

/* The front end's part, and ptxas' figures and its complaints; free() */
static char *log_of(program p)
{
	size_t size = 0;
	char *text;

	if (nvrtc.log_size(p, &size) != 0)
		size = 0;
	text = xcalloc(size + 1, 1);
	if (size)
		nvrtc.log(p, text);
	join(text, size);
	return text;
}

static int write_cubin(program p, const char *path)
{
	size_t size = 0;
	char *bytes;
	int r;

	if (nvrtc.cubin_size(p, &size) != 0 || !size)
		return -ENODATA;
	bytes = xmalloc(size);
	r = nvrtc.cubin(p, bytes) == 0 ? file_write(path, bytes, size, 0644) : -ENODATA;
	free(bytes);
	return r;
}

/* One attempt, with all names that may be known. @ret_log: what was said; free(). */
static int try(const char *text, const char *source, const char *const *options, size_t n,
	       const struct names *names, program *ret, char **ret_log)
{
	struct headers h;
	int r;

	headers_choose(&h, source, options, n);
	r = nvrtc.create(ret, text, source, (int)h.n, h.texts, h.names);
	if (r != 0)
		return r;
	for (size_t i = 0; i < names->n; i++)
		if (!names->at[i].reason)
			nvrtc.add_name(*ret, names->at[i].expression);
	noting = true;
	r = nvrtc.compile(*ret, (int)n, options);
	noting = false;
	*ret_log = log_of(*ret);
	return r;
}

/* Names that the source does not know are mistakes to NVRTC; to us they are other sources'. */
static int try_until_known(const char *text, const char *source, const char *const *options, size_t n,
			   struct names *names, program *ret)
{
	_cleanup_free_ char *log = NULL;
	int r = try(text, source, options, n, names, ret, &log);

	while (r != 0 && log && names_drop_unknown(names, log)) {
		nvrtc.destroy(ret);
		free(log);
		log = NULL;
		r = try(text, source, options, n, names, ret, &log);
	}
	for (size_t i = 0; i < names->n; i++) {
		const char *symbol = NULL;

		if (r == 0 && !names->at[i].reason)
			nvrtc.lowered_name(*ret, names->at[i].expression, &symbol);
		names_tell(&names->at[i], symbol);
	}
	fputs(log ? log : "", stderr);
	return r;
}

static int compile(const char *source, const char *object, const char *depends, const char *const *options,
		   size_t n, struct names *names)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	program p;
	int r = file_read(source, &text);

	if (r < 0) {
		fprintf(stderr, "error: cannot read %s: %s\n", source, strerror(-r));
		return 1;
	}
	if (try_until_known(buffer_text(&text), source, options, n, names, &p) != 0)
		return 1;
	r = write_cubin(p, object);
	if (r == 0)
		r = write_depends(depends, object, source);
	if (r < 0)
		fprintf(stderr, "error: cannot write %s: %s\n", object, strerror(-r));
	return r < 0 ? 2 : 0;
}

/* SIGALRM ends us: who waits knows it by that, and says it. */
static void limit_time(const char *ms)
{
	unsigned long n = strtoul(ms, NULL, 10);
	struct itimerval limit = { .it_value = { (time_t)(n / 1000), (suseconds_t)(n % 1000 * 1000) } };

	signal(SIGALRM, SIG_DFL);
	setitimer(ITIMER_REAL, &limit, NULL);
}

int compile_one(const char *library)
{
	_cleanup_buffer_ struct buffer request = BUFFER_NULL;
	const char *words[4 + MAX_OPTIONS];
	struct names names;
	size_t n;

	alone = true;
	if (!find_functions(library))
		return 2;
	warm_up();
	if (!read_request(&request))
		return 0;
	n = split(&request, words, ARRAY_SIZE(words));
	if (n < 4)
		return 2;
	limit_time(words[3]);
	n = 4 + names_take(&names, words + 4, n - 4);
	n = (size_t)compile(words[0], words[1], words[2], words + 4, n - 4, &names);
	_exit((int)n); /* the library's destructors would take a while */
}
