/* SPDX-License-Identifier: MIT */

/* Whatever a worker prints, what is read as a sanitizer's report is bounded and can be shown. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "replica/sanitizer.h"
#include "ring/crash.h"
#include "serve/finding.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_it(const char *report)
{
	struct finding *f = finding_read(report);
	size_t ends = 0;

	assert(f->crash->n_frames <= CRASH_FRAMES && f->crash->n_modules <= CRASH_MODULES);
	assert(f->n_stacks <= FINDING_STACKS);
	for (size_t i = 0; i < f->n_stacks; i++)
		assert(f->roles[i]);
	for (uint32_t i = 0; i < f->crash->n_frames; i++) {
		const struct crash_frame *frame = &f->crash->frames[i];

		assert(frame->pc ? frame->module < f->crash->n_modules : frame->module == UINT64_MAX);
		ends += !frame->pc;
	}
	assert(ends <= f->n_stacks);
	for (const char *c = f->what; *c; c++)
		assert((uint8_t)*c >= 0x20 && *c != 0x7f);
	finding_free(f);
}

static void take(const uint8_t *bytes, size_t size, bool memcheck)
{
	struct sanitizer_report report = { .memcheck = memcheck };
	const char *text = (const char *)bytes, *end = text + size;

	for (const char *next; text < end; text = next + 1) {
		next = memchr(text, '\n', (size_t)(end - text));
		next = next ? next : end;
		sanitizer_report_take(&report, text, (size_t)(next - text));
	}
	assert(report.text.size <= SANITIZER_MAX_REPORT);
	if (report.text.size)
		read_it(report.text.data);
	sanitizer_report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	take(bytes, size, false);
	take(bytes, size, true);
	return 0;
}
