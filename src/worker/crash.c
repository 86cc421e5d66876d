/* SPDX-License-Identifier: MIT */

/*
 * Nothing here allocates or takes a lock: frames come from libgcc's unwinder, modules from
 * _dl_find_object(), both of which read the loader's tables without one (a plugin may crash in
 * a constructor, under dlopen()'s lock). Should it hang all the same, an alarm ends the process;
 * should it crash, the handler is entered a second time and gives up with what it has, and a
 * third time (the plugin unmapped the link) without even that.
 *
 * A jump to where no code is leaves no frame to unwind from. Its return address still lies on
 * top of the stack, so the interrupted context is moved back to the caller first.
 *
 * A forked child has no link: it dies of what it did and leaves nothing.
 */

#include "worker/crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "base/memory.h"
#include "ring/link.h"
#include "worker/guard.h"

#define SIGNAL_STACK 65536
#define PATIENCE_US 100000
#define NEAR ((uintptr_t)65536)
#define FAR ((uintptr_t)1 << 20)

static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGXCPU };

static struct link_shared *shared;
static struct crash *record;
static char program[sizeof(record->modules->path)];
static pid_t process;
static atomic_int owner; /* the thread that writes the record */
static volatile sig_atomic_t deadly;
static volatile sig_atomic_t n_nested; /* signals of the owner while it writes */
static atomic_bool exit_expected;
static pthread_key_t stack_key; /* the signal stack goes with its thread */
static pthread_t control_thread;
static atomic_bool has_control;
static _Thread_local uint32_t kind;
static _Thread_local uintptr_t stack_low;

/* What the registers said before anything moved them. */
struct fault {
	uintptr_t pc, sp, address;
	bool is_write;
};

static struct fault fault_of(const siginfo_t *info, const ucontext_t *u)
{
	return (struct fault){
		.pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP],
		.sp = (uintptr_t)u->uc_mcontext.gregs[REG_RSP],
		.address = (uintptr_t)info->si_addr,
		.is_write = u->uc_mcontext.gregs[REG_ERR] & 2,
	};
}

static void return_to_caller(ucontext_t *u)
{
	u->uc_mcontext.gregs[REG_RIP] = *(const greg_t *)u->uc_mcontext.gregs[REG_RSP];
	u->uc_mcontext.gregs[REG_RSP] += (greg_t)sizeof(greg_t);
}

static void copy_text(char *ret, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(ret, text, n);
	ret[n] = '\0';
}

/* Frames */

static uint64_t module_of(uintptr_t pc)
{
	struct dl_find_object found;
	const char *path;
	uint32_t i;

	if (_dl_find_object((void *)pc, &found) != 0)
		return UINT64_MAX;
	for (i = 0; i < record->n_modules; i++)
		if (record->modules[i].base == found.dlfo_link_map->l_addr)
			return i;
	if (i == CRASH_MODULES)
		return UINT64_MAX;
	path = found.dlfo_link_map->l_name;
	if (!path || !path[0])
		path = program;
	record->modules[i].base = found.dlfo_link_map->l_addr;
	copy_text(record->modules[i].path, sizeof(record->modules[i].path), path);
	record->n_modules++;
	return i;
}

static void add_frame(uintptr_t pc)
{
	struct crash_frame *f = &record->frames[record->n_frames];

	if (record->n_frames == CRASH_FRAMES)
		return;
	f->pc = pc;
	f->module = module_of(pc);
	record->n_frames++;
}

struct walk {
	uintptr_t start; /* frames before this one are the handler's; 0: only the first @skip are */
	unsigned skip;
	bool started;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *data)
{
	struct walk *w = data;
	uintptr_t pc = _Unwind_GetIP(context);

	if (!w->started && (w->start ? pc == w->start : w->skip-- == 0))
		w->started = true;
	if (w->started && pc)
		add_frame(pc);
	return record->n_frames == CRASH_FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void walk_from(ucontext_t *u, uintptr_t pc)
{
	struct dl_find_object found;
	struct walk w = { .start = pc };

	if (_dl_find_object((void *)pc, &found) != 0) {
		add_frame(pc);
		return_to_caller(u);
		w.start = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
	}
	_Unwind_Backtrace(on_frame, &w);
	if (!w.started)
		add_frame(w.start);
}

/* What went wrong */

static void say(const char *text)
{
	copy_text(record->what, sizeof(record->what), text);
}

/* The stack was about to grow where it must not: near its end, and near where it had come to. */
static bool is_own_stack(const struct fault *f)
{
	return stack_low && f->address < stack_low + NEAR && f->address + FAR > stack_low &&
	       f->address < f->sp + NEAR && f->address + FAR > f->sp;
}

/* What is written through one may be an output that nobody made. */
static void say_null(const struct fault *f)
{
	char unmade[192] = "";

	if (kind == CRASH_INFER && f->is_write)
		guard_put_unmade(unmade, sizeof(unmade));
	snprintf(record->what, sizeof(record->what), "%s through a null pointer%s", f->is_write ? "wrote" : "read", unmade);
}

/* snprintf() of numbers takes no memory and no lock. */
static void say_access(const siginfo_t *info, const struct fault *f)
{
	const char *verb = f->is_write ? "wrote to" : "read from";

	if (info->si_code == SI_KERNEL)
		say("followed a pointer that is no address at all");
	else if (f->address < NEAR)
		say_null(f);
	else
		snprintf(record->what, sizeof(record->what), "%s %#llx, %s", verb,
			 (unsigned long long)f->address,
			 info->si_signo == SIGBUS ? "which its file doesn't reach" :
			 info->si_code == SEGV_MAPERR ? "where no memory is" : "which it may not");
}

static void say_call(const struct fault *f)
{
	if (f->pc == 0)
		say("called a null pointer");
	else
		snprintf(record->what, sizeof(record->what), "called %#llx, where no code is", (unsigned long long)f->pc);
}

static void explain_fault(const siginfo_t *info, const struct fault *f)
{
	if (is_own_stack(f))
		say("overflowed its stack");
	else if (guard_explain(f->address, f->is_write, record->what, sizeof(record->what)))
		return;
	else if (f->pc == f->address)
		say_call(f);
	else
		say_access(info, f);
}

static void explain(const siginfo_t *info, const struct fault *f)
{
	if (info->si_code <= 0)
		return; /* somebody sent it */
	if (info->si_signo == SIGSEGV || info->si_signo == SIGBUS)
		explain_fault(info, f);
	else if (info->si_signo == SIGFPE && info->si_code == FPE_INTDIV)
		say("divided an integer by zero");
}

/* Dying */

static pid_t self(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void complete(void)
{
	if (atomic_load(&record->state) == CRASH_STARTED)
		atomic_store_explicit(&record->state, CRASH_COMPLETE, memory_order_release);
}

static _Noreturn void die(int number)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigaction(number, &act, NULL);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	syscall(SYS_tgkill, getpid(), self(), number);
	_exit(128 + number);
}

static void on_alarm(int number)
{
	(void)number;
	complete();
	die(deadly);
}

static void set_alarm(void)
{
	struct itimerval timer = { .it_value.tv_usec = PATIENCE_US };
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK };
	sigset_t set;

	sigaction(SIGALRM, &act, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Whether this thread writes the record. Another one that crashes meanwhile waits for the end. */
static bool own_record(void)
{
	int nobody = 0;

	if (atomic_compare_exchange_strong(&owner, &nobody, self()))
		return true;
	while (nobody != self())
		pause();
	return false;
}

/* It crashed while it wrote. */
static _Noreturn void give_up(int number)
{
	if (n_nested++ == 0)
		complete();
	die(deadly ? deadly : number);
}

static void begin(int number)
{
	atomic_store(&record->state, CRASH_STARTED);
	record->signal = number;
	record->code = 0;
	record->thread = kind ? kind : CRASH_OTHER;
	record->n_frames = record->n_modules = 0;
}

/* What takes too long may be create(): the main thread, which gets the signal, then only waits. */
static bool pass_on(int number)
{
	return number == SIGXCPU && kind == CRASH_INFER && !atomic_load(&shared->running) &&
	       atomic_load(&has_control) && pthread_kill(control_thread, number) == 0;
}

static void on_crash(int number, siginfo_t *info, void *context)
{
	struct fault f = fault_of(info, context);
	int error = errno;

	if (getpid() != process)
		die(number);
	if (pass_on(number)) {
		errno = error;
		return;
	}
	if (!own_record())
		give_up(number);
	deadly = number;
	set_alarm();
	begin(number);
	record->code = info->si_code;
	record->address = info->si_code > 0 ? f.address : 0;
	walk_from(context, f.pc);
	explain(info, &f);
	complete();
	die(number);
}

/* exit() by a plugin: its frames are still there, below ours and the C library's. */
static void on_process_exit(int status, void *context)
{
	struct walk w = { .skip = 1 };

	(void)context;
	if (atomic_load(&exit_expected) || getpid() != process || !own_record())
		return;
	begin(0);
	snprintf(record->what, sizeof(record->what), "called exit(%d)", status);
	_Unwind_Backtrace(on_frame, &w);
	complete();
}

_Noreturn void crash_end(const char *what, uintptr_t function)
{
	if (own_record()) {
		begin(SIGABRT);
		record->code = CRASH_FOUND_LATE;
		say(what);
		add_frame(function);
		complete();
	}
	die(SIGABRT);
}

void crash_expect_exit(void)
{
	atomic_store(&exit_expected, true);
}

/* The first walk initialises what the unwinder needs. */
static _Unwind_Reason_Code on_first_frame(struct _Unwind_Context *context, void *data)
{
	(void)context, (void)data;
	return _URC_NO_REASON;
}

static uintptr_t lowest_of_stack(void)
{
	pthread_attr_t attributes;
	void *low = NULL;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attributes) != 0)
		return 0;
	pthread_attr_getstack(&attributes, &low, &size);
	pthread_attr_destroy(&attributes);
	return (uintptr_t)low;
}

static void on_thread_end(void *at)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	sigaltstack(&none, NULL);
	munmap(at, SIGNAL_STACK);
}

static void give_stack(void)
{
	stack_t stack = { .ss_size = SIGNAL_STACK };

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return;
	sigaltstack(&stack, NULL);
	pthread_setspecific(stack_key, stack.ss_sp);
}

void crash_catch(struct link_shared *link)
{
	struct sigaction act = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	shared = link;
	record = &link->crash;
	process = getpid();
	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		program[0] = '\0'; /* its frames go without a name */
	pthread_key_create(&stack_key, on_thread_end);
	_Unwind_Backtrace(on_first_frame, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		sigaction(fatal[i], &act, NULL);
	on_exit(on_process_exit, NULL);
}

void crash_enter_thread(uint32_t thread)
{
	kind = thread;
	stack_low = lowest_of_stack();
	give_stack();
	if (thread == CRASH_CONTROL) {
		control_thread = pthread_self();
		atomic_store(&has_control, true);
	}
}
