/* SPDX-License-Identifier: MIT */
#include "cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define LIBRARY "libcuda.so.1"

static struct driver driver;
static bool works;
static char refusal[512];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool refuse(const char *what, const char *detail)
{
	snprintf(refusal, sizeof(refusal), "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
	return false;
}

static bool find_functions(void *library)
{
	static const char *const names[] = {
#define CUDA_NAME(field, symbol, arguments) #symbol,
		CUDA_FUNCTIONS(CUDA_NAME)
#undef CUDA_NAME
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		void *address = dlsym(library, names[i]);

		if (!address)
			return refuse("the CUDA driver is too old for devserve (12.4 or later is needed); it "
				      "lacks", names[i]);
		memcpy((char *)&driver + i * sizeof(address), &address, sizeof(address));
	}
	return true;
}

_Static_assert(offsetof(struct driver, number) % sizeof(void *) == 0, "the functions lie one after the other");

static bool has_device(void)
{
	char why[256];
	cuda_result r = driver.init(0);
	int n = 0;

	if (r == 0)
		r = driver.count(&n);
	if (r == 0 && n > 0)
		return true;
	if (r == 0)
		return refuse("this deployment needs CUDA, and the driver finds no GPU here", NULL);
	driver_describe(&driver, r, why, sizeof(why));
	return refuse("this deployment needs CUDA, and its driver does not start here", why);
}

static void *map(void)
{
	return dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

void driver_map(void)
{
	map();
}

static void load(void)
{
	void *library = map();

	if (!library)
		refuse("this deployment needs CUDA, and there is no NVIDIA driver here (install it, or run "
		       "where a GPU is)", dlerror());
	else
		works = find_functions(library) && has_device();
	if (works)
		driver.version(&driver.number);
}

const struct driver *driver_open(char *why, size_t size)
{
	pthread_once(&once, load);
	if (works)
		return &driver;
	snprintf(why, size, "%s", refusal);
	return NULL;
}

void driver_describe(const struct driver *d, cuda_result error, char *ret, size_t size)
{
	const char *name = NULL, *text = NULL;

	d->error_name(error, &name);
	d->error_string(error, &text);
	snprintf(ret, size, "%s (%d): %s", name ? name : "CUDA error", error, text ? text : "unknown");
}

/* Those of which <cuda.h> says that the process is to be terminated, or the context to be destroyed. */
bool driver_is_sticky(cuda_result error)
{
	static const cuda_result sticky[] = {
		214, /* uncorrectable memory */
		220, /* likewise of a link */
		226, /* contained */
		700, /* illegal address */
		702, /* timeout */
		709, /* the context is destroyed */
		710, /* assert() */
		714, 715, 716, 717, 718, 719, /* faults of a kernel, from its stack to any other */
		721, /* tensor memory that it kept */
		810, /* the server of MPS ended us */
		911, /* an external device */
	};

	for (size_t i = 0; i < ARRAY_SIZE(sticky); i++)
		if (error == sticky[i])
			return true;
	return false;
}
