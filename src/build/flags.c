/* SPDX-License-Identifier: MIT */

/*
 * nvcc could be told to forward what it doesn't know (-forward-unknown-opts), but then takes -Og, -Werror
 * and -std=gnu++20 for its own, refuses them, and before 10.1 had no such option. So each flag that
 * isn't in the table is wrapped in -Xcompiler=. At commas nvcc divides what follows some options; a
 * backslash keeps it from that.
 */

#include "build/flags.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

enum { HOST = 1, NVCC = 2, NVRTC = 4, ONE_ARCHITECTURE = 8, NO_OBJECT = 16 };

static const struct option {
	const char *name, *abbreviation; /* behind two dashes, behind one; NULL: there is none */
	bool wants_value;                /* after '=', or as the next word */
	unsigned who;                    /* who gets it; or why nobody does */
} options[] = {
	{ "Ofast-compile", "Ofc", true, NVCC | NVRTC },
	{ "Werror", NULL, true, NVCC }, /* with one dash it's gcc's */
	{ NULL, "Wdefault-stream-launch", false, NVCC },
	{ NULL, "Wext-lambda-captures-this", false, NVCC },
	{ NULL, "Wmissing-launch-bounds", false, NVCC },
	{ "Wno-deprecated-gpu-targets", "Wno-deprecated-gpu-targets", false, NVCC },
	{ "allow-unsupported-compiler", "allow-unsupported-compiler", false, NVCC },
	{ "brief-diagnostics", "brief-diag", true, NVCC | NVRTC },
	{ "builtin-initializer-list", "builtin-initializer-list", true, NVRTC },
	{ "builtin-move-forward", "builtin-move-forward", true, NVRTC },
	{ "compiler-bindir", "ccbin", true, NVCC },
	{ "compiler-options", "Xcompiler", true, NVCC },
	{ "compress-mode", "compress-mode", true, NVCC },
	{ "cubin", "cubin", false, NO_OBJECT },
	{ "default-stream", "default-stream", true, NVCC },
	{ "device-as-default-execution-space", "default-device", false, NVRTC },
	{ "device-c", "dc", false, NO_OBJECT },
	{ "device-debug", "G", false, NVCC | NVRTC },
	{ "device-int128", "device-int128", false, NVRTC },
	{ "device-stack-protector", "device-stack-protector", true, NVCC | NVRTC },
	{ "diag-error", "diag-error", true, NVCC | NVRTC },
	{ "diag-suppress", "diag-suppress", true, NVCC | NVRTC },
	{ "diag-warn", "diag-warn", true, NVCC | NVRTC },
	{ "display-error-number", "err-no", false, NVCC | NVRTC },
	{ "dlink-time-opt", "dlto", false, NO_OBJECT },
	{ "dopt", "dopt", true, NVCC | NVRTC },
	{ "expt-extended-lambda", "expt-extended-lambda", false, NVCC },
	{ "expt-relaxed-constexpr", "expt-relaxed-constexpr", false, NVCC },
	{ "extended-lambda", "extended-lambda", false, NVCC },
	{ "extra-device-vectorization", "extra-device-vectorization", false, NVCC | NVRTC },
	{ "fatbin", "fatbin", false, NO_OBJECT },
	{ "fdevice-time-trace", "fdevice-time-trace", true, NVCC | NVRTC },
	{ "fmad", "fmad", true, NVCC | NVRTC },
	{ "ftz", "ftz", true, NVCC | NVRTC },
	{ "generate-code", "gencode", true, ONE_ARCHITECTURE },
	{ "generate-line-info", "lineinfo", false, NVCC | NVRTC },
	{ "gpu-architecture", "arch", true, NVCC | NVRTC },
	{ "gpu-code", "code", true, ONE_ARCHITECTURE },
	{ "keep-device-functions", "keep-device-functions", false, NVCC },
	{ "ltoir", "ltoir", false, NO_OBJECT },
	{ "maxrregcount", "maxrregcount", true, NVCC | NVRTC },
	{ "minimal", "minimal", false, NVRTC },
	{ "modify-stack-limit", "modify-stack-limit", true, NVRTC },
	{ "no-compress", "no-compress", false, NVCC },
	{ "no-display-error-number", "no-err-no", false, NVCC },
	{ "no-source-include", "no-source-include", false, NVRTC },
	{ "optix-ir", "optix-ir", false, NO_OBJECT },
	{ "prec-div", "prec-div", true, NVCC | NVRTC },
	{ "prec-sqrt", "prec-sqrt", true, NVCC | NVRTC },
	{ "ptx", "ptx", false, NO_OBJECT },
	{ "ptxas-options", "Xptxas", true, NVCC | NVRTC },
	{ "relocatable-device-code", "rdc", true, NO_OBJECT },
	{ "resource-usage", "res-usage", false, NVCC },
	{ "restrict", "restrict", false, NVCC | NVRTC },
	{ "source-in-ptx", "src-in-ptx", false, NVCC },
	{ "split-compile", "split-compile", true, NVCC | NVRTC },
	{ "threads", NULL, true, NVCC },
	{ "use_fast_math", "use_fast_math", false, NVCC | NVRTC },
	/* Of all compilers */
	{ NULL, "include", true, HOST | NVCC | NVRTC },
	{ NULL, "isystem", true, HOST | NVCC },
	{ "disable-warnings", NULL, false, NVCC | NVRTC },
	{ NULL, "w", false, HOST | NVCC | NVRTC },
};

struct flag { /* one or two of the author's words */
	const struct option *option; /* NULL: none of the table's */
	char letter;                 /* of -D, -I, -U, -O; 0: none of these */
	bool is_standard;            /* -std=… */
	const char *word, *next;     /* NULL: it's one word */
	const char *value;           /* NULL: it has none */
};

static bool is_named(const char *word, size_t size, const char *name)
{
	return name && strlen(name) == size && memcmp(word, name, size) == 0;
}

static const struct option *find_option(const char *word)
{
	bool twice = word[0] == '-' && word[1] == '-';
	const char *name = word + 1 + twice;
	size_t size = strcspn(name, "= ");

	for (size_t i = 0; word[0] == '-' && i < ARRAY_SIZE(options); i++)
		if (is_named(name, size, twice ? options[i].name : options[i].abbreviation))
			return &options[i];
	return NULL;
}

/* The flag at @at, which is moved behind it. */
static struct flag take(char *const **at)
{
	const char *word = *(*at)++, *equals = strchr(word, '=');
	struct flag f = { .option = find_option(word), .word = word, .value = equals ? equals + 1 : NULL };

	f.is_standard = strncmp(word, "-std=", 5) == 0 || strncmp(word, "--std=", 6) == 0;
	if (!f.option && word[0] == '-' && word[1] && strchr("DIUO", word[1]))
		f.letter = word[1];
	if (**at && ((f.option && f.option->wants_value && !equals) || (f.letter && f.letter != 'O' && !word[2])))
		f.value = f.next = *(*at)++;
	return f;
}

static bool is_option(const struct flag *f, const char *name)
{
	return f->option && f->option->name && strcmp(f->option->name, name) == 0;
}

static bool is_architecture(const struct flag *f)
{
	return is_option(f, "gpu-architecture");
}

static bool is_native(const struct flag *f)
{
	return !f->value || strcmp(f->value, "native") == 0;
}

static void add_pair(struct words *ret, const struct flag *f)
{
	words_add(ret, f->word);
	if (f->next)
		words_add(ret, f->next);
}

/* @before and @word, at whose commas nvcc doesn't divide it. */
static void add_whole(struct words *ret, const char *before, const char *word)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	buffer_puts(&b, before);
	for (; *word; word++)
		buffer_printf(&b, "%s%c", *word == ',' ? "\\" : "", *word);
	words_add(ret, buffer_text(&b));
}

/* What isn't a number is an -O of gcc's alone. */
static bool is_of_gcc(const struct flag *f)
{
	return f->letter == 'O' && (!isdigit((unsigned char)f->word[2]) || f->word[3]);
}

/* GNU's extensions are what nvcc's host compiler has or hasn't; a standard of C is none of these compilers'. */
static void add_standard(const struct flag *f, struct words *ret)
{
	const char *plus = strstr(f->value, "++");

	if (plus)
		words_printf(ret, "-std=c%s", plus);
}

/*
 * With -arch=sm_90a nvcc 13 also makes PTX for compute_90, where what sm_90a is there for is a mistake.
 */
void flags_add_architecture(enum family family, const char *architecture, struct words *ret)
{
	size_t n = strlen(architecture);

	if (family == FAMILY_NVCC && n > 3 && isalpha((unsigned char)architecture[n - 1]))
		words_printf(ret, "-gencode=arch=compute_%s,code=%s", architecture + 3, architecture);
	else
		words_printf(ret, "-arch=%s", architecture);
}

static void add_architecture(enum family family, const struct flag *f, struct words *ret)
{
	if (!is_native(f))
		flags_add_architecture(family, f->value, ret);
}

static void add_for_nvcc(const struct flag *f, struct words *ret)
{
	if (is_architecture(f)) {
		add_architecture(FAMILY_NVCC, f, ret);
	} else if (f->is_standard) {
		add_standard(f, ret);
	} else if (f->option) {
		add_pair(ret, f);
	} else if (f->letter && !is_of_gcc(f)) {
		add_whole(ret, "", f->word);
		if (f->next)
			add_whole(ret, "", f->next);
	} else if (strcmp(f->word, "-g") != 0) {
		add_whole(ret, "-Xcompiler=", f->word);
	}
}

/* NVRTC takes one option of ptxas's at a time. */
static void add_ptxas_options(const char *list, struct words *ret)
{
	for (size_t n; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		words_printf(ret, "-Xptxas=%.*s", (int)n, list);
	}
}

static void add_for_nvrtc(const struct flag *f, struct words *ret)
{
	if (is_architecture(f))
		add_architecture(FAMILY_NVRTC, f, ret);
	else if (f->is_standard)
		add_standard(f, ret);
	else if (f->value && is_option(f, "ptxas-options"))
		add_ptxas_options(f->value, ret);
	else if ((f->option && f->option->who & NVRTC) || (f->letter && f->letter != 'O'))
		add_pair(ret, f);
}

void flags_add(enum family family, char *const *cflags, struct words *ret)
{
	while (cflags && *cflags) {
		struct flag f = take(&cflags);

		if (family == FAMILY_NVCC && (!f.option || f.option->who & NVCC))
			add_for_nvcc(&f, ret);
		else if (family == FAMILY_NVRTC)
			add_for_nvrtc(&f, ret);
		else if (family != FAMILY_NVCC && (!f.option || f.option->who & HOST))
			add_pair(ret, &f);
	}
}

/* The device's compilers warn of an option that is there twice, or beside one that rules it out. */
static bool replaces(const struct flag *author, const struct flag *own)
{
	if (is_architecture(own) || is_option(own, "generate-code"))
		return is_architecture(author) && !is_native(author);
	if (own->is_standard)
		return author->is_standard && strstr(author->value, "++");
	if (own->letter == 'O')
		return author->letter == 'O' && !is_of_gcc(author);
	if (is_option(own, "generate-line-info"))
		return is_option(author, "device-debug");
	return is_option(own, "compiler-bindir") && is_option(author, "compiler-bindir");
}

static bool is_replaced(const struct flag *own, char *const *cflags)
{
	while (cflags && *cflags) {
		struct flag author = take(&cflags);

		if (replaces(&author, own))
			return true;
	}
	return false;
}

void flags_add_own(const struct compiler *c, char *const *cflags, struct words *ret)
{
	bool device = c->family == FAMILY_NVCC || c->family == FAMILY_NVRTC;
	char *const *own = c->flags.at;

	while (own && *own) {
		struct flag f = take(&own);

		if (!device || !is_replaced(&f, cflags))
			add_pair(ret, &f);
	}
}

const char *flags_host_compiler(char *const *cflags)
{
	const char *last = NULL;

	while (cflags && *cflags) {
		struct flag f = take(&cflags);

		if (is_option(&f, "compiler-bindir"))
			last = f.value;
	}
	return last;
}

/* "sm_90", "sm_90a", "sm_100f" */
static bool names_processor(const char *value)
{
	size_t digits = strncmp(value, "sm_", 3) == 0 ? strspn(value + 3, "0123456789") : 0;
	const char *end = digits ? value + 3 + digits : "";

	return digits && (!*end || (strchr("af", *end) && !end[1]));
}

static bool is_mistaken(const struct flag *f, struct buffer *why)
{
	if (!f->option)
		return false;
	if (f->option->who == ONE_ARCHITECTURE)
		buffer_printf(why, "%s is for programs that go to many GPUs, and this one is built where it runs: -arch=sm_90a, "
			      "or no such flag", f->word);
	else if (f->option->who == NO_OBJECT && (!f->value || strcmp(f->value, "false") != 0))
		buffer_printf(why, "%s makes what a worker can't load: each source is machine code by itself", f->word);
	else if (strchr(f->word, ' ') && !strchr(f->word, '='))
		buffer_printf(why, "'%s' is two words, which are two items, or one with '=' between", f->word);
	else if (f->option->wants_value && !f->value)
		buffer_printf(why, "%s wants a value, in the same item after '=', or as the next one", f->word);
	else if (is_architecture(f) && strcmp(f->value, "native") != 0 && !names_processor(f->value))
		buffer_printf(why, "%s: '%s' is no GPU's machine code; sm_90a is, and native is that of the GPU which is here",
			      f->word, f->value);
	return why->size > 0;
}

ssize_t flags_find_mistake(char *const *cflags, struct buffer *why)
{
	char *const *first = cflags;

	while (cflags && *cflags) {
		ssize_t at = cflags - first;
		struct flag f = take(&cflags);

		if (is_mistaken(&f, why))
			return at;
	}
	return -1;
}

/* Whether @part is in @message, and not as a piece of a longer word. */
static bool is_said(const char *message, const char *part, size_t size)
{
	for (const char *p = message; size && (p = memmem(p, strlen(p), part, size)); p++) {
		bool starts = p == message || strchr(" '\"(-", p[-1]) || (unsigned char)p[-1] >= 0x80;

		if (starts && !isalnum((unsigned char)p[size]) && p[size] != '_')
			return true;
	}
	return false;
}

/*
 * Whether @message is about what an option was given, and not about code, in which any word may be that is
 * also in a flag: "Entry function 'big' uses too much shared data".
 */
static bool speaks_of_options(const char *message)
{
	static const char *const words[] = { "option", "options", "argument", "arguments", "value", "Value", "architecture",
					     "switch", "expected a number", "expected true or false", "No such file" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		for (const char *p = message; (p = strstr(p, words[i])); p++)
			if ((p == message || p[-1] == ' ') && strchr(" ,:;.", p[strlen(words[i])]))
				return true;
	return false;
}

/* With a dash, or where @message is about options. */
static bool is_option_said(const char *message, const char *name, size_t size)
{
	_cleanup_free_ char *dashed = xasprintf("-%.*s", (int)size, name);

	return size > 1 && (is_said(message, dashed, size + 1) ||
			    (speaks_of_options(message) && is_said(message, name, size)));
}

static bool is_value_said(const char *message, const char *value)
{
	value += strspn(value, "-");
	return speaks_of_options(message) && is_said(message, value, strlen(value));
}

/*
 * How sure it is that @message is about @f: by the whole word, the option's name, the value. Of macros and
 * directories the name and the value are anything.
 */
static int likeness(const struct flag *f, const char *message)
{
	const char *name = f->word + strspn(f->word, "-");
	bool whole = is_said(message, f->word, strlen(f->word));

	if (whole && (f->word[0] == '-' || speaks_of_options(message)))
		return 3;
	if (f->letter && f->letter != 'O')
		return 0;
	if (is_option_said(message, name, strcspn(name, "=")) ||
	    (f->option && f->option->name && is_option_said(message, f->option->name, strlen(f->option->name))))
		return 2;
	return f->option && f->value && is_value_said(message, f->value);
}

ssize_t flags_find_refused(char *const *cflags, const char *message)
{
	char *const *first = cflags;
	ssize_t best = -1;
	int most = 0;

	while (cflags && *cflags) {
		ssize_t at = cflags - first;
		struct flag f = take(&cflags);
		int sure = likeness(&f, message);

		if (sure > most) {
			most = sure;
			best = at;
		}
	}
	return best;
}
