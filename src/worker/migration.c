/* SPDX-License-Identifier: MIT */
#include "worker/migration.h"

#include <devserve/ext/state.h>

#include "base/memory.h"
#include "state/layout.h"

_Static_assert((int)DEVSERVE_STATE_MAX_EXTENTS == (int)LAYOUT_MAX_EXTENTS, "a member's extents");

static uint32_t kind_for_images(enum layout_kind kind)
{
	switch (kind) {
	case LAYOUT_SIGNED:
		return DEVSERVE_STATE_SIGNED;
	case LAYOUT_UNSIGNED:
		return DEVSERVE_STATE_UNSIGNED;
	case LAYOUT_BOOL:
		return DEVSERVE_STATE_BOOL;
	case LAYOUT_FLOAT:
	case LAYOUT_EXTENDED:
		return DEVSERVE_STATE_FLOAT;
	case LAYOUT_BF16:
		return DEVSERVE_STATE_BF16;
	case LAYOUT_COMPLEX:
		return DEVSERVE_STATE_COMPLEX;
	case LAYOUT_UNION:
		return DEVSERVE_STATE_UNION;
	case LAYOUT_POINTER:
	case LAYOUT_OTHER:
		break;
	}
	return DEVSERVE_STATE_OTHER;
}

static struct devserve_state_member member_for_images(const struct layout_member *m)
{
	bool bit_field = m->offset % 8 || m->bits % 8;
	struct devserve_state_member member = {
		.name = m->name,
		.type = m->type,
		.offset = m->offset / 8,
		.size = bit_field ? 0 : m->bits / 8,
		.kind = kind_for_images(m->kind),
		.bit = bit_field ? (uint32_t)(m->offset % 8) : 0,
		.n_bits = bit_field ? (uint32_t)m->bits : 0,
		.n_extents = m->n_extents,
	};

	for (unsigned i = 0; i < m->n_extents; i++) {
		member.extents[i] = m->extents[i].n;
		member.strides[i] = m->extents[i].stride;
	}
	return member;
}

int migrate_from(const struct devserve_state_extension *e, const void *old, uint32_t version, uint64_t size,
		 const struct layout *layout, void *ret)
{
	size_t n = layout ? layout->n_members : 0;
	_cleanup_free_ struct devserve_state_member *members = xcalloc(n + 1, sizeof(*members));
	_cleanup_free_ const struct devserve_state_member **pointers = xcalloc(n + 1, sizeof(*pointers));

	for (size_t i = 0; i < n; i++) {
		members[i] = member_for_images(&layout->members[i]);
		pointers[i] = &members[i];
	}
	return e->migrate_from(old, &(struct devserve_state_layout){ size, version, (uint32_t)n, pointers }, ret);
}
