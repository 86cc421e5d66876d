/* SPDX-License-Identifier: MIT */
#include "worker/state_memory.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "worker/sanitizer.h"

int state_memory_new(uint64_t size, uint32_t version, struct layout *layout, void *wanted, struct state_memory *ret)
{
	void *at = mmap(wanted, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (wanted ? MAP_FIXED_NOREPLACE : 0),
			-1, 0);

	if (at == MAP_FAILED)
		return errno;
	if (size > STATE_LARGE)
		madvise(at, size, MADV_HUGEPAGE); /* fewer page tables for fork() to copy */
	sanitizer_poison_behind(at, size);
	*ret = (struct state_memory){
		.at = at, .size = size, .version = version, .layout = layout ? layout_ref(layout) : NULL
	};
	return 0;
}

void state_memory_free(struct state_memory *m)
{
	if (m->at) {
		sanitizer_unpoison_behind(m->at, m->size);
		munmap(m->at, m->size);
	}
	m->at = NULL;
	m->layout = layout_unref(m->layout);
}

int state_memory_move(struct state_memory *m)
{
	struct state_memory place;
	int r = state_memory_new(m->size, m->version, m->layout, NULL, &place);

	if (r != 0)
		return r;
	sanitizer_unpoison_behind(m->at, m->size);
	if (mremap(m->at, m->size, m->size, MREMAP_MAYMOVE | MREMAP_FIXED, place.at) == MAP_FAILED)
		return errno;
	layout_unref(m->layout);
	*m = place;
	return 0;
}
