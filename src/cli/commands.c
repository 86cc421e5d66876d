/* SPDX-License-Identifier: MIT */

/* The program as a table: what help, manual and completions show, in their order. */

#include "base/memory.h"
#include "cli/cli.h"

static const struct command *const commands[] = {
	&cli_serve,
	&cli_new,
	&cli_check,
	&cli_test,
	&cli_status,
	&cli_infer,
	&cli_wait,
	&cli_accept,
	&cli_logs,
	&cli_history,
	&cli_diff,
	&cli_state,
	&cli_rollback,
	&cli_pin,
	&cli_unpin,
	&cli_record,
	&cli_replay,
	&cli_gdb,
	&cli_canary,
	&cli_shadow,
	&cli_asan,
	&cli_inspect,
	&cli_schema,
	&cli_clean,
	&cli_doctor,
	&cli_completion,
	&cli_help,
	&cli_version,
};

static const struct exit_status exits[] = {
	{ 0, "It was done." },
	{ 1, "It failed; the sentence on stderr says why." },
	{ 2, "The command line, or a variable of the environment, is wrong." },
	{ 4, "A deployment could not be built; of check and test, also: or its trial failed." },
	{ 69, "No server answers." },
	{ 130, "Ctrl-C ended it." },
};

static const char *const variables[] = {
	"DEVSERVE_OPTION",
	"The value of an option that isn't on the command line, its name in capitals and with '_' "
	"for '-': DEVSERVE_MAX_BODY=1G. Options without a value take yes or no.",
	"DEVSERVE_TOKEN_FILE",
	"A file with the token of the server, or its run.json, for commands that ask a server which "
	"runs elsewhere.",
	"NO_COLOR", "Not empty: no colour.",
	"CC, CXX, NVCC, CUDA_HOME",
	"The compilers for deployments. CFLAGS and its like don't reach them; deployment.yaml has "
	"flags.",
	"XDG_CACHE_HOME",
	"Where images and records go when ROOT can't be written, and what 'devserve doctor --calibrate' measured.",
	NULL,
};

static const char *const files[] = {
	"ROOT/NAME/deployment.yaml", "What there is to say about a deployment beside its source.",
	"ROOT/.devserve/", "Images, generations, records and logs; see --state-dir.",
	"ROOT/.devserve/run.json",
	"URL, process and token of the running server; commands find it there. Only its owner may "
	"read it.",
	NULL,
};

static const struct command_page pages[] = {
	{ "ENVIRONMENT", variables },
	{ "FILES", files },
};

const struct program cli_program = {
	.name = "devserve",
	.version = DEVSERVE_VERSION,
	.released = DEVSERVE_RELEASED,
	.purpose = "serve tensor kernels and swap in every save",
	.commands = commands,
	.n_commands = ARRAY_SIZE(commands),
	.exits = exits,
	.n_exits = ARRAY_SIZE(exits),
	.pages = pages,
	.n_pages = ARRAY_SIZE(pages),
};
