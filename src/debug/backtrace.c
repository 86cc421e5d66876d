/* SPDX-License-Identifier: MIT */

/*
 * Through libdwfl: the modules are reported where they were loaded, so that addresses need no
 * translation. An inlined call is a frame of its own, at the line where it was called.
 *
 * A line is quoted only from a file that is older than its module: what was saved since, perhaps in
 * vain, has another text there than what ran. devserve keeps the time of an image for that.
 */

#include "debug/backtrace.h"

#include <ctype.h>
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_TEXT 400

char *__cxa_demangle(const char *mangled, char *buffer, size_t *size, int *status); /* of libstdc++ */

struct place {
	const char *file; /* or NULL */
	int line;
	struct timespec built; /* its module was */
};

static bool has_changed(const struct place *at)
{
	struct stat st;

	if (!at->file || stat(at->file, &st) < 0)
		return false;
	return st.st_mtim.tv_sec != at->built.tv_sec ? st.st_mtim.tv_sec > at->built.tv_sec :
						       st.st_mtim.tv_nsec > at->built.tv_nsec;
}

/* One line of @file, without what frames it. */
static void put_source(const struct place *at)
{
	FILE *f = at->file && at->line > 0 && !has_changed(at) ? fopen(at->file, "re") : NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t n = 0;

	for (int i = 0; f && i < at->line && n >= 0; i++)
		n = getline(&line, &size, f);
	while (f && n > 0 && isspace((unsigned char)line[n - 1]))
		n--;
	for (ssize_t i = 0; f && i < n && i < MAX_TEXT; i++)
		putchar(line[i] == '\t' ? ' ' : line[i]);
	putchar('\n');
	free(line);
	if (f)
		fclose(f);
}

static void put_function(const char *name)
{
	char *readable = name && strncmp(name, "_Z", 2) == 0 ? __cxa_demangle(name, NULL, NULL, NULL) : NULL;
	const char *text = readable ? readable : name ? name : "";

	for (size_t i = 0; text[i] && i < MAX_TEXT; i++)
		putchar((unsigned char)text[i] < 0x20 ? '?' : text[i]);
	free(readable);
}

static void put_frame(const char *function, const struct place *at)
{
	put_function(function);
	printf("\t%s\t%d\t%s\t", at->file && !strpbrk(at->file, "\t\n") ? at->file : "", at->line,
	       has_changed(at) ? "+" : "");
	put_source(at);
}

static const char *name_of(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute))
		name = dwarf_formstring(&attribute);
	return name ? name : dwarf_diename(die);
}

/* Where the inlined function @die was called. */
static void caller_of(Dwarf_Die *die, Dwarf_Die *unit, struct place *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Word file = 0, line = 0;
	Dwarf_Files *files;
	size_t n;

	*ret = (struct place){ .built = ret->built };
	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line) == 0)
		ret->line = (int)line;
	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 &&
	    dwarf_getsrcfiles(unit, &files, &n) == 0 && file < n)
		ret->file = dwarf_filesrc(files, file, NULL, NULL);
}

/* clang writes no table of which unit has which addresses: then each is asked. */
static Dwarf_Die *unit_at(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *ret_bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(module, address, ret_bias);

	if (unit)
		return unit;
	while ((unit = dwfl_module_nextcu(module, unit, ret_bias)))
		if (dwarf_haspc(unit, address - *ret_bias) == 1)
			return unit;
	return NULL;
}

/* The functions around @address, inlined ones first. Whether there was one. */
static int put_scopes(Dwarf_Die *unit, Dwarf_Addr address, struct place *at)
{
	Dwarf_Die *inner = NULL, *scopes = NULL;
	int n = 0, any = 0;

	if (unit && dwarf_getscopes(unit, address, &inner) > 0)
		n = dwarf_getscopes_die(&inner[0], &scopes);
	for (int i = 0; i < n; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
			continue;
		put_frame(name_of(&scopes[i]), at);
		any = 1;
		if (tag == DW_TAG_subprogram)
			break;
		caller_of(&scopes[i], unit, at);
	}
	free(scopes);
	free(inner);
	return any;
}

static const char *file_of(Dwfl_Module *module)
{
	return module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL; /* as reported */
}

static struct timespec time_of(Dwfl_Module *module)
{
	const char *file = file_of(module);
	struct stat st;

	return file && stat(file, &st) == 0 ? st.st_mtim : (struct timespec){ .tv_sec = INT64_MAX };
}

/* The function's name, or else that of the library it is in. */
static void put_symbol(Dwfl_Module *module, Dwarf_Addr address, const struct place *at)
{
	const char *name = module ? dwfl_module_addrname(module, address) : NULL, *file = file_of(module);
	char library[MAX_TEXT];

	if (!name && file && strncmp(file, "/proc/", 6) != 0) {
		snprintf(library, sizeof(library), "(in %s)", strrchr(file, '/') ? strrchr(file, '/') + 1 : file);
		name = library;
	}
	put_frame(name ? name : "(not known)", at);
}

static void put_address(Dwfl *dwfl, Dwarf_Addr address)
{
	Dwfl_Module *module = dwfl_addrmodule(dwfl, address);
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = module ? unit_at(module, address, &bias) : NULL;
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, address - bias) : NULL;
	struct place at = { .built = time_of(module) };

	if (line) {
		at.file = dwarf_linesrc(line, NULL, NULL);
		dwarf_lineno(line, &at.line);
	}
	if (!put_scopes(unit, address - bias, &at))
		put_symbol(module, address, &at);
}

static void report_module(Dwfl *dwfl, const char *text)
{
	const char *path = strchr(text, '=') + 1;

	dwfl_report_elf(dwfl, path, path, -1, strtoull(text, NULL, 16), true);
}

int debug_backtrace(int argc, char **argv)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	int i = 0, first;

	if (!dwfl)
		return 1;
	setenv("DEBUGINFOD_URLS", "", 1); /* never over the network */
	dwfl_report_begin(dwfl);
	for (; i < argc && strchr(argv[i], '='); i++)
		report_module(dwfl, argv[i]);
	dwfl_report_end(dwfl, NULL, NULL);
	for (first = i; i < argc; i++) {
		if (strcmp(argv[i], "-") == 0) {
			putchar('\n');
			first = i + 1;
		} else {
			put_address(dwfl, strtoull(argv[i], NULL, 16) - (i > first)); /* the call, not what follows it */
		}
	}
	dwfl_end(dwfl);
	return 0;
}
