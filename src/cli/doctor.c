/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/wrap.h"
#include "cli/cli.h"
#include "cli/findings.h"
#include "cli/gpus.h"
#include "cli/json_reader.h"
#include "serve/options.h"
#include "serve/style.h"

struct doctor_options {
	const char *root, *state_dir;
	bool json, no_color, calibrate;
};

#define ROW(...) OPTION_ROW(doctor_options, __VA_ARGS__)

static const struct option_row rows[] = {
	ROW(calibrate, "calibrate", 0, NULL, BOOL, NULL, 0, 0, "measure what this machine can do at best",
	    "Floating-point operations a second and bytes a second from each cache and from memory, by one thread "
	    "and by all. Takes two seconds of all CPUs, which should have nothing else to do; if "
	    "others had more than a twentieth of them, that is told. They are kept "
	    "below $XDG_CACHE_HOME/devserve; verdicts on plugins that state their work then tell shares of them."),
	ROW(json, "json", 0, NULL, BOOL, NULL, 0, 0, "print one JSON object"),
	ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	ROW(root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0, "the directory of the deployments"),
	ROW(state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0, "what the server is given as --state-dir"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "ROOT", .kind = OPTION_DIRECTORY, .offset = offsetof(struct doctor_options, root) },
};

static const struct example examples[] = {
	{ "devserve doctor --calibrate", "so that a verdict can say how far from the best a kernel is" },
};

static const struct exit_status exits[] = {
	{ 0, "Everything that is required is there." },
	{ 1, "Something that is required is missing." },
};

static char *machine(void)
{
	_cleanup_free_ char *distribution = distribution_name();
	struct sysinfo s = { .mem_unit = 1 };

	sysinfo(&s);
	return xasprintf("%s, %ld CPUs, %.1f GB", distribution, sysconf(_SC_NPROCESSORS_ONLN),
			 (double)s.totalram * s.mem_unit / 1e9);
}

/* What the check says in words, for programs. */
static void put_gpus(struct buffer *page)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct json_reader *r = gpus_ask(&why);
	_cleanup_free_ char *gpus = r ? json_reader_text(r, "/gpus") : NULL;

	if (gpus)
		json_raw(page, "gpus", gpus);
	json_reader_free(r);
}

static void put_json(const struct findings *f, struct buffer *page)
{
	_cleanup_free_ char *where = machine();

	json_object(page, NULL);
	json_string(page, "version", DEVSERVE_VERSION);
	json_string(page, "machine", where);
	json_bool(page, "ok", findings_are_good(f));
	json_array(page, "checks");
	findings_put_json(f, page);
	json_array_end(page);
	put_gpus(page);
	json_object_end(page);
	buffer_putc(page, '\n');
}

static void put_text(const struct findings *f, bool no_color, struct buffer *page)
{
	_cleanup_free_ char *where = machine();
	_cleanup_free_ char *head = xasprintf("devserve " DEVSERVE_VERSION " on %s\n\n", where);
	size_t width = terminal_width(STDOUT_FILENO);

	columns_fold(page, head, strlen(head), width);
	findings_put_text(f, width, style_has_color(STDOUT_FILENO, no_color), page);
	buffer_puts(page, findings_are_good(f) ? "\nNothing that is required is missing.\n"
					       : "\nSomething that is required is missing.\n");
}

static int run(void *options)
{
	const struct doctor_options *o = options;
	_cleanup_buffer_ struct buffer page = BUFFER_NULL;
	struct findings f = FINDINGS_NULL;
	bool good;

	examine_programs(&f);
	examine_tools(&f, o->root);
	examine_libraries(&f);
	examine_system(&f, o->root, o->state_dir);
	examine_peaks(&f, o->calibrate);
	good = findings_are_good(&f);
	if (o->json)
		put_json(&f, &page);
	else
		put_text(&f, o->no_color, &page);
	fputs(page.data, stdout);
	findings_fini(&f);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command cli_doctor = {
	.name = "doctor",
	.help = "say what is missing here, and what mends it",
	.about = "Look at what devserve needs on this machine: compilers, linker, BLAS, CUDA, the kernel and "
		 "its limits, the directory ROOT (" OPTIONS_DEFAULT_ROOT "). What is missing comes with the "
		 "command that mends it. A note is about what can be done without.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct doctor_options),
	.run = run,
};
