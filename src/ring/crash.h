/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Crash
 *
 * What a dying worker leaves in its link, from its signal handler: raw numbers, no names.
 * The server copies it once after the process has ended, believes none of it (counts are
 * bounded, texts end), and has it made readable by devserve-debug, a process of its own.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define CRASH_FRAMES 64
#define CRASH_MODULES 16

enum crash_state { CRASH_NONE, CRASH_STARTED, CRASH_COMPLETE };

/* As `code`: nothing faulted; what is wrong was found after infer(), the only frame, had returned. */
#define CRASH_FOUND_LATE INT32_MAX

enum crash_thread { CRASH_INFER = 1, CRASH_CONTROL = 2, CRASH_OTHER = 3 };

struct crash {
	_Atomic uint32_t state; /* enum crash_state; the rest is valid when COMPLETE */
	int32_t signal, code;   /* si_signo, si_code or CRASH_FOUND_LATE */
	uint32_t thread;        /* enum crash_thread */
	uint64_t address;       /* si_addr */
	uint32_t n_frames, n_modules;
	char what[288];         /* "wrote 3 bytes past OUTPUT0 FP32[8,16]", or "" */
	struct crash_frame {
		uint64_t pc;     /* innermost first; of callers: the return address */
		uint64_t module; /* index, or UINT64_MAX */
	} frames[CRASH_FRAMES];
	struct crash_module {
		uint64_t base;   /* load bias: pc - base is an address of the file */
		char path[248];
	} modules[CRASH_MODULES];
};

_Static_assert(sizeof(struct crash) == 320 + 16 * CRASH_FRAMES + 256 * CRASH_MODULES,
	       "layout of a crash");

/* Into memory of our own, and only then looked at; free(). NULL: it left nothing. */
struct crash *crash_copy(const struct crash *shared);
