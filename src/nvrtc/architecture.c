/* SPDX-License-Identifier: MIT */

/*
 * nvrtcGetSupportedArchs() tells numbers without letters. So it's tried on an empty program: an
 * architecture that isn't known is refused before anything is compiled.
 */

#include "nvrtc/architecture.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>

#define FIRST_WITH_OWN 9 /* the major capability */

typedef struct _nvrtcProgram *program;

typedef int (*create_fn)(program *ret, const char *text, const char *name, int n, const char *const *headers,
			 const char *const *names);
typedef int (*compile_fn)(program p, int n, const char *const *options);

static bool compiles(void *library, const char *architecture)
{
	create_fn create;
	compile_fn compile;
	char option[64];
	program p;

	*(void **)(void *)&create = dlsym(library, "nvrtcCreateProgram");
	*(void **)(void *)&compile = dlsym(library, "nvrtcCompileProgram");
	snprintf(option, sizeof(option), "--gpu-architecture=%s", architecture);
	return create && compile && create(&p, "", "empty.cu", 0, NULL, NULL) == 0 &&
	       compile(p, 1, (const char *const[]){ option }) == 0;
}

void architecture_of(int major, int minor, const char *library, char *ret, size_t size)
{
	void *nvrtc = major >= FIRST_WITH_OWN ? dlopen(library, RTLD_NOW | RTLD_LOCAL) : NULL;

	snprintf(ret, size, "sm_%d%da", major, minor);
	if (!nvrtc || !compiles(nvrtc, ret))
		snprintf(ret, size, "sm_%d%d", major, minor);
}
