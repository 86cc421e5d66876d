/* SPDX-License-Identifier: MIT */

/* What a compiler tells of loops, or a note of ours says, whatever it is: loops in order, and no more changes than loops. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "build/loop_change.h"
#include "build/loops.h"
#include "build/remarks.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct loops *l)
{
	for (size_t i = 0; i < l->n_files; i++)
		for (size_t k = 1; k < l->files[i].n_loops; k++) {
			const struct loop *a = &l->files[i].loops[k - 1], *b = &l->files[i].loops[k];

			assert(a->line < b->line || (a->line == b->line && a->column < b->column));
		}
}

static size_t count(const struct loops *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_files; i++)
		n += l->files[i].n_loops;
	return n;
}

/* What is put is what is taken. */
static void keep(const struct loops *l)
{
	_cleanup_buffer_ struct buffer note = BUFFER_NULL, again = BUFFER_NULL;
	struct loops taken = LOOPS_NULL;

	loops_put(l, &note);
	if (loops_take(&taken, buffer_text(&note))) {
		loops_put(&taken, &again);
		assert(strcmp(buffer_text(&note), buffer_text(&again)) == 0);
	}
	loops_fini(&taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)bytes, size);
	struct loops told = LOOPS_NULL, noted = LOOPS_NULL;
	struct loop_change *changes;
	size_t n;

	remarks_read(&told, text, "/p");
	loops_take(&noted, text);
	check(&told);
	check(&noted);
	n = loops_compare(&told, &noted, &changes);
	assert(n <= count(&noted));
	free(changes);
	n = loops_compare(&noted, &noted, &changes);
	assert(n == 0);
	free(changes);
	keep(&told);
	loops_fini(&told);
	loops_fini(&noted);
	return 0;
}
