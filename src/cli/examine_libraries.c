/* SPDX-License-Identifier: MIT */

/* What deployments compute with: BLAS and CUDA. Neither is needed by all. */

#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/cuda.h"
#include "build/sanitizer.h"
#include "cli/capture.h"
#include "cli/findings.h"
#include "cli/gpus.h"
#include "cli/json_reader.h"

#define BLAS "libopenblas.so.0" /* as workers open it */
#define TIMEOUT_MS 2000

typedef char *(*text_fn)(void);

/* What a function of the library says; NULL: it has none of that name. */
static const char *ask(void *library, const char *name)
{
	text_fn f = NULL;

	*(void **)(void *)&f = dlsym(library, name);
	return f ? f() : NULL;
}

/* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": the first two words. */
static int words_of_version(const char *config)
{
	const char *space = strchr(config, ' ');

	return (int)(space ? (size_t)(space + 1 - config) + strcspn(space + 1, " ") : strlen(config));
}

static void examine_blas(struct findings *f)
{
	static const struct package package = { "libopenblas-dev", "openblas-devel", "openblas" };
	const char *config, *core;
	void *library;

	setenv("OPENBLAS_NUM_THREADS", "1", 0); /* threads are of no use here */
	library = dlopen(BLAS, RTLD_NOW | RTLD_LOCAL);
	config = library ? ask(library, "openblas_get_config") : NULL;
	core = library ? ask(library, "openblas_get_corename") : NULL;
	if (config && core)
		findings_add(f, "BLAS", FINDING_OK,
			     xasprintf("%.*s, its kernels for %s", words_of_version(config), config, core), NULL);
	else
		findings_add(f, "BLAS", FINDING_NOTE,
			     xstrdup("there is no OpenBLAS: deployments that link it can't be built"),
			     package_command(&package));
}

/* The driver */

/* "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  …": the number. */
static char *driver_version(void)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *at;

	if (file_read("/proc/driver/nvidia/version", &text) < 0)
		return NULL;
	at = strstr(buffer_text(&text), "Kernel Module");
	if (!at)
		return xstrdup("of an unknown version");
	at = strstr(at, "  ");
	at += at ? strspn(at, " ") : 0;
	return at ? xstrndup(at, strcspn(at, " \n")) : xstrdup("of an unknown version");
}

static size_t count_gpus(void)
{
	DIR *d = opendir("/proc/driver/nvidia/gpus");
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

/* What NVML says. False: nothing, and why. */
static bool examine_gpus(struct findings *f, struct buffer *why)
{
	struct json_reader *gpus = gpus_ask(why);
	size_t n = gpus ? json_reader_count(gpus, "/gpus") : 0;
	const char *driver = n ? json_reader_string(gpus, "/driver") : NULL;

	for (size_t i = 0; i < n; i++) {
		_cleanup_buffer_ struct buffer text = BUFFER_NULL;

		gpus_describe(gpus, i, &text);
		findings_add(f, "GPU", FINDING_OK,
			     xasprintf("%s, NVIDIA's driver %s", buffer_text(&text), driver ? driver : "?"), NULL);
	}
	json_reader_free(gpus);
	return n > 0;
}

static void examine_driver(struct findings *f)
{
	_cleanup_free_ char *version = driver_version();
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	size_t n = count_gpus();

	if (examine_gpus(f, &why))
		return;
	if (version && n)
		findings_add(f, "GPU", FINDING_OK, xasprintf("%zu, NVIDIA's driver %s; memory, clocks and heat aren't "
							     "told: %s", n, version, buffer_text(&why)), NULL);
	else
		findings_add(f, "GPU", FINDING_NOTE,
			     xstrdup(version ? "NVIDIA's driver sees none"
					     : "there is no NVIDIA driver: nothing runs on a GPU"),
			     NULL);
}

/* The toolkit */

/* "Cuda compilation tools, release 12.4, V12.4.131": "12.4" */
static char *nvcc_version(const char *nvcc)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *at;

	capture((const char *const[]){ nvcc, "--version", NULL }, "", TIMEOUT_MS, &text);
	at = strstr(buffer_text(&text), "release ");
	return at ? xstrndup(at + 8, strcspn(at + 8, ",\n")) : xstrdup("of an unknown version");
}

/* What code is compiled for, as the server would ask. */
static void learn_architecture(struct cuda *c)
{
	_cleanup_buffer_ struct buffer answer = BUFFER_NULL;

	if (c->has_gpu && c->helper)
		capture((const char *const[]){ c->helper, "device", c->library ? c->library : "", NULL }, "", TIMEOUT_MS, &answer);
	cuda_put_architecture(c, buffer_text(&answer));
}

static char *describe_toolkit(struct cuda *c)
{
	_cleanup_free_ char *version = nvcc_version(c->nvcc.command.at[0]), *sanitizer = sanitizer_find_for_gpu(c);
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	learn_architecture(c);
	if (c->complaint)
		buffer_printf(&b, "%s; ", c->complaint);
	buffer_printf(&b, "nvcc %s, %s, ", version, c->nvcc.command.at[0]);
	if (c->library)
		buffer_printf(&b, "NVRTC %s", c->library);
	else
		buffer_printf(&b, "no NVRTC in %s: .cu sources without host code can't be built", c->libraries);
	buffer_printf(&b, ", for %s", c->architecture);
	if (!sanitizer)
		buffer_puts(&b, "; no compute-sanitizer, which 'devserve asan' starts workers by: sudo apt install "
				"cuda-sanitizer-MAJOR-MINOR, as the toolkit's release is, from NVIDIA's repository");
	return buffer_steal(&b);
}

static void examine_toolkit(struct findings *f)
{
	static const struct package package = { "nvidia-cuda-toolkit", NULL, "cuda" };
	struct cuda c = { .root = NULL };

	cuda_find(&c);
	if (c.nvcc.command.n)
		findings_add(f, "CUDA", c.complaint || !c.library ? FINDING_NOTE : FINDING_OK, describe_toolkit(&c),
			     c.complaint ? xstrdup("unset the variable, or let it name what is there")
			     : c.library ? NULL : xstrdup("install cuda-nvrtc of that version (NVIDIA's name)"));
	else
		findings_add(f, "CUDA", FINDING_NOTE,
			     xasprintf("%s%sthere is no toolkit: .cu sources can't be built", c.complaint ? c.complaint : "",
				       c.complaint ? "; " : ""),
			     package_command(&package));
	cuda_fini(&c);
}

void examine_libraries(struct findings *f)
{
	examine_blas(f);
	examine_driver(f);
	examine_toolkit(f);
}
