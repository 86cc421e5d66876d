/* SPDX-License-Identifier: MIT */
#include "ring/link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

static void futex_wait_for(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
	struct timespec t = { .tv_sec = (time_t)(timeout_ns / NS_PER_S),
			      .tv_nsec = (long)(timeout_ns % NS_PER_S) };

	syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns ? &t : NULL, NULL, 0);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
	futex_wait_for(word, expected, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int link_memory(const char *name, size_t size, int *ret_fd, void **ret_map)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), r;
	void *map;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto close_fd;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		goto close_fd;
	madvise(map, size, MADV_DONTFORK);
	*ret_fd = fd;
	*ret_map = map;
	return 0;

close_fd:
	r = -errno;
	close(fd);
	return r;
}

bool link_wake_worker(struct link_shared *l)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&l->worker_sleeps, memory_order_relaxed) ||
	    !atomic_exchange(&l->worker_sleeps, 0))
		return false;
	futex_wake(&l->worker_sleeps);
	return true;
}

void link_worker_sleep(struct link_shared *l, bool (*readable)(void *context), void *context,
		       uint64_t timeout_ns)
{
	uint64_t until = timeout_ns ? clock_ns() + timeout_ns : 0;

	atomic_store(&l->worker_sleeps, 1);
	atomic_thread_fence(memory_order_seq_cst);
	while (!readable(context) && atomic_load(&l->worker_sleeps)) {
		uint64_t now = until ? clock_ns() : 0;

		if (until && now >= until)
			break;
		futex_wait_for(&l->worker_sleeps, 1, until ? until - now : 0);
	}
	atomic_store(&l->worker_sleeps, 0);
}

void link_grant(struct link_shared *l, uint64_t offset, uint64_t size)
{
	l->grant_offset = offset;
	l->grant_size = size;
	atomic_fetch_add(&l->grant_seq, 1);
	futex_wake(&l->grant_seq);
}

void link_await_grant(struct link_shared *l, uint32_t seq, uint64_t *ret_offset, uint64_t *ret_size)
{
	while (atomic_load(&l->grant_seq) != seq)
		futex_wait(&l->grant_seq, seq - 1);
	*ret_offset = l->grant_offset;
	*ret_size = l->grant_size;
}
