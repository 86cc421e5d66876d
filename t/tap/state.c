/* SPDX-License-Identifier: MIT */

/*
 * The worker's state, as workers use it: children of this program that are killed at any
 * instant, and the next one, which must find what the one before had told.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <devserve/ext/state.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "state/layout.h"
#include "worker/image.h"
#include "worker/state.h"

#define LARGE (4 << 20)

static int n_tests, n_failures;
static char *directory, *path, *said;

static void ok(bool good, const char *sentence)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++n_tests, sentence);
	n_failures += !good;
}

/* An image with a state of @size bytes; its slot is at hand. All stay until the end. */
struct deployment {
	struct deployment *next;
	struct devserve_state_extension state;
	struct devserve_deployment entry;
	struct image image;
	uint64_t *slot;
};

static struct deployment *all;

typedef int (*migrate_fn)(const void *old, uint64_t size, uint32_t version, void *ret);

static struct deployment *deployment_new(uint64_t size, uint32_t version, migrate_fn migrate)
{
	struct deployment *d = xcalloc(1, sizeof(*d));

	d->state = (struct devserve_state_extension){
		.extension = { DEVSERVE_STATE_ID, sizeof(d->state), 0 },
		.size = size,
		.slot = &d->slot,
		.version = version,
		.migrate = migrate,
	};
	d->entry.extensions[0] = size ? &d->state.extension : NULL;
	d->image.entry = &d->entry;
	d->next = all;
	all = d;
	return d;
}

static uint64_t *enter(struct state *s, struct deployment *d)
{
	state_enter(s, &d->image, path);
	return d->slot;
}

/* What a worker of its own comes to, in a process of its own: the exit status. */
static int in_worker(int (*work)(void *context), void *context)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int fd = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, STDERR_FILENO);
		_exit(work(context));
	}
	assert(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool has_said(const char *sentence)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	file_read(said, &text);
	return strstr(buffer_text(&text), sentence) != NULL;
}

static void start_anew(void)
{
	file_remove_tree(directory);
	assert(mkdir(directory, 0700) == 0);
}

/* Counting */

static uint64_t counted; /* by the worker that is to come */

static int count_to(void *context)
{
	const uint64_t *to = context;
	struct state *s = state_new();
	uint64_t *count = enter(s, deployment_new(8, 1, NULL));

	if (*count != counted)
		return 1;
	for (uint64_t i = 0; i < *to; i++) {
		++*count;
		state_checkpoint(s, true);
	}
	state_leave(s);
	return 0;
}

static void survives_an_orderly_end(void)
{
	uint64_t ten = 10;

	start_anew();
	counted = 0;
	ok(in_worker(count_to, &ten) == 0, "a state begins at zero");
	counted = 10;
	ok(in_worker(count_to, &ten) == 0, "the next worker finds what the one before left");
	counted = 20;
	ok(in_worker(count_to, &(uint64_t){ 0 }) == 0 && in_worker(count_to, &(uint64_t){ 0 }) == 0,
	   "one that counted nothing leaves what it found");
}

struct told {
	_Atomic uint64_t begun, count; /* what it found; what a client was told */
};

static void count_until_killed(struct told *t, uint64_t size)
{
	struct state *s = state_new();
	uint64_t *count = enter(s, deployment_new(size, 1, NULL));
	uint64_t n = size / 8;

	for (uint64_t i = 0; i < n; i++)
		if (count[i] != count[0])
			_exit(3); /* torn */
	atomic_store(&t->begun, count[0] + 1);
	for (;;) {
		for (uint64_t i = 0; i < n; i++)
			count[i]++;
		state_checkpoint(s, false);
		atomic_store(&t->count, count[0]);
		state_catch_up(s);
	}
}

/* Kills @rounds workers after up to @max_us of counting; how many lost what was told, or more. */
static unsigned kill_workers(unsigned rounds, uint64_t size, long max_us, bool exact, bool *ret_grew)
{
	struct told *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t before = 0, last = 0;
	unsigned bad = 0;

	start_anew();
	for (unsigned i = 0; i < rounds; i++) {
		struct timespec pause = { .tv_nsec = random() % max_us * 1000 };
		uint64_t begun;
		int status;
		pid_t pid;

		atomic_store(&t->begun, 0);
		fflush(stdout);
		pid = fork();
		if (pid == 0)
			count_until_killed(t, size);
		while (!atomic_load(&t->begun) && waitpid(pid, &status, WNOHANG) == 0)
			sched_yield();
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		begun = atomic_load(&t->begun) - 1;
		if (exact ? begun != before && begun != before + 1 : begun < last)
			bad++; /* one more than told is a call whose answer was on its way */
		bad += !WIFSIGNALED(status);
		last = begun;
		before = atomic_load(&t->count) > begun ? atomic_load(&t->count) : begun;
	}
	*ret_grew = last > rounds / 2;
	return bad;
}

static void survives_kill_9(void)
{
	bool grew;

	ok(kill_workers(300, 8, 500, true, &grew) == 0 && grew,
	   "300 workers killed at any instant lose and double nothing that was told");
	ok(kill_workers(60, 60000, 2000, true, &grew) == 0 && grew, "nor with 60 KB of state");
	ok(kill_workers(12, LARGE, 400000, false, &grew) == 0,
	   "a large state is found whole, and never older than it was found before");
}

/* Swaps */

static bool answered = true, orderly = true; /* contexts of what follows */

static int swap_in_place(void *context)
{
	struct deployment *a = deployment_new(24, 1, NULL), *b = deployment_new(24, 1, NULL);
	struct deployment *none = deployment_new(0, 0, NULL);
	struct state *s = state_new();

	(void)context;
	enter(s, a)[2] = 7;
	if ((uintptr_t)a->slot != 0x7e8000000000)
		return 1;
	state_checkpoint(s, true);
	enter(s, none);
	state_checkpoint(s, true);
	return enter(s, b)[2] == 7 && b->slot == a->slot ? 0 : 2;
}

static int double_it(const void *old, uint64_t size, uint32_t version, void *ret)
{
	const uint64_t *from = old;

	if (version != 1 || size != 8)
		return -EINVAL;
	((uint64_t *)ret)[1] = 2 * from[0];
	return 0;
}

static int migrate_in_place(void *context)
{
	struct state *s = state_new();
	uint64_t *new;

	(void)context;
	*enter(s, deployment_new(8, 1, NULL)) = 21;
	state_checkpoint(s, true);
	new = enter(s, deployment_new(16, 2, double_it));
	if ((uintptr_t)new != 0x7e8000000000 || new[0] != 0 || new[1] != 42)
		return 1;
	if (context) {
		state_checkpoint(s, true);
		state_leave(s);
	}
	return 0;
}

static int expect_first_version(void *context)
{
	struct state *s = state_new();

	(void)context;
	return *enter(s, deployment_new(8, 1, NULL)) == 21 ? 0 : 1;
}

static int expect_second_version(void *context)
{
	struct state *s = state_new();

	(void)context;
	return enter(s, deployment_new(16, 2, NULL))[1] == 42 ? 0 : 1;
}

static void swaps(void)
{
	start_anew();
	ok(in_worker(swap_in_place, NULL) == 0,
	   "a swap leaves the state where it is, also with an image between that has none");
	start_anew();
	ok(in_worker(migrate_in_place, NULL) == 0, "another version is made from what is there");
	ok(in_worker(expect_first_version, NULL) == 0,
	   "until its first call has ended, the version before can come back");
	ok(in_worker(migrate_in_place, &answered) == 0 && in_worker(expect_second_version, NULL) == 0,
	   "and from then on the new one is found");
	ok(in_worker(expect_first_version, NULL) == 1 && has_said("write a .migrate"),
	   "an image that can't take the state over ends its worker with a sentence");
}

/* Structs that change */

static struct deployment *with_layout(struct deployment *d, const char *members)
{
	_cleanup_free_ char *text = xasprintf("state 1 %llu counter\n%s", (unsigned long long)d->state.size, members);

	d->image.layout = layout_parse(text, strlen(text));
	assert(d->image.layout);
	return d;
}

static struct deployment *small(void)
{
	return with_layout(deployment_new(8, 1, NULL), "i 32 0 - count\tint\t\ni 32 32 - old\tint\t\n");
}

static struct deployment *wide(void)
{
	return with_layout(deployment_new(16, 1, NULL), "f 64 0 - new\tdouble\t\ni 64 64 - count\tlong\t\n");
}

static int begin_small(void *context)
{
	struct state *s = state_new();
	int32_t *small_state = (int32_t *)enter(s, small());

	(void)context;
	small_state[0] = -7;
	small_state[1] = 1;
	state_checkpoint(s, true);
	return 0;
}

static int become_wide(void *context)
{
	struct state *s = state_new();
	uint64_t *new;

	if (context) /* in place: it has served the small one */
		enter(s, small());
	new = enter(s, wide());
	return (uintptr_t)new == 0x7e8000000000 && new[0] == 0 && (int64_t)new[1] == -7 ? 0 : 1;
}

static int stay_wide(void *context)
{
	struct state *s = state_new();
	uint64_t *new = enter(s, wide());

	(void)context;
	new[1]++;
	state_checkpoint(s, true);
	return (int64_t)new[1] == -6 ? 0 : 1;
}

static int expect_wide(void *context)
{
	(void)context;
	return (int64_t)enter(state_new(), wide())[1] == -6 ? 0 : 1;
}

static int become_small(void *context)
{
	(void)context;
	enter(state_new(), small());
	return 0;
}

static void changes(void)
{
	_cleanup_free_ char *before = xasprintf("%s.before", path), *aside = xasprintf("%s.aside", path);

	start_anew();
	ok(in_worker(begin_small, NULL) == 0 && in_worker(become_wide, &answered) == 0,
	   "members are found by name when the struct changes in place");
	ok(in_worker(become_wide, NULL) == 0 && in_worker(become_wide, NULL) == 0,
	   "and in the checkpoint, again and again until a call has ended");
	ok(in_worker(stay_wide, NULL) == 0 && in_worker(expect_wide, NULL) == 0, "from then on the new struct is found");
	ok(in_worker(become_small, NULL) == 1 && has_said("counter.count narrows from long to int"),
	   "a struct into which it doesn't fit ends the worker with a sentence");
	assert(rename(path, aside) == 0 && rename(before, path) == 0);
	ok(in_worker(become_wide, NULL) == 0, "and the checkpoint before the change has been kept");
}

/* Trials */

static int refuse_all(const void *old, uint64_t size, uint32_t version, void *ret)
{
	(void)old, (void)size, (void)version, (void)ret;
	return -ERANGE;
}

static void trials(void)
{
	_cleanup_buffer_ struct buffer before = BUFFER_NULL, after = BUFFER_NULL;
	struct deployment *good = deployment_new(16, 2, double_it);
	char sentence[256] = "";
	uint64_t n = 5;

	start_anew();
	counted = 0;
	assert(in_worker(count_to, &n) == 0);
	file_read(path, &before);
	ok(state_try(&good->image, path, sentence, sizeof(sentence)) == 0 && good->slot[1] == 10,
	   "a trial shows the check a copy of the state, migrated");
	good->slot[1] = 1000;
	state_try_end(&good->image);
	ok(good->slot == NULL, "which then goes");
	ok(state_try(&deployment_new(8, 2, NULL)->image, path, sentence, sizeof(sentence)) != 0 &&
		   strstr(sentence, "8 bytes, version 1, and this image's has 8 bytes, version 2"),
	   "a trial refuses another version without a migrate()");
	ok(state_try(&deployment_new(8, 2, refuse_all)->image, path, sentence, sizeof(sentence)) == ERANGE &&
		   strstr(sentence, "migrate() from version 1 returned -34"),
	   "and one whose migrate() fails");
	file_read(path, &after);
	ok(before.size == after.size && memcmp(before.data, after.data, before.size) == 0,
	   "and writes nothing to the checkpoint");
}

/* Files that are not ours */

static int begins_at_zero(void *context)
{
	struct state *s = state_new();
	uint64_t *count = enter(s, deployment_new(8, 1, NULL));

	(void)context;
	if (*count != 0)
		return 1;
	*count = 1;
	state_checkpoint(s, true);
	return 0;
}

static bool is_ignored(const void *bytes, size_t size, const char *sentence)
{
	_cleanup_free_ char *aside = xasprintf("%s.ignored", path);
	_cleanup_buffer_ struct buffer kept = BUFFER_NULL;

	assert(file_write(path, bytes, size, 0600) == 0);
	if (in_worker(begins_at_zero, NULL) != 0 || !has_said(sentence) || file_read(aside, &kept) != 0)
		return false;
	return kept.size == size && (size == 0 || memcmp(kept.data, bytes, size) == 0);
}

static void foreign_files(void)
{
	_cleanup_buffer_ struct buffer good = BUFFER_NULL;
	uint64_t n = 5;

	start_anew();
	counted = 0;
	assert(in_worker(count_to, &n) == 0 && file_read(path, &good) == 0);
	ok(is_ignored("garbage", 7, "it is cut short"), "a short file is ignored and put aside");
	good.data[0] ^= 1;
	ok(is_ignored(good.data, good.size, "it is not a checkpoint"), "so is garbage");
	good.data[0] ^= 1;
	good.data[8]++;
	ok(is_ignored(good.data, good.size, "another version of devserve wrote it"), "another format");
	good.data[8]--;
	good.data[14]++;
	ok(is_ignored(good.data, good.size, "a machine of another kind"), "another machine's");
	good.data[14]--;
	ok(is_ignored(good.data, good.size - 1, "it is cut short"), "a truncated one");
	good.data[23] = (char)0xff;
	ok(is_ignored(good.data, good.size, "it is damaged"), "a lying one");
	good.data[23] = 0;
	assert(file_write(path, good.data, good.size, 0600) == 0);
	counted = 5;
	ok(in_worker(count_to, &(uint64_t){ 1 }) == 0, "and the whole one is taken");
}

static int without_room(void *context)
{
	const struct rlimit limit = { 1000, 1000 };
	struct state *s = state_new();
	uint64_t *count;

	(void)context;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	count = enter(s, deployment_new(8, 1, NULL));
	for (int i = 0; i < 100; i++) {
		++*count;
		state_checkpoint(s, true);
	}
	state_leave(s);
	return *count == 100 ? 0 : 1;
}

static void no_room(void)
{
	_cleanup_free_ char *new = xasprintf("%s.new", path);

	start_anew();
	ok(in_worker(without_room, NULL) == 0 && has_said("Free some space"),
	   "without room for a file the state lives on in memory, and it is said");
	ok(!file_exists(path) && !file_exists(new), "and nothing half is left");
}

static int leave_large(void *context)
{
	struct state *s = state_new();
	uint64_t *words = enter(s, deployment_new(LARGE, 1, NULL));

	words[LARGE / 8 - 1] += 1;
	state_checkpoint(s, true);
	if (context)
		state_leave(s);
	return (int)words[LARGE / 8 - 1];
}

static int due_by_time(void *context)
{
	struct state *s = state_new();
	uint64_t *words = enter(s, deployment_new(LARGE, 1, NULL)), due;

	(void)context;
	if (state_due_ns(s) != 0)
		return 100;
	words[0] += 1;
	state_checkpoint(s, true);
	while ((due = state_due_ns(s)) != 0) {
		nanosleep(&(struct timespec){ .tv_nsec = (long)due }, NULL);
		state_catch_up(s);
	}
	return (int)words[0];
}

static void large(void)
{
	start_anew();
	ok(in_worker(leave_large, &orderly) == 1 && in_worker(leave_large, &orderly) == 2,
	   "a large state is written when the worker is stopped");
	start_anew();
	ok(in_worker(due_by_time, NULL) == 1 && in_worker(due_by_time, NULL) == 2,
	   "and a while after the last call, by a child");
}

int main(void)
{
	char template[] = "/tmp/devserve-state-XXXXXX";

	assert(mkdtemp(template));
	said = xasprintf("%s/said", template);
	directory = xasprintf("%s/state", template);
	path = xasprintf("%s/0", directory);
	srandom((unsigned)getpid());
	survives_an_orderly_end();
	swaps();
	changes();
	trials();
	foreign_files();
	no_room();
	large();
	survives_kill_9();
	file_remove_tree(template);
	printf("1..%d\n", n_tests);
	return n_failures != 0;
}
