/* SPDX-License-Identifier: MIT */

/*
 * Types, numbers and versioned names are those of NVIDIA's <nvml.h>. A function that this driver's
 * library lacks, and a value that this GPU can't tell, are the same to who asks.
 */

#include "cuda/nvml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define LIBRARY "libnvidia-ml.so.1"

typedef struct nvmlDevice_st *device;

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2 }; /* nvmlClockType_t */
enum { SENSOR_GPU = 0 };                 /* nvmlTemperatureSensors_t */

struct memory {
	unsigned long long total, free, used;
};

struct utilization {
	unsigned gpu, memory;
};

struct process { /* nvmlProcessInfo_t, since version 2 of it */
	unsigned pid;
	unsigned long long memory;
	unsigned gpu_instance, compute_instance;
};

/* Results are 0 or an error. */
#define FUNCTIONS(X)                                                                            \
	X(init, nvmlInit_v2, (void))                                                            \
	X(driver_version, nvmlSystemGetDriverVersion, (char *ret, unsigned size))               \
	X(count, nvmlDeviceGetCount_v2, (unsigned *ret))                                        \
	X(by_index, nvmlDeviceGetHandleByIndex_v2, (unsigned index, device *ret))               \
	X(by_bus, nvmlDeviceGetHandleByPciBusId_v2, (const char *bus, device *ret))             \
	X(name, nvmlDeviceGetName, (device d, char *ret, unsigned size))                        \
	X(pci, nvmlDeviceGetPciInfo_v3, (device d, void *ret))                                  \
	X(memory, nvmlDeviceGetMemoryInfo, (device d, struct memory *ret))                      \
	X(utilization, nvmlDeviceGetUtilizationRates, (device d, struct utilization *ret))      \
	X(clock, nvmlDeviceGetClockInfo, (device d, int type, unsigned *ret_mhz))               \
	X(max_clock, nvmlDeviceGetMaxClockInfo, (device d, int type, unsigned *ret_mhz))        \
	X(temperature, nvmlDeviceGetTemperature, (device d, int sensor, unsigned *ret))         \
	X(power, nvmlDeviceGetPowerUsage, (device d, unsigned *ret_milliwatts))                 \
	X(power_limit, nvmlDeviceGetEnforcedPowerLimit, (device d, unsigned *ret_milliwatts))   \
	X(reasons, nvmlDeviceGetCurrentClocksEventReasons, (device d, unsigned long long *ret)) \
	X(reasons_before, nvmlDeviceGetCurrentClocksThrottleReasons, (device d, unsigned long long *ret)) \
	X(processes, nvmlDeviceGetComputeRunningProcesses_v3, (device d, unsigned *n, struct process *ret))

static struct {
#define FIELD(field, symbol, arguments) int (*field) arguments;
	FUNCTIONS(FIELD)
#undef FIELD
} nvml;

static bool works;
static char refusal[512], version[80];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_functions(void *library)
{
	static const char *const names[] = {
#define NAME(field, symbol, arguments) #symbol,
		FUNCTIONS(NAME)
#undef NAME
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		void *address = dlsym(library, names[i]);

		memcpy((char *)&nvml + i * sizeof(address), &address, sizeof(address));
	}
}

static void load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	int r;

	if (!library) {
		snprintf(refusal, sizeof(refusal), "there is no " LIBRARY ", which comes with NVIDIA's driver");
		return;
	}
	find_functions(library);
	r = nvml.init && nvml.count && nvml.by_index ? nvml.init() : -1;
	works = r == 0;
	if (r < 0)
		snprintf(refusal, sizeof(refusal), LIBRARY " is too old");
	else if (r > 0)
		snprintf(refusal, sizeof(refusal), LIBRARY " does not start here (error %d)", r);
	if (works && nvml.driver_version && nvml.driver_version(version, sizeof(version)) != 0)
		version[0] = '\0';
}

int nvml_open(char *why, size_t size)
{
	pthread_once(&once, load);
	if (!works)
		snprintf(why, size, "%s", refusal);
	return works ? 0 : -1;
}

const char *nvml_driver(void)
{
	return version;
}

unsigned nvml_count(void)
{
	unsigned n = 0;

	return works && nvml.count(&n) == 0 ? n : 0;
}

/* -1 where it isn't known. */
static int number(int error, unsigned value)
{
	return error || value > INT32_MAX ? -1 : (int)value;
}

static int one_of(device d, int which, int (*get)(device, int, unsigned *))
{
	unsigned value = 0;
	int r = get ? get(d, which, &value) : -1;

	return number(r, value);
}

static int amount_of(device d, int (*get)(device, unsigned *))
{
	unsigned amount = 0;
	int r = get ? get(d, &amount) : -1;

	return number(r, amount);
}

static void read_bus(device d, char *ret, size_t size)
{
	struct { /* nvmlPciInfo_t */
		char legacy[16];
		unsigned numbers[5];
		char bus[32];
	} pci = { .bus = "" };

	if (nvml.pci && nvml.pci(d, &pci) == 0)
		snprintf(ret, size, "%.*s", (int)sizeof(pci.bus) - 1, pci.bus);
}

static void read_memory(device d, struct nvml_gpu *ret)
{
	struct memory m = { .total = 0 };
	struct utilization u = { .gpu = 0 };
	int r = nvml.memory ? nvml.memory(d, &m) : -1;

	ret->memory_used = r ? 0 : m.used;
	ret->memory_total = r ? 0 : m.total;
	r = nvml.utilization ? nvml.utilization(d, &u) : -1;
	ret->busy = number(r, u.gpu);
	ret->memory_busy = number(r, u.memory);
}

static void read_clocks(device d, struct nvml_gpu *ret)
{
	unsigned long long reasons = 0;

	ret->sm_mhz = one_of(d, CLOCK_SM, nvml.clock);
	ret->sm_max_mhz = one_of(d, CLOCK_SM, nvml.max_clock);
	ret->memory_mhz = one_of(d, CLOCK_MEMORY, nvml.clock);
	ret->memory_max_mhz = one_of(d, CLOCK_MEMORY, nvml.max_clock);
	ret->celsius = one_of(d, SENSOR_GPU, nvml.temperature);
	ret->milliwatts = amount_of(d, nvml.power);
	ret->limit_milliwatts = amount_of(d, nvml.power_limit);
	if (nvml.reasons ? nvml.reasons(d, &reasons) : nvml.reasons_before ? nvml.reasons_before(d, &reasons) : -1)
		reasons = 0;
	ret->slowdowns = reasons;
}

static bool read_all(device d, struct nvml_gpu *ret)
{
	*ret = (struct nvml_gpu){ .name = "" };
	if (!nvml.name || nvml.name(d, ret->name, sizeof(ret->name)) != 0)
		snprintf(ret->name, sizeof(ret->name), "a GPU");
	read_bus(d, ret->bus, sizeof(ret->bus));
	read_memory(d, ret);
	read_clocks(d, ret);
	return true;
}

bool nvml_read(unsigned index, struct nvml_gpu *ret)
{
	device d;

	return works && nvml.by_index(index, &d) == 0 && read_all(d, ret);
}

bool nvml_read_at(const char *bus, struct nvml_gpu *ret)
{
	device d;

	return works && nvml.by_bus && nvml.by_bus(bus, &d) == 0 && read_all(d, ret);
}

size_t nvml_processes(unsigned index, struct nvml_process *ret, size_t room)
{
	struct process all[256];
	unsigned n = ARRAY_SIZE(all);
	device d;

	if (!works || !nvml.processes || nvml.by_index(index, &d) != 0 || nvml.processes(d, &n, all) != 0)
		return 0;
	if (n > room)
		n = (unsigned)room;
	for (unsigned i = 0; i < n && i < ARRAY_SIZE(all); i++)
		ret[i] = (struct nvml_process){ .pid = (pid_t)all[i].pid,
						.memory = all[i].memory == ~0ull ? 0 : all[i].memory };
	return n;
}

const char *nvml_slowdown(unsigned i)
{
	static const char *const names[] = {
		[1] = "clocks that somebody set", [2] = "power cap", [3] = "hardware slowdown", [4] = "sync boost",
		[5] = "heat",			  [6] = "heat (hardware)", [7] = "power brake", [8] = "display clocks",
	};

	return i < ARRAY_SIZE(names) ? names[i] : NULL; /* 0: it idles */
}
