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
 *            Raise `.version` whenever the struct changes; `.migrate` then makes the new
 *            from the old. Without it an image whose version or size differs is refused,
 *            and what served before goes on.
 * Size.      At most DEVSERVE_MAX_STATE bytes. Page-aligned. Pages never written cost nothing.
 */

#include <devserve/deployment.h>

#define DEVSERVE_STATE_ID "devserve.state/1"
#define DEVSERVE_MAX_STATE (UINT64_C(1) << 30)

#ifdef __cplusplus
extern "C" {
#endif

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
};

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
