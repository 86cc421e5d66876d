/* SPDX-License-Identifier: MIT */
#ifndef DEVSERVE_EXT_STATE_H
#define DEVSERVE_EXT_STATE_H

/*
 * State, "devserve.state/1"
 *
 * A struct that outlives the code that works on it: it is there in every call, zeroed the
 * first time, and stays through swaps, crashes, kill -9 and restarts of devserve.
 *
 *	struct counter {
 *		int64_t count;
 *	};
 *
 *	DEVSERVE_STATE(struct counter, .version = 1)
 *
 *	static int infer(const struct devserve_call *call)
 *	{
 *		struct counter *c = devserve_state(call);
 *
 *		c->count++;
 *		…
 *	}
 *
 *	DEVSERVE_DEPLOYMENT(
 *		…
 *		.extensions = { DEVSERVE_STATE_EXTENSION },
 *	)
 *
 * One for each replica: two replicas are two counters. What all of them must agree on
 * belongs into a database, or into a deployment with one replica.
 *
 * Threads.   [infer] alone: infer() and what it calls. create() and destroy() don't have it
 *            (devserve_state() is NULL before the first call): an older generation may be
 *            working on it at that moment.
 * Lifetime.  Until the deployment goes. After a crash it is as it was when the last call
 *            ended; where it is larger than 64 KiB, as it was at the last checkpoint, which
 *            is made every 100 ms. A crash of the machine (power) may lose it.
 * Layout.    No pointers, nor what has some inside (std::string, std::vector, virtual
 *            functions): they would point into an image or a process that is gone. devserve
 *            reads the layout from the debug information and refuses them. Use indices.
 *
 * When the struct changes, its members are found again by name, in the debug information of
 * both images (-g, as is usual), and copied:
 *
 *	added                            the new one is zero
 *	removed                          what was in it is gone, and devserve says so; the file
 *	                                 .devserve/state/NAME/REPLICA.before has it until the next time
 *	renamed                          is one removed and another one added
 *	moved, also within the struct    copied
 *	wider (int32_t → int64_t, float → double, sign kept), a longer array
 *	                                 copied; new elements are zero
 *	narrower, a shorter array, int ↔ float, another sign, a constant of an enum that means
 *	another number, another union, a struct or an array in place of a number
 *	                                 refused, and what served before goes on, unless there
 *	                                 is a `.migrate_from` or a `.migrate`
 *
 * What the same bytes mean devserve can't see: raise `.version` when that changes (seconds that
 * become milliseconds), and write one of the two. Another version is never copied by name. Without
 * debug information an image whose version or size differs is refused, unless it has one of them.
 *
 * Size.      At most DEVSERVE_MAX_STATE bytes. Page-aligned. Pages never written cost nothing.
 */

#include <devserve/deployment.h>

#define DEVSERVE_STATE_ID "devserve.state/1"
#define DEVSERVE_MAX_STATE (UINT64_C(1) << 30)

#ifdef __cplusplus
extern "C" {
#endif

enum devserve_state_kind {
	DEVSERVE_STATE_SIGNED = 1, /* integers and enums */
	DEVSERVE_STATE_UNSIGNED = 2,
	DEVSERVE_STATE_BOOL = 3,
	DEVSERVE_STATE_FLOAT = 4, /* IEEE 754, of 2, 4 or 8 bytes; 16: long double */
	DEVSERVE_STATE_BF16 = 5,
	DEVSERVE_STATE_COMPLEX = 6, /* `size` is that of a part, and its last extent is 2 */
	DEVSERVE_STATE_UNION = 7,
	DEVSERVE_STATE_OTHER = 8,
};

#define DEVSERVE_STATE_MAX_EXTENTS 8

/* A member that has no members itself, or is a union. */
struct devserve_state_member {
	const char *name; /* what leads to it: "count", "items[].price" */
	const char *type; /* as the source called it: "int64_t" */
	uint64_t offset;  /* bytes, of the first element */
	uint64_t size;    /* bytes of one element; 0: a bit-field */
	uint32_t kind;    /* enum devserve_state_kind */
	uint32_t bit, n_bits; /* of a bit-field: its lowest bit, counted from `offset` */
	uint32_t n_extents;   /* how many [] the name has */
	uint64_t extents[DEVSERVE_STATE_MAX_EXTENTS]; /* elements, the outermost first */
	uint64_t strides[DEVSERVE_STATE_MAX_EXTENTS]; /* bytes from one to the next */
};

/* How the struct was laid out that a state was written as. */
struct devserve_state_layout {
	uint64_t size;    /* bytes */
	uint32_t version; /* its .version */
	uint32_t n_members; /* 0: not known, for that image had no debug information */
	const struct devserve_state_member *const *members; /* in the order of its source */
};

struct devserve_state_extension {
	struct devserve_extension extension;
	uint64_t size; /* of the struct; the macro fills it */
	/* Where the host writes the struct's address: a `type *` of the image, NULL in the file. */
	void *slot;
	uint32_t version; /* from 1; of the layout and of what it means */
	uint32_t reserved DEVSERVE_ABSENT;
	/*
	 * Make a state of this version in @ret (zeroed) from @old, which another version left.
	 * Takes its time between two calls. 0, or a negative errno: the image is refused.
	 * [infer], and in the trial [control] on copies.
	 */
	int (*migrate)(const void *old, uint64_t old_size, uint32_t old_version,
		       void *ret) DEVSERVE_ABSENT;
	/*
	 * The same, told where in @old what is; and what can be copied by name is in @ret already.
	 * So there are left the members that changed in a way that devserve can't follow:
	 *
	 *	static int migrate_from(const void *old, const struct devserve_state_layout *layout,
	 *				void *ret)
	 *	{
	 *		const struct devserve_state_member *m = devserve_state_member(layout, "seconds");
	 *		struct counter *c = ret;
	 *
	 *		if (m)
	 *			c->milliseconds = 1000 * *(const int64_t *)((const char *)old + m->offset);
	 *		return 0;
	 *	}
	 *
	 * It is called instead of `migrate` where both are there.
	 */
	int (*migrate_from)(const void *old, const struct devserve_state_layout *old_layout,
			    void *ret) DEVSERVE_ABSENT;
};

/* The member of that name, or NULL. */
static inline const struct devserve_state_member *devserve_state_member(
	const struct devserve_state_layout *layout, const char *name)
{
	for (uint32_t i = 0; i < layout->n_members; i++) {
		const char *a = layout->members[i]->name, *b = name;

		while (*a && *a == *b) {
			a++;
			b++;
		}
		if (*a == *b)
			return layout->members[i];
	}
	return (const struct devserve_state_member *)0;
}

#ifdef __cplusplus
} /* extern "C" */
#define DEVSERVE_STATE_CHECK(type)                \
	static_assert(__is_trivially_copyable(type), \
		      "a state must be bytes: no pointers, constructors or virtual functions in it");
#else
#define DEVSERVE_STATE_CHECK(type)
#endif

/*
 * The state is a @type. Once, at file scope, before infer(): defines devserve_state(call),
 * the `type *` for this call. The variable's name is what devserve looks for in the debug
 * information.
 */
#define DEVSERVE_STATE(type, ...)                                                             \
	DEVSERVE_STATE_CHECK(type)                                                            \
	__attribute__((__used__)) static type *devserve_state_slot;                           \
	static DEVSERVE_CONSTANT struct devserve_state_extension devserve_state_table = {     \
		.extension = { DEVSERVE_STATE_ID, sizeof(struct devserve_state_extension), 0 }, \
		.size = sizeof(type),                                                         \
		.slot = &devserve_state_slot,                                                 \
		__VA_ARGS__                                                                   \
	};                                                                                    \
	__attribute__((__unused__)) static inline type *devserve_state(                       \
		const struct devserve_call *call)                                             \
	{                                                                                     \
		(void)call;                                                                   \
		return devserve_state_slot;                                                   \
	}

/* For `.extensions = { … }`. */
#define DEVSERVE_STATE_EXTENSION &devserve_state_table.extension

#endif
