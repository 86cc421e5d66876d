/* SPDX-License-Identifier: MIT */

/*
 * Each image is mapped several times, at addresses and with a heap of its own: which cache lines and
 * entries of the branch predictor code and data get is chance, and may be worth ten percent. One
 * mapping against one would tell the luck of two. As the loader knows images by path and inode, each
 * mapping but the first is of a copy, in memory. More are made while they are cheap; a create() that takes long,
 * or much memory, is not run sixteen times for this.
 *
 * Kernels of a GPU get other addresses by being loaded again, which needs no other mapping: generations of
 * the same host code share one, and what create() put on the GPU is there once. Images that bring their
 * kernels with them are mapped once each.
 *
 * Everything runs here on the thread that would serve. The answers are the proof's business, not
 * ours: who runs without an error counts.
 */

#include "worker/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ring/measurement.h"
#include "verdict/race.h"
#include "verdict/waiting.h"
#include "worker/gpu_clocks.h"
#include "worker/gpu_time.h"
#include "worker/image.h"
#include "worker/rehearsal.h"
#include "worker/state.h"
#include "worker/work.h"

#define LOADING_SHARE 8                   /* of the budget: no more mappings after that */
#define LOADING_MEMORY (UINT64_C(256) << 20) /* nor after that */
#define CUDA_LANES 4                      /* a call takes longer than its time on the GPU: fewer rounds */
#define SLOWEST_SHARE 24                  /* of the budget: a call that takes longer has too few rounds */

struct lane {
	struct image image;
	bool has_state;
};

struct measuring {
	const struct measurement_order *order;
	struct measurement_report *report;
	uint64_t started_ns;
	struct rehearsal *rehearsal;
	const char *recordings;
	size_t size;
	struct waiting waiting;
	struct lane lanes[2][ROUND_MAX_LANES]; /* [0] of the new image, [1] of the old */
	unsigned n_lanes;
	const struct recording *courses[ROUND_MAX_COURSES];
	unsigned n_courses;
};

static int say(struct measuring *m, int error, const char *sentence)
{
	snprintf(m->report->sentence, sizeof(m->report->sentence), "%s", sentence);
	return error;
}

/* Mappings */

static uint64_t own_bytes(void)
{
	unsigned long resident = 0, shared = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %lu %lu", &resident, &shared) != 2)
		resident = shared = 0;
	fclose(f);
	return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * The state is as what serves now left it, and what served before need not know how to go back to that. Nobody
 * has to mend it: what a save is told then, to migrate, would be advice for nothing.
 */
static int try_state(struct measuring *m, const struct link_load *load, const struct lane *lane)
{
	char *sentence = m->report->sentence;
	bool old = lane >= m->lanes[1];
	int e = state_try(&lane->image, load->state, sentence, sizeof(m->report->sentence));

	if (e != 0 && e != ENOMEM && old)
		say(m, e, "the generation before can't run on the state as it is now");
	return e;
}

/* Of the same host code as @kin, perhaps. What create() or the state has against it goes to the report. */
static int map(struct measuring *m, const struct link_load *load, const struct image *kin, struct lane *ret)
{
	char *sentence = m->report->sentence;
	size_t size = sizeof(m->report->sentence);
	int e = image_open(&ret->image, load, m->order->is_cuda ? LINK_CUDA : 0, kin, sentence, size);

	if (e == 0)
		e = try_state(m, load, ret);
	if (e == 0)
		sentence[0] = '\0'; /* what they logged */
	return -e;
}

/* A copy that no name leads to, which nobody has to remove when we are killed; -errno. */
static int copy_of(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = from < 0 ? -1 : memfd_create("image", MFD_CLOEXEC);
	struct stat st;
	int e = 0;

	if (to < 0 || fstat(from, &st) < 0)
		e = -errno;
	for (off_t done = 0; e == 0 && done < st.st_size;)
		e = sendfile(to, from, &done, (size_t)(st.st_size - done)) <= 0 ? -EIO : 0;
	if (from >= 0)
		close(from);
	if (e < 0 && to >= 0)
		close(to);
	return e < 0 ? e : to;
}

/* The descriptor stays: its number is the path by which the loader knows this one. */
static int map_copy(struct measuring *m, const struct link_load *load, const struct image *kin, struct lane *ret)
{
	static struct link_load copy; /* too large for a stack */
	int fd = copy_of(load->image);

	if (fd < 0)
		return fd;
	copy = *load;
	snprintf(copy.image, sizeof(copy.image), "/proc/self/fd/%d", fd);
	return map(m, &copy, kin, ret);
}

static int map_pair(struct measuring *m)
{
	const struct measurement_order *o = m->order;
	unsigned i = m->n_lanes;
	const struct image *old = &m->lanes[1][0].image, *new = &m->lanes[0][0].image;
	int e = i ? map_copy(m, &o->old, old, &m->lanes[1][i]) : map(m, &o->old, NULL, &m->lanes[1][0]);

	if (e == 0)
		e = i ? map_copy(m, &o->new, new, &m->lanes[0][i]) : map(m, &o->new, old, &m->lanes[0][0]);
	if (e == 0)
		m->n_lanes++;
	return e;
}

static unsigned most_lanes(const struct measurement_order *o)
{
	return !o->is_cuda ? ROUND_MAX_LANES : o->old.device[0] && o->new.device[0] ? CUDA_LANES : 1;
}

/* One pair there must be; a later one that fails is done without. */
static int map_all(struct measuring *m)
{
	uint64_t before = own_bytes();
	int e = map_pair(m);

	while (e == 0 && m->n_lanes < most_lanes(m->order) &&
	       clock_ns() - m->started_ns < m->order->budget_ns / LOADING_SHARE &&
	       (own_bytes() - before) * (m->n_lanes + 1) / m->n_lanes < LOADING_MEMORY)
		if (map_pair(m) < 0)
			break;
	if (e < 0 && !m->report->sentence[0])
		say(m, e, strerror(-e));
	else if (e == 0)
		m->report->sentence[0] = '\0';
	return e;
}

/* Inputs */

static int run_once(struct measuring *m, bool old, unsigned lane, const struct recording *r, uint64_t *ret_ns)
{
	const struct call *call = rehearsal_call(m->rehearsal);

	if (rehearsal_run(m->rehearsal, &m->lanes[old][lane].image, r) != 0 || call->status != 0)
		return -EIO;
	*ret_ns = call->compute_ns;
	return *ret_ns ? 0 : -EIO;
}

/* Both take it, and it isn't too long for rounds enough; a first call may take any time. */
static bool can_be_timed(struct measuring *m, const struct recording *r, bool *ret_too_long)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t ns, waited;

		waiting_ns(&m->waiting);
		if (run_once(m, i % 2, 0, r, &ns) < 0)
			return false;
		waited = waiting_ns(&m->waiting);
		if (i > 1 && ns > waited + m->order->budget_ns / SLOWEST_SHARE) {
			*ret_too_long = true;
			return false;
		}
	}
	return true;
}

static int choose_courses(struct measuring *m)
{
	bool too_long = false;

	waiting_open(&m->waiting);
	for (uint32_t i = 0; i < m->order->n_recordings && m->n_courses < ROUND_MAX_COURSES; i++) {
		const struct recording *r = (const struct recording *)(m->recordings + m->order->offsets[i]);

		if (m->n_courses && clock_ns() - m->started_ns > m->order->budget_ns / 4)
			break;
		if (!can_be_timed(m, r, &too_long))
			continue;
		m->report->courses[m->n_courses] = i;
		if (run_once(m, false, 0, r, &(uint64_t){ 0 }) == 0)
			m->report->works[m->n_courses] = work_of(&m->lanes[0][0].image, rehearsal_view(m->rehearsal));
		m->courses[m->n_courses++] = r;
	}
	waiting_close(&m->waiting);
	if (m->n_courses)
		return 0;
	return say(m, -ENODATA, too_long ? "a call takes too long to be timed often enough" :
					   "there is no recorded request that both generations answer");
}

/* Running */

static int run(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns)
{
	struct measuring *m = context;
	int e = 0;

	*ret_ns = 0;
	for (unsigned i = 0; i < n && e == 0; i++) {
		uint64_t ns = 0;

		e = run_once(m, old, lane, m->courses[course], &ns);
		*ret_ns += ns;
	}
	if (m->report->by_gpu)
		gpu_clocks_note(m->lanes[old][lane].image.gpu, &m->report->clocks);
	return e;
}

static int race(struct measuring *m)
{
	uint64_t spent = clock_ns() - m->started_ns, budget = m->order->budget_ns;
	const struct race r = {
		.n_lanes = m->n_lanes,
		.n_courses = m->n_courses,
		.budget_ns = spent < budget / 2 ? budget - spent : budget / 2,
		.seed = m->order->seed,
		.remote = m->report->by_gpu,
		.run = run,
		.context = m,
	};
	int e = race_run(&r, &m->report->verdict);

	if (e < 0)
		return say(m, e, "a call that was answered before was refused when it was repeated");
	if (!m->report->verdict.n_courses)
		return say(m, -EBUSY, "the machine is too busy for it");
	return 0;
}

static int prepare(struct measuring *m)
{
	int e = rehearsal_map(m->order->recordings, &m->recordings, &m->size);

	m->rehearsal = e == 0 ? rehearsal_new() : NULL;
	if (!m->rehearsal)
		return say(m, -ENOMEM, "the recorded requests cannot be mapped");
	rehearsal_attach(m->rehearsal, m->recordings, m->size);
	return 0;
}

/* Both by the same clock: the GPU's, if it knows both. */
static void choose_clock(struct measuring *m)
{
	m->report->by_gpu = gpu_time_is_known(m->lanes[0][0].image.gpu) && gpu_time_is_known(m->lanes[1][0].image.gpu);
	rehearsal_time(m->rehearsal, m->report->by_gpu);
}

static void measure(struct measurement *shared)
{
	static struct measuring m;
	int e;

	m = (struct measuring){ .order = &shared->order, .report = &shared->report, .started_ns = clock_ns() };
	e = prepare(&m);
	if (e == 0)
		e = map_all(&m);
	if (e == 0)
		choose_clock(&m);
	if (e == 0)
		e = choose_courses(&m);
	if (e == 0)
		race(&m);
	rehearsal_free(m.rehearsal);
}

int measure_carry_out(const struct link_shared *link, uint64_t fd)
{
	_cleanup_free_ char *path = xasprintf("/proc/%u/fd/%llu", link->server_pid, (unsigned long long)fd);
	int own = open(path, O_RDWR | O_CLOEXEC);
	struct measurement *shared;

	if (own < 0)
		return -errno;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
	close(own);
	if (shared == MAP_FAILED)
		return -errno;
	measure(shared);
	munmap(shared, sizeof(*shared));
	return 0;
}
