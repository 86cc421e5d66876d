/* SPDX-License-Identifier: MIT */

/*
 * A FAKE of NVML, for tests of what becomes of its figures where no GPU is: they are made up. Tests
 * put its directory into LD_LIBRARY_PATH.
 *
 *	FAKE_NVML_FAULT  number: it does not start, with that error
 *	FAKE_NVML_POOR   the GPU can tell nothing but its name
 *	FAKE_NVML_PID    process that computes there
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))
#define NOT_SUPPORTED 3
#define NOT_FOUND 6

static int told(unsigned *ret, unsigned value)
{
	if (getenv("FAKE_NVML_POOR"))
		return NOT_SUPPORTED;
	*ret = value;
	return 0;
}

API int nvmlInit_v2(void) { const char *fault = getenv("FAKE_NVML_FAULT"); return fault ? (int)strtol(fault, NULL, 10) : 0; }
API int nvmlSystemGetDriverVersion(char *ret, unsigned size) { snprintf(ret, size, "999.1"); return 0; }
API int nvmlDeviceGetCount_v2(unsigned *ret) { *ret = 1; return 0; }
API int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret) { *ret = ret; return index ? NOT_FOUND : 0; }
API int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **ret) { *ret = ret; return strcmp(bus, "0000:1B:00.0") ? NOT_FOUND : 0; }
API int nvmlDeviceGetName(void *d, char *ret, unsigned size) { (void)d; snprintf(ret, size, "Fake GPU"); return 0; }
API int nvmlDeviceGetPciInfo_v3(void *d, void *ret)
{
	struct { char legacy[16]; unsigned numbers[5]; char bus[32]; } *pci = ret;

	(void)d;
	if (getenv("FAKE_NVML_POOR"))
		return NOT_SUPPORTED;
	snprintf(pci->bus, sizeof(pci->bus), "00000000:1B:00.0");
	return 0;
}
API int nvmlDeviceGetMemoryInfo(void *d, unsigned long long *ret)
{
	(void)d;
	if (getenv("FAKE_NVML_POOR"))
		return NOT_SUPPORTED;
	ret[0] = 80ull << 30;
	ret[1] = 77ull << 30;
	ret[2] = 3ull << 30;
	return 0;
}
API int nvmlDeviceGetUtilizationRates(void *d, unsigned *ret) { (void)d; return told(&ret[1], 12) ? NOT_SUPPORTED : told(&ret[0], 87); }
API int nvmlDeviceGetClockInfo(void *d, int type, unsigned *ret) { (void)d; return told(ret, type == 1 ? 1410 : 2619); }
API int nvmlDeviceGetMaxClockInfo(void *d, int type, unsigned *ret) { (void)d; return told(ret, type == 1 ? 1980 : 2619); }
API int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *ret) { (void)d, (void)sensor; return told(ret, 65); }
API int nvmlDeviceGetPowerUsage(void *d, unsigned *ret) { (void)d; return told(ret, 540500); }
API int nvmlDeviceGetEnforcedPowerLimit(void *d, unsigned *ret) { (void)d; return told(ret, 700000); }
API int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *ret)
{
	(void)d;
	*ret = 0x24; /* by its power cap, and by heat; the newer name of the function is left out on purpose */
	return getenv("FAKE_NVML_POOR") ? NOT_SUPPORTED : 0;
}
API int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *n, void *ret)
{
	struct { unsigned pid; unsigned long long memory; unsigned instances[2]; } *all = ret;
	const char *pid = getenv("FAKE_NVML_PID");

	(void)d;
	if (pid && *n) {
		all[0].pid = (unsigned)strtoul(pid, NULL, 10);
		all[0].memory = 1536ull << 20;
	}
	*n = pid ? 1 : 0;
	return 0;
}
