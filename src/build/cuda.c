/* SPDX-License-Identifier: MIT */
#include "build/cuda.h"

#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/driver.h"
#include "build/flags.h"
#include "build/program.h"

/* Of a machine without a GPU: code is checked there, not run. */
#define USUAL "sm_80"

/* To NVRTC the same as -I; by it those directories are told apart whose headers come before stand-ins (nvrtc/headers.h). */
#define OF_OTHERS "--include-path="

static bool use_at(struct compiler *c, const char *root)
{
	_cleanup_free_ char *path = root && *root ? xasprintf("%s/bin/nvcc", root) : NULL;

	return compiler_use(c, path);
}

/* nvcc may be a link: the toolkit is where the program really lies. */
static char *root_of(const struct compiler *nvcc)
{
	char *real = nvcc->command.n ? realpath(nvcc->command.at[0], NULL) : NULL;

	for (int i = 0; real && i < 2; i++) {
		char *slash = strrchr(real, '/');

		if (slash)
			*slash = '\0';
	}
	return real;
}

#define NVRTC "libnvrtc.so"

/* "", ".13", ".13.0.88" behind the name, and not "libnvrtc.so.alt" */
static int is_nvrtc(const struct dirent *e)
{
	const char *version = e->d_name + strlen(NVRTC);

	return strncmp(e->d_name, NVRTC, strlen(NVRTC)) == 0 && (!*version || *version == '.') &&
	       !version[strspn(version, ".0123456789")];
}

/* The newest that the directory has; free(), or NULL. */
static char *find_nvrtc(const char *libraries)
{
	struct dirent **found;
	int n = scandir(libraries, &found, is_nvrtc, versionsort);
	char *ret = n > 0 ? path_join(libraries, found[n - 1]->d_name) : NULL;

	for (int i = 0; i < n; i++)
		free(found[i]);
	if (n >= 0)
		free(found);
	return ret;
}

static bool has_libraries(const char *directory)
{
	_cleanup_free_ char *runtime = path_join(directory, "libcudart_static.a"), *nvrtc = find_nvrtc(directory);

	return nvrtc || file_exists(runtime);
}

/*
 * lib64 of an installed toolkit, lib of its wheels; targets/ of NVIDIA's packages and conda's, where those of
 * other machines may lie beside ours. Debian has the programs in /usr/lib/nvidia-cuda-toolkit, which a script
 * in /usr/bin leads to, and the libraries among all others.
 */
static char *libraries_of(const char *root)
{
	struct utsname u = { .machine = "" };
	const char *machine = uname(&u) == 0 ? u.machine : "";
	bool arm = strcmp(machine, "aarch64") == 0; /* whose servers have a name of their own */
	const struct {
		const char *before, *machine, *behind;
	} places[] = {
		{ "lib64", "", "" },
		{ "lib", "", "" },
		{ "targets/", machine, "-linux/lib" },
		{ "targets/", arm ? "sbsa" : machine, "-linux/lib" },
		{ "lib/", machine, "-linux-gnu" },
		{ "../", machine, "-linux-gnu" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *place = xasprintf("%s/%s%s%s", root, places[i].before, places[i].machine, places[i].behind);

		if (has_libraries(place))
			return xstrdup(place);
	}
	return path_join(root, "lib64");
}

static void find_libraries(struct cuda *c)
{
	c->root = root_of(&c->nvcc);
	if (!c->root)
		return;
	c->libraries = libraries_of(c->root);
	c->library = find_nvrtc(c->libraries);
	if (c->library && compiler_use(&c->nvrtc, c->helper))
		words_add_list(&c->nvrtc.command, "compile", c->library, NULL);
}

static bool is_there(const char *pattern)
{
	glob_t found = { .gl_pathc = 0 };
	bool ret = glob(pattern, 0, NULL, &found) == 0;

	globfree(&found);
	return ret;
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

/* A variable that leads nowhere, beside which something else is taken. */
static void complain(struct cuda *c, bool by_nvcc, bool by_home)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	if (is_set("NVCC") && !by_nvcc)
		buffer_printf(&b, "NVCC=%s is no program", getenv("NVCC"));
	if (is_set("CUDA_HOME") && !by_nvcc && !by_home)
		buffer_printf(&b, "%sCUDA_HOME=%s has no bin/nvcc", b.size ? ", " : "", getenv("CUDA_HOME"));
	if (!b.size)
		return;
	if (c->root)
		buffer_printf(&b, "; using %s", c->root);
	else
		buffer_puts(&b, ", and no other CUDA toolkit is here");
	c->complaint = buffer_steal(&b);
}

void cuda_find(struct cuda *c)
{
	_cleanup_free_ char *program = path_of_program();
	_cleanup_free_ char *wheels = program ? path_join(program, "cuda") : NULL;
	bool by_nvcc, by_home;

	c->has_gpu = is_there("/dev/nvidia[0-9]*") || is_there("/dev/dxg");
	c->helper = path_of_helper("devserve-cuda");
	by_nvcc = compiler_use(&c->nvcc, getenv("NVCC"));
	by_home = !by_nvcc && use_at(&c->nvcc, getenv("CUDA_HOME"));
	if (!by_nvcc && !by_home && !use_at(&c->nvcc, wheels) && !compiler_use(&c->nvcc, "nvcc"))
		use_at(&c->nvcc, "/usr/local/cuda");
	find_libraries(c);
	complain(c, by_nvcc, by_home);
}

void cuda_fini(struct cuda *c)
{
	compiler_fini(&c->nvcc);
	compiler_fini(&c->nvrtc);
	free(c->root);
	free(c->libraries);
	free(c->library);
	free(c->helper);
	free(c->complaint);
	*c = (struct cuda){ .root = NULL };
}

bool cuda_add_gpus(struct hash_state *s)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	glob_t found = { .gl_pathc = 0 };

	file_read("/proc/driver/nvidia/version", &text);
	if (glob("/proc/driver/nvidia/gpus/*/information", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			file_read(found.gl_pathv[i], &text);
	globfree(&found);
	hash_state_add_string(s, buffer_text(&text));
	return text.size > 0;
}

/* The host compiler of nvcc gets through -Xcompiler what a C++ source would. */
static void set_nvcc_flags(struct cuda *c, const struct compiler *cxx, const char *root, const char *include_dir)
{
	struct words *f = &c->nvcc.flags;

	words_fini(f);
	words_add_list(f, "-O3", "-g", "-lineinfo", "-std=c++20", "-Xptxas", "-v", NULL);
	flags_add_architecture(FAMILY_NVCC, c->architecture, f);
	words_add_list(f, "-Xcompiler", cxx->family == FAMILY_CLANG
			? "-fPIC,-fvisibility=hidden,-march=native"
			: "-fPIC,-fvisibility=hidden,-fno-gnu-unique,-march=native", NULL);
	if (cxx->command.n == 1)
		words_add_list(f, "-ccbin", cxx->command.at[0], NULL);
	words_add_list(f, "-I", DRIVER_OWN, "-I", root, "-I", include_dir, NULL);
}

static void set_nvrtc_flags(struct cuda *c, const char *root, const char *include_dir)
{
	struct words *f = &c->nvrtc.flags;
	_cleanup_free_ char *own = NULL;

	words_fini(f);
	flags_add_architecture(FAMILY_NVRTC, c->architecture, f);
	words_add_list(f, "-lineinfo", "--ptxas-options=-v", NULL);
	words_add_list(f, "-I", DRIVER_OWN, "-I", root, NULL);
	words_printf(f, OF_OTHERS "%s", include_dir); /* it may be /usr/include */
	if (!c->root)
		return;
	own = xasprintf("%s/include/cuda_fp16.h", c->root);
	if (!file_exists(own)) { /* Debian's are in /usr/include */
		words_printf(f, OF_OTHERS "%s/../../include", c->root);
		return;
	}
	words_printf(f, OF_OTHERS "%s/include", c->root);
	words_printf(f, OF_OTHERS "%s/include/cccl", c->root);
}

static void identify(struct compiler *c, const char *library, struct hash machine)
{
	struct hash_state *s = hash_state_new();

	hash_state_add(s, &machine, sizeof(machine));
	for (size_t i = 0; i < c->command.n; i++)
		hash_state_add_string(s, c->command.at[i]);
	if (c->command.n)
		identity_add(s, c->command.at[0]);
	identity_add(s, library ? library : "");
	for (size_t i = 0; i < c->flags.n; i++)
		hash_state_add_string(s, c->flags.at[i]);
	c->identity = hash_state_end(s);
}

void cuda_put_architecture(struct cuda *c, const char *answer)
{
	size_t n = strcspn(answer, " \n");

	if (strncmp(answer, "sm_", 3) == 0 && n < sizeof(c->architecture))
		snprintf(c->architecture, sizeof(c->architecture), "%.*s", (int)n, answer);
	else
		snprintf(c->architecture, sizeof(c->architecture), USUAL);
}

void cuda_learn(struct cuda *c, const char *answer, const struct compiler *cxx, const char *root,
		const char *include_dir, struct hash machine)
{
	cuda_put_architecture(c, answer);
	c->nvcc.family = FAMILY_NVCC;
	c->nvcc.name = "nvcc";
	c->nvrtc.family = FAMILY_NVRTC;
	c->nvrtc.name = "nvrtc";
	set_nvcc_flags(c, cxx, root, include_dir);
	set_nvrtc_flags(c, root, include_dir);
	identify(&c->nvcc, cxx->command.n ? cxx->command.at[0] : NULL, machine);
	identify(&c->nvrtc, c->library, machine);
}

bool cuda_has_library(char *const *ldlibs)
{
	static const char *const known[] = { "-lcublas", "-lcudart", "-lcudnn", "-lcufft", "-lcurand",
					     "-lcusolver", "-lcusparse", "-lnccl", "-lnvjpeg", "-lnvrtc" };

	for (; ldlibs && *ldlibs; ldlibs++)
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			if (strncmp(*ldlibs, known[i], strlen(known[i])) == 0)
				return true;
	return false;
}
