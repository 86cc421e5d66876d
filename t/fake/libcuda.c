/* SPDX-License-Identifier: MIT */

/*
 * A FAKE of CUDA's driver, for tests of order and of error paths where no GPU is: it computes
 * nothing. "Device memory" is the host's, a launch does nothing but be written down. Tests put
 * its directory into LD_LIBRARY_PATH.
 *
 * Where a test needs answers that differ, or times, the source says what they are to be, by an empty
 * kernel beside the others:
 *
 *	fake_adds_7      a launch (y, x, n, …) of what stands beside it makes y[i] = x[i] + 7, in int32
 *	fake_takes_2000  by the events, a launch of what stands beside it takes 2000 ns, give or take 1 %
 *
 *	FAKE_CUDA_LOG    file: a line for each call, "PID FUNCTION …"
 *	FAKE_CUDA_CAPABILITY the GPU's: 90 is 9.0; 80 if it isn't there
 *	FAKE_CUDA_NO_GRAPHS  no graph can be instantiated
 *	FAKE_CUDA_WAIT_MS    how long a wait for a stream or an event takes
 *	FAKE_CUDA_LOAD_MS    how long it takes to load a library
 *	FAKE_CUDA_FAULT  "KERNEL=ERROR": once that kernel has run everything fails so;
 *	                 "KERNEL=ERROR@N": once it has run for the Nth time
 *
 * Kernels and their parameters are read from the cubins, which are real.
 *
 * What the real one refuses, or what has no meaning there, is refused here, too, and written down as a
 * line "MISTAKE …", which no test may leave (t/lib/gpu.py): calls without a context, before cuInit() or
 * in a child; a kernel of a library that is gone, a library that goes while its kernels run; host memory
 * that is pinned in part, twice, or no longer by the pages that are there; times of events that have
 * none. Everything is done at once, but counts as done only when somebody has waited for it.
 */

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

enum { MAX_KERNELS = 64, MAX_PARAMETERS = 16, MAX_NODES = 64, MAX_STREAMS = 16, MAX_RANGES = 4096 };
enum { INVALID_VALUE = 1, NOT_INITIALIZED = 3, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_READY = 600 };
enum { PAGE = 4096 };
enum { USUAL_SHARED = 49152, MOST_SHARED = 166912, MOST_THREADS = 1024, MOST_BLOCKS = 65535 };

/* How far each stream has come. */
struct moment {
	uint64_t at[MAX_STREAMS];
};

struct library;

struct kernel {
	struct library *library;
	char name[128];
	unsigned n_parameters;
	size_t sizes[MAX_PARAMETERS];
	int shared; /* dynamic, that a launch may have */
	int loaded; /* its code is on the GPU */
};

struct library {
	unsigned n;
	int gone;
	struct moment used;
	int adds, takes_ns; /* -1: nothing is said of it */
	struct kernel kernels[MAX_KERNELS];
};

static int fault; /* sticky */
static _Atomic uint64_t gone_ns; /* by the events */

/* What a stream was told while it is captured, which is then done at each replay. */
struct node {
	struct kernel *kernel; /* NULL: a copy, or a fill */
	uint64_t to, from; /* of a kernel: its first parameters, as many as are needed */
	int n;
	size_t size;
	int fills; /* with that byte; -1: it copies */
};

struct stream {
	unsigned number;
	struct moment now;
};

struct graph {
	unsigned number, n;
	const struct stream *stream;
	struct node nodes[MAX_NODES];
};

struct event {
	unsigned flags;
	int gone;
	uint64_t ns;
	const struct stream *stream; /* it was recorded on; NULL: none yet */
	struct moment moment;
};

static struct graph *captured; /* NULL: no capture is under way */
static int broken;             /* why it will fail */
static unsigned n_graphs;

static struct range {
	uint64_t at;
	size_t size;
	int is_private;
	struct moment used;
} ranges[MAX_RANGES], pinned[MAX_RANGES]; /* of device memory, of the host's */
static size_t most_ranges; /* that either ever had */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of these, and of what is done */
static struct moment done;
static uint64_t n_done; /* that streams were told */

static pid_t started_by;
static _Thread_local int has_context;

static __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
	const char *path = getenv("FAKE_CUDA_LOG");
	char line[512];
	va_list args;
	int n = snprintf(line, sizeof(line), "%d ", (int)getpid());
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;

	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)n) < 0)
		abort();
	close(fd);
}

#define NOTE(...) (note(__VA_ARGS__), fault)

/* What a thread must not do while it captures, and what nobody should do meanwhile. */
static int unsafe(const char *what)
{
	if (!captured)
		return 0;
	note("%s during a capture", what);
	broken = 900;
	return broken;
}

static __attribute__((format(printf, 2, 3))) int mistake(int error, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note("MISTAKE %s", text);
	return error;
}

/* What every call of a thread needs that asks more than which GPUs there are. */
static int lacks_context(const char *function)
{
	if (!started_by)
		return mistake(NOT_INITIALIZED, "%s before cuInit", function);
	if (started_by != getpid())
		return mistake(NOT_INITIALIZED, "%s in a child of who called cuInit", function);
	if (!has_context)
		return mistake(INVALID_CONTEXT, "%s without a context", function);
	return 0;
}

#define NEEDS_CONTEXT()                               \
	do {                                          \
		int lacks = lacks_context(__func__);  \
                                                      \
		if (lacks)                            \
			return lacks;                 \
	} while (0)

/* Time */

static void reach(struct moment *m, const struct moment *other)
{
	for (unsigned i = 0; i < MAX_STREAMS; i++)
		if (other->at[i] > m->at[i])
			m->at[i] = other->at[i];
}

static int is_done(const struct moment *m)
{
	for (unsigned i = 0; i < MAX_STREAMS; i++)
		if (m->at[i] > done.at[i])
			return 0;
	return 1;
}

static void wait_until(const struct moment *m)
{
	pthread_mutex_lock(&lock);
	reach(&done, m);
	pthread_mutex_unlock(&lock);
}

/* The stream is told one thing more, which uses something. */
static int advance(struct stream *s, struct moment *used)
{
	if (!s)
		return mistake(INVALID_HANDLE, "the legacy stream");
	pthread_mutex_lock(&lock);
	s->now.at[s->number] = ++n_done;
	if (used)
		used->at[s->number] = n_done;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Memory */

static void add_range(struct range *in, uint64_t at, size_t size)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < MAX_RANGES; i++)
		if (!in[i].at) {
			in[i] = (struct range){ .at = at, .size = size };
			most_ranges = i < most_ranges ? most_ranges : i + 1;
			break;
		}
	pthread_mutex_unlock(&lock);
}

/* The first that has any of these bytes; NULL: none has. */
static struct range *find_range(struct range *in, uint64_t at, size_t size)
{
	struct range *found = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < most_ranges && !found; i++)
		if (in[i].at && in[i].at < at + size && at < in[i].at + in[i].size)
			found = &in[i];
	pthread_mutex_unlock(&lock);
	return found;
}

static int holds(const struct range *r, uint64_t at, size_t size)
{
	return at >= r->at && at - r->at <= r->size && size <= r->size - (at - r->at);
}

/* Any of this process's memory, shared memory included, of which mincore() says the same as of what was given back. */
static int is_swapped(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "Swap: %lu", &kib) != 1)
		;
	if (f)
		fclose(f);
	return kib > 0;
}

/*
 * Pages that were pinned are there as long as they are: one that isn't was given back, and is another now. Or it was
 * swapped out, as none is that the real one has pinned.
 */
static int has_all_pages(const struct range *r)
{
	unsigned char there[1024];

	for (size_t i = 0; i < r->size; i += sizeof(there) * PAGE) {
		size_t left = r->size - i, size = left < sizeof(there) * PAGE ? left : sizeof(there) * PAGE;

		if (mincore((void *)(uintptr_t)(r->at + i), size, there) < 0)
			return 0;
		for (size_t k = 0; k < (size + PAGE - 1) / PAGE && !r->is_private; k++)
			if (!(there[k] & 1))
				return is_swapped();
	}
	return 1;
}

/* Memory of the host, or of the device, for what @s is told. */
static int use(struct stream *s, uint64_t at, size_t size)
{
	struct range *device = find_range(ranges, at, size), *host = find_range(pinned, at, size);

	if (!size)
		return 0;
	if (device)
		return holds(device, at, size) ? 0 : mistake(INVALID_VALUE, "%zu bytes past what was allocated", size);
	if (!host)
		return 0;
	if (!holds(host, at, size))
		return mistake(INVALID_VALUE, "%zu bytes of which some are pinned, or by two calls", size);
	if (!has_all_pages(host))
		return mistake(INVALID_VALUE, "the pages that were pinned are no longer those that are there");
	return advance(s, &host->used);
}

static int use_device(uint64_t at, size_t size)
{
	struct range *r = find_range(ranges, at, size);

	return !size || (r && holds(r, at, size)) ? 0 : mistake(INVALID_VALUE, "%zu bytes that are not on the GPU", size);
}

/* As the real one's, it never ends. */
static void *wait_for_ever(void *context)
{
	pause();
	return context;
}

static int run_or_capture(struct stream *s, const struct node *n);

API int cuInit(unsigned flags)
{
	pthread_t thread;

	(void)flags;
	if (started_by && started_by != getpid())
		return mistake(NOT_INITIALIZED, "cuInit in a child of who called it");
	if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
		return 999;
	started_by = getpid();
	return NOTE("init");
}
API int cuDriverGetVersion(int *ret) { *ret = 13000; return 0; }
API int cuDeviceGetCount(int *ret) { *ret = 1; return 0; }
API int cuDeviceGet(int *ret, int ordinal) { *ret = ordinal; return 0; }
API int cuDeviceGetName(char *ret, int size, int device) { (void)device; snprintf(ret, (size_t)size, "fake"); return 0; }
API int cuDeviceGetPCIBusId(char *ret, int size, int device) { (void)device; snprintf(ret, (size_t)size, "0000:1B:00.0"); return 0; }
static int capability(void)
{
	const char *text = getenv("FAKE_CUDA_CAPABILITY");

	return text ? (int)strtol(text, NULL, 10) : 80;
}

/* By the ELF header: machine code is for one major capability, and the minor ones from its own on. */
static int is_for_us(const Elf64_Ehdr *elf)
{
	int made_for = (int)(elf->e_flags >> (elf->e_ident[EI_ABIVERSION] >= 8 ? 8 : 0) & 0xff);

	return made_for / 10 == capability() / 10 && made_for % 10 <= capability() % 10;
}

API int cuDeviceGetAttribute(int *ret, int attribute, int device)
{
	(void)device;
	*ret = attribute == 75 ? capability() / 10 : attribute == 76 ? capability() % 10 : attribute == 97 ? MOST_SHARED : attribute == 38 ? 1 << 20 : 0;
	return 0;
}
API int cuDevicePrimaryCtxRetain(void **ret, int device) { (void)device; *ret = &fault; return NOTE("context"); }
API int cuCtxSetCurrent(void *context) { has_context = context != NULL; return fault; }
API int cuCtxSynchronize(void)
{
	NEEDS_CONTEXT();
	if (unsafe("synchronize"))
		return 900;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < MAX_STREAMS; i++)
		done.at[i] = n_done;
	pthread_mutex_unlock(&lock);
	return NOTE("synchronize");
}
API int cuStreamCreate(void **ret, unsigned flags)
{
	static unsigned n;
	struct stream *s = calloc(1, sizeof(*s));

	(void)flags;
	NEEDS_CONTEXT();
	s->number = ++n;
	if (n == MAX_STREAMS)
		return mistake(2, "so many streams");
	*ret = s;
	return fault;
}

/* Said of those beyond the first two, which devserve makes with the context. */
static const char *on(const struct stream *s)
{
	static _Thread_local char text[32];

	text[0] = '\0';
	if (s && s->number > 2)
		snprintf(text, sizeof(text), " on %u", s->number);
	return text;
}

static unsigned long milliseconds(const char *name)
{
	const char *ms = getenv(name);

	return ms ? strtoul(ms, NULL, 10) : 0;
}

static void let_pass(const char *name)
{
	for (unsigned long ms = milliseconds(name); ms > 0; ms--)
		usleep(1000);
}

API int cuStreamSynchronize(void *stream)
{
	const struct stream *s = stream;

	NEEDS_CONTEXT();
	if (!s)
		return mistake(INVALID_HANDLE, "a wait for the legacy stream");
	let_pass("FAKE_CUDA_WAIT_MS");
	if (unsafe("wait"))
		return 900;
	wait_until(&s->now);
	return NOTE("wait%s", s->number == 2 ? " by control" : "");
}
API int cuEventCreate(void **ret, unsigned flags)
{
	struct event *e = calloc(1, sizeof(*e));

	NEEDS_CONTEXT();
	e->flags = flags;
	*ret = e;
	return fault;
}
static int is_gone(const struct event *e)
{
	return !e || e->gone ? mistake(INVALID_HANDLE, "an event that was destroyed") : 0;
}
API int cuEventRecord(void *event, void *stream)
{
	struct event *e = event;
	struct stream *s = stream;

	NEEDS_CONTEXT();
	if (is_gone(e) || advance(s, NULL))
		return INVALID_HANDLE;
	e->ns = gone_ns;
	e->stream = s;
	e->moment = s->now;
	return NOTE("record%s", on(stream));
}
API int cuStreamWaitEvent(void *stream, void *event, unsigned flags)
{
	struct stream *s = stream;
	const struct event *e = event;

	(void)flags;
	NEEDS_CONTEXT();
	if (is_gone(e))
		return INVALID_HANDLE;
	pthread_mutex_lock(&lock);
	reach(&s->now, &e->moment);
	pthread_mutex_unlock(&lock);
	return NOTE("%u waits for %u", s->number, e->stream ? e->stream->number : 0);
}
API int cuStreamWriteValue32_v2(void *stream, uint64_t at, uint32_t value, unsigned flags)
{
	(void)flags;
	NEEDS_CONTEXT();
	if (advance(stream, NULL))
		return INVALID_HANDLE;
	if (!fault)
		memcpy((void *)(uintptr_t)at, &value, sizeof(value));
	return NOTE("progress%s", on(stream));
}
API int cuMemAllocHost_v2(void **ret, size_t size)
{
	NEEDS_CONTEXT();
	if (unsafe("allocate of the host"))
		return 900;
	*ret = calloc(1, size);
	return fault;
}
API int cuMemFreeHost(void *at) { free(at); return fault; }
API int cuEventElapsedTime(float *ret, void *from, void *to)
{
	const struct event *a = from, *b = to;

	NEEDS_CONTEXT();
	if (is_gone(a) || is_gone(b))
		return INVALID_HANDLE;
	if ((a->flags | b->flags) & 2 || !a->stream || !b->stream)
		return mistake(INVALID_HANDLE, "a time between events that have none");
	if (!is_done(&a->moment) || !is_done(&b->moment))
		return mistake(NOT_READY, "a time that nobody has waited for");
	*ret = (float)(b->ns - a->ns) / 1e6f;
	return NOTE("elapsed");
}
API int cuEventSynchronize(void *event)
{
	const struct event *e = event;

	NEEDS_CONTEXT();
	if (is_gone(e))
		return INVALID_HANDLE;
	let_pass("FAKE_CUDA_WAIT_MS");
	if (unsafe("wait for event"))
		return 900;
	wait_until(&e->moment);
	return NOTE("wait for event%s", on(e->stream));
}
API int cuEventDestroy_v2(void *event)
{
	struct event *e = event;

	NEEDS_CONTEXT();
	if (is_gone(e))
		return INVALID_HANDLE;
	e->gone = 1;
	return fault;
}
API int cuMemAlloc_v2(uint64_t *ret, size_t size)
{
	NEEDS_CONTEXT();
	if (unsafe("allocate"))
		return 900;
	if (!size)
		return INVALID_VALUE;
	*ret = (uintptr_t)aligned_alloc(256, (size + 255) & ~(size_t)255);
	add_range(ranges, *ret, size);
	memset((void *)(uintptr_t)*ret, 0, size);
	return NOTE("allocate %zu", size);
}
API int cuMemFree_v2(uint64_t at)
{
	struct range *r = find_range(ranges, at, 1);

	NEEDS_CONTEXT();
	if (unsafe("free"))
		return 900;
	if (!r || r->at != at)
		return mistake(INVALID_VALUE, "memory that nobody allocated is freed");
	r->at = 0;
	free((void *)(uintptr_t)at);
	return NOTE("free");
}
API int cuPointerGetAttribute(void *ret, int attribute, uint64_t at)
{
	unsigned device = 2;

	NEEDS_CONTEXT();
	if (attribute != 2 || !find_range(ranges, at, 1))
		return INVALID_VALUE;
	memcpy(ret, &device, sizeof(device));
	return fault;
}
API int cuMemGetInfo_v2(size_t *ret_free, size_t *ret_total) { *ret_free = *ret_total = 1 << 30; return 0; }
API int cuMemcpyAsync(uint64_t to, uint64_t from, size_t size, void *stream)
{
	NEEDS_CONTEXT();
	if (use(stream, to, size) || use(stream, from, size))
		return INVALID_VALUE;
	run_or_capture(stream, &(struct node){ .to = to, .from = from, .size = size, .fills = -1 });
	return NOTE("copy %zu", size);
}
API int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream)
{
	NEEDS_CONTEXT();
	if (use_device(to, size) || use(stream, (uintptr_t)from, size))
		return INVALID_VALUE;
	run_or_capture(stream, &(struct node){ .to = to, .from = (uintptr_t)from, .size = size, .fills = -1 });
	return NOTE("copy in %zu%s", size, on(stream));
}
API int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream)
{
	NEEDS_CONTEXT();
	if (use_device(from, size) || use(stream, (uintptr_t)to, size))
		return INVALID_VALUE;
	run_or_capture(stream, &(struct node){ .to = (uintptr_t)to, .from = from, .size = size, .fills = -1 });
	return NOTE("copy out %zu%s", size, on(stream));
}
API int cuMemsetD8Async(uint64_t to, unsigned char value, size_t size, void *stream)
{
	NEEDS_CONTEXT();
	if (use_device(to, size))
		return INVALID_VALUE;
	run_or_capture(stream, &(struct node){ .to = to, .size = size, .fills = value });
	return NOTE("fill %zu with %d", size, value);
}
/* Memory of this process alone, whose pages nobody gives back: only that can be made to be wiped in a child. */
static int is_private(void *at, size_t size)
{
	return madvise(at, size, MADV_WIPEONFORK) == 0 && madvise(at, size, MADV_KEEPONFORK) == 0;
}

API int cuMemHostRegister_v2(void *at, size_t size, unsigned flags)
{
	int private = is_private(at, size);

	(void)flags;
	NEEDS_CONTEXT();
	if (unsafe("pin"))
		return 900;
	if (find_range(pinned, (uintptr_t)at, size))
		return mistake(712, "memory is pinned that is pinned");
	for (size_t i = 0; i < size && !private; i += PAGE)
		(void)((volatile char *)at)[i]; /* all of its pages are there from now on */
	add_range(pinned, (uintptr_t)at, size);
	find_range(pinned, (uintptr_t)at, size)->is_private = private;
	return NOTE("pin %zu", size);
}
API int cuMemHostUnregister(void *at)
{
	struct range *r = find_range(pinned, (uintptr_t)at, 1);
	int gone, used;

	NEEDS_CONTEXT();
	if (unsafe("unpin"))
		return 900;
	if (!r || r->at != (uintptr_t)at)
		return mistake(713, "memory is unpinned that is not pinned");
	gone = !has_all_pages(r);
	used = !is_done(&r->used);
	r->at = 0;
	if (gone)
		mistake(0, "memory is unpinned that is no longer there");
	if (used)
		mistake(0, "memory is unpinned that is being copied");
	return NOTE("unpin");
}

static const Elf64_Shdr *section(const Elf64_Ehdr *e, unsigned i)
{
	return (const Elf64_Shdr *)((const char *)e + e->e_shoff) + i;
}

/* The records that ptxas leaves of a kernel's parameters: a format, an attribute, a size, then data. */
static void read_parameters(struct kernel *k, const char *p, const char *end)
{
	while (p + 4 <= end) {
		uint16_t size;
		uint32_t words[3];

		memcpy(&size, p + 2, sizeof(size));
		if (p[0] == 4 && p[1] == 0x17 && size == sizeof(words)) {
			memcpy(words, p + 4, sizeof(words));
			if ((words[1] & 0xffff) < MAX_PARAMETERS)
				k->sizes[words[1] & 0xffff] = words[2] >> 18;
			k->n_parameters++;
		}
		p += 4 + (p[0] == 4 ? size : 0);
	}
}

/* What the source says of itself: "fake_adds_7"; -1: nothing. */
static int said(const struct library *l, const char *what)
{
	size_t n = strlen(what);

	for (unsigned i = 0; i < l->n; i++)
		if (strncmp(l->kernels[i].name, what, n) == 0)
			return (int)strtol(l->kernels[i].name + n, NULL, 10);
	return -1;
}

API int cuLibraryLoadData(void **ret, const void *code, void *a, void *b, unsigned c, void *d, void *e, unsigned f)
{
	const Elf64_Ehdr *elf = code;
	const char *names = (const char *)code + section(elf, elf->e_shstrndx)->sh_offset;
	struct library *l;

	(void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
	if (!started_by || started_by != getpid())
		return mistake(NOT_INITIALIZED, "a library is loaded without a driver");
	if (!is_for_us(elf))
		return 209;
	l = calloc(1, sizeof(*l));
	for (unsigned long ms = milliseconds("FAKE_CUDA_LOAD_MS"); ms > 0; ms--) {
		usleep(1000);
		unsafe("load library");
	}
	unsafe("load library");
	for (unsigned i = 0; i < elf->e_shnum && l->n < MAX_KERNELS; i++) {
		const char *name = names + section(elf, i)->sh_name;
		char info[256];

		if (strncmp(name, ".text.", 6) != 0)
			continue;
		l->kernels[l->n].library = l;
		l->kernels[l->n].shared = USUAL_SHARED;
		snprintf(l->kernels[l->n].name, sizeof(l->kernels->name), "%s", name + 6);
		snprintf(info, sizeof(info), ".nv.info.%s", name + 6);
		for (unsigned j = 0; j < elf->e_shnum; j++)
			if (strcmp(names + section(elf, j)->sh_name, info) == 0)
				read_parameters(&l->kernels[l->n], (const char *)code + section(elf, j)->sh_offset,
						(const char *)code + section(elf, j)->sh_offset + section(elf, j)->sh_size);
		l->n++;
	}
	l->adds = said(l, "fake_adds_");
	l->takes_ns = said(l, "fake_takes_");
	*ret = l;
	return NOTE("load library");
}
API int cuLibraryUnload(void *library)
{
	struct library *l = library;

	unsafe("unload library");
	if (l->gone)
		return mistake(INVALID_HANDLE, "a library goes twice");
	if (!fault && !is_done(&l->used))
		mistake(0, "a library goes whose kernels run");
	l->gone = 1;
	return NOTE("unload library");
}
API int cuLibraryGetKernelCount(unsigned *ret, void *library) { *ret = ((struct library *)library)->n; return fault; }
API int cuLibraryEnumerateKernels(void **ret, unsigned n, void *library)
{
	for (unsigned i = 0; i < n; i++)
		ret[i] = &((struct library *)library)->kernels[i];
	return fault;
}
API int cuKernelGetName(const char **ret, void *kernel) { *ret = ((struct kernel *)kernel)->name; return fault; }
API int cuKernelGetFunction(void **ret, void *kernel)
{
	NEEDS_CONTEXT();
	*ret = kernel;
	return fault;
}
API int cuFuncLoad(void *function)
{
	NEEDS_CONTEXT();
	((struct kernel *)function)->loaded = 1;
	return fault;
}
API int cuKernelGetAttribute(int *ret, int attribute, void *kernel, int device)
{
	(void)device;
	*ret = attribute == 8 ? ((struct kernel *)kernel)->shared : 0;
	return fault;
}
API int cuKernelSetAttribute(int attribute, int value, void *kernel, int device)
{
	struct kernel *k = kernel;

	(void)device;
	if (attribute != 8 || value > MOST_SHARED)
		return INVALID_VALUE;
	k->shared = value;
	return NOTE("set %d of %s to %d", attribute, k->name, value);
}
API int cuKernelGetParamInfo(void *kernel, size_t index, size_t *ret_offset, size_t *ret_size)
{
	const struct kernel *k = kernel;

	if (index >= k->n_parameters)
		return INVALID_VALUE;
	*ret_offset = 0;
	*ret_size = k->sizes[index];
	return fault;
}
static void add(const struct node *n, int what)
{
	for (int i = 0; i < n->n; i++)
		((int *)(uintptr_t)n->to)[i] = ((const int *)(uintptr_t)n->from)[i] + what;
}

static void pass(int ns)
{
	static _Thread_local unsigned drawn = 1;

	drawn = drawn * 1664525u + 1013904223u;
	gone_ns += (uint64_t)(ns + (int)((drawn >> 16) % 201 - 100) * ns / 10000);
}

static void fail_if_told(const struct kernel *k)
{
	const char *bad = getenv("FAKE_CUDA_FAULT");
	size_t n = strlen(k->name);
	static long times;
	char *end;
	long error;

	if (!bad || strncmp(bad, k->name, n) != 0 || bad[n] != '=')
		return;
	error = strtol(bad + n + 1, &end, 10);
	if (++times >= (*end == '@' ? strtol(end + 1, NULL, 10) : 1))
		fault = (int)error;
}

static void run(struct stream *s, const struct node *n)
{
	struct library *l = n->kernel ? n->kernel->library : NULL;

	advance(s, l ? &l->used : NULL);
	if (!l && n->fills >= 0)
		memset((void *)(uintptr_t)n->to, n->fills, n->size);
	else if (!l)
		memcpy((void *)(uintptr_t)n->to, (const void *)(uintptr_t)n->from, n->size);
	if (!l)
		return;
	if (l->gone)
		mistake(0, "kernel %s runs, whose library is gone", n->kernel->name);
	if (l->adds >= 0 && n->kernel->n_parameters >= 3)
		add(n, l->adds);
	if (l->takes_ns >= 0)
		pass(l->takes_ns);
	fail_if_told(n->kernel);
}

/* It is asynchronous: a fault shows later. */
static int run_or_capture(struct stream *s, const struct node *n)
{
	if (captured && captured->stream == s && captured->n < MAX_NODES)
		captured->nodes[captured->n++] = *n;
	else
		run(s, n);
	return 0;
}

static int fits(unsigned x, unsigned y, unsigned z, unsigned most_x, unsigned most)
{
	return x && y && z && x <= most_x && y <= most && z <= most;
}

API int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
		       unsigned shared, void *stream, void **arguments, void **extra)
{
	struct node n = { .kernel = function };

	(void)extra;
	NEEDS_CONTEXT();
	if (n.kernel->library->gone)
		return mistake(INVALID_HANDLE, "kernel %s is launched, whose library is gone", n.kernel->name);
	if (!n.kernel->loaded)
		mistake(0, "kernel %s is loaded by its launch", n.kernel->name);
	if (!fits(gx, gy, gz, INT32_MAX, MOST_BLOCKS) || !fits(bx, by, bz, MOST_THREADS, MOST_THREADS) ||
	    (uint64_t)bx * by * bz > MOST_THREADS || shared > (unsigned)n.kernel->shared)
		return INVALID_VALUE;
	if (n.kernel->n_parameters >= 3) {
		memcpy(&n.to, arguments[0], n.kernel->sizes[0] < 8 ? n.kernel->sizes[0] : 8);
		memcpy(&n.from, arguments[1], n.kernel->sizes[1] < 8 ? n.kernel->sizes[1] : 8);
		memcpy(&n.n, arguments[2], sizeof(n.n));
	}
	note("launch %s %ux%ux%u %ux%ux%u %u", n.kernel->name, gx, gy, gz, bx, by, bz, shared);
	return run_or_capture(stream, &n);
}
API int cuStreamBeginCapture_v2(void *stream, int mode)
{
	NEEDS_CONTEXT();
	if (!stream || captured)
		return mistake(INVALID_VALUE, "a capture in a capture, or of the legacy stream");
	captured = calloc(1, sizeof(*captured));
	captured->stream = stream;
	broken = 0;
	return NOTE("begin capture %d", mode);
}
API int cuStreamEndCapture(void *stream, void **ret)
{
	NEEDS_CONTEXT();
	if (!captured || captured->stream != stream)
		return mistake(INVALID_VALUE, "the end of a capture that never began");
	*ret = captured;
	captured = NULL;
	note("end capture");
	if (!broken)
		return fault;
	free(*ret);
	*ret = NULL;
	return 901;
}
API int cuGraphDestroy(void *graph) { free(graph); return fault; }
API int cuGraphInstantiateWithFlags(void **ret, void *graph, unsigned long long flags)
{
	struct graph *g = malloc(sizeof(*g));

	(void)flags;
	*g = *(struct graph *)graph;
	g->number = ++n_graphs;
	*ret = g;
	if (getenv("FAKE_CUDA_NO_GRAPHS")) {
		free(g);
		return 801;
	}
	return NOTE("instantiate graph %u", g->number);
}
API int cuGraphExecDestroy(void *exec)
{
	note("destroy graph %u", ((struct graph *)exec)->number);
	free(exec);
	return fault;
}
API int cuGraphLaunch(void *exec, void *stream)
{
	const struct graph *g = exec;

	NEEDS_CONTEXT();
	for (unsigned i = 0; i < g->n; i++)
		run(stream, &g->nodes[i]);
	note("launch graph %u", g->number);
	return 0;
}
API int cuGetErrorName(int error, const char **ret)
{
	*ret = error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : error == 710 ? "CUDA_ERROR_ASSERT" : "CUDA_ERROR";
	return 0;
}
API int cuGetErrorString(int error, const char **ret) { (void)error; *ret = "a fake error"; return 0; }
/* NVRTC looks for a cache of the driver's. */
API int cuGetExportTable(const void **ret, const void *id) { (void)id; *ret = NULL; return 500; }
