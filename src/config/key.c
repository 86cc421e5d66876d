/* SPDX-License-Identifier: MIT */
#include "config/key.h"

#include <string.h>

#include "base/memory.h"
#include "config/config.h"

#define FIELD(field) .offset = offsetof(struct config, field)

static const struct key state_rows[] = {
	{ "checkpoint_ms", KEY_WHOLE, FIELD(checkpoint_ms), .min = 1, .max = 3600000, .example = "50",
	  .help = "Milliseconds at least between two checkpoints of a state above 64 KiB; 100 if it "
		  "isn't there. Smaller states are checkpointed before every answer." },
};

static const struct key tolerance_rows[] = {
	{ "rtol", KEY_NUMBER, FIELD(rtol), .min = 0, .max = 1000, .example = "1e-4",
	  .help = "Share of what is expected." },
	{ "atol", KEY_NUMBER, FIELD(atol), .min = 0, .max = 1000, .example = "1e-5",
	  .help = "What is added to that." },
};

const char *const config_gates[] = { "replay", "golden", "load", "off", NULL };

static const struct key rows[] = {
	{ "name", KEY_NAME, FIELD(name), .example = "\"matmul\"",
	  .help = "What clients call the deployment, in place of its directory's name." },
	{ "cflags", KEY_TEXTS, FIELD(cflags), .example = "[\"-DTILE=32\", \"-ffast-math\"]",
	  .help = "Flags for the compilers, after devserve's own; each gets those that it knows: what only nvcc and "
		  "NVRTC know (-maxrregcount=32) is kept from gcc, what nvcc doesn't know goes to its host compiler." },
	{ "ldlibs", KEY_TEXTS, FIELD(ldlibs), .example = "[\"-lz\"]",
	  .help = "Libraries for the linker: -lNAME, or a path." },
	{ "sources", KEY_TEXTS, FIELD(sources), .example = "[\"*.c\"]",
	  .help = "Paths or patterns, relative to the directory, of the sources to build; all below "
		  "the directory if it isn't there." },
	{ "kernels", KEY_LINES, FIELD(kernels), .example = "[\"scale<float, 4>\"]",
	  .help = "Kernels of the .cu files without host code that are launched by an expression of C++: templates "
		  "with their arguments, names in a namespace, overloads with a cast." },
	{ "num_replicas", KEY_WHOLE, FIELD(num_replicas), .min = 1, .max = 16, .fallback = "1", .example = "2",
	  .help = "Workers, each a process of its own, that serve calls side by side." },
	{ "max_ongoing_requests", KEY_WHOLE, FIELD(max_ongoing_requests), .min = 1, .max = 1000000,
	  .example = "8",
	  .help = "Calls that one replica has at once; no bound of its own if it isn't there." },
	{ "request_timeout_s", KEY_SECONDS, FIELD(request_timeout_ms), .min = 0.001, .max = 86400,
	  .fallback = "30", .example = "2.5",
	  .help = "Seconds until a call that isn't answered gets 504, and its worker is replaced." },
	{ "idempotent", KEY_BOOL, FIELD(idempotent), .fallback = "false", .example = "true",
	  .help = "Whether a call may be repeated after a crash although the deployment has state." },
	{ "state", KEY_MAPPING, .keys = { state_rows, ARRAY_SIZE(state_rows) },
	  .example = "{\"checkpoint_ms\": 50}",
	  .help = "How what <devserve/ext/state.h> keeps is kept." },
	{ "weights", KEY_TEXTS, FIELD(weights), .example = "[\"trained/*.safetensors\"]",
	  .help = "Paths or patterns, relative to the directory, of safetensors files; all below the "
		  "directory if it isn't there." },
	{ "gate", KEY_CHOICE, FIELD(gate), .choices = config_gates, .example = "\"golden\"",
	  .help = "What a new image must come through before it serves: replay (load, golden cases, recorded "
		  "requests), golden (load, golden cases), load, or off; --gate if it isn't there." },
	{ "tolerance", KEY_MAPPING, .keys = { tolerance_rows, ARRAY_SIZE(tolerance_rows) },
	  .example = "{\"rtol\": 1e-4, \"atol\": 1e-5}",
	  .help = "What a floating output may differ by from what was answered before: atol + rtol × |expected|. "
		  "What isn't there is torch.testing's for the datatype; a golden case may have its own." },
	{ "replay", KEY_ANY, FIELD(replay), .help = "Anything; nothing reads it yet." },
	{ "user_config", KEY_ANY, FIELD(user_config), .example = "{\"threshold\": 0.5}",
	  .help = "Anything; nothing reads it yet." },
};

const struct keys config_keys = { rows, ARRAY_SIZE(rows) };

const struct key *key_find(struct keys among, const char *name)
{
	for (size_t i = 0; i < among.n; i++)
		if (strcmp(among.rows[i].name, name) == 0)
			return &among.rows[i];
	return NULL;
}
