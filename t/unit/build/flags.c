/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "build/flags.h"

#define LIST(...) ((char *const *)(void *)(const char *[]){ __VA_ARGS__, NULL })

static void join(const struct words *words, struct buffer *ret)
{
	for (size_t i = 0; i < words->n; i++)
		buffer_printf(ret, "%s%s", i ? " " : "", words->at[i]);
}

static void check(enum family family, char *const *cflags, const char *expected)
{
	_cleanup_words_ struct words words = WORDS_NULL;
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	flags_add(family, cflags, &words);
	join(&words, &text);
	cr_assert_str_eq(buffer_text(&text), expected, "'%s', not '%s'", buffer_text(&text), expected);
}

static void check_all(char *const *cflags, const char *host, const char *nvcc, const char *nvrtc)
{
	check(FAMILY_GCC, cflags, host);
	check(FAMILY_CLANG, cflags, host);
	check(FAMILY_OTHER, cflags, host);
	check(FAMILY_NVCC, cflags, nvcc);
	check(FAMILY_NVRTC, cflags, nvrtc);
}

Test(flags, those_of_a_device_are_kept_from_the_host)
{
	check_all(LIST("--use_fast_math", "-maxrregcount=32", "--fmad=false", "-G"), "",
		  "--use_fast_math -maxrregcount=32 --fmad=false -G", "--use_fast_math -maxrregcount=32 --fmad=false -G");
	check_all(LIST("-prec-div=false", "--prec-sqrt=false", "--ftz=true", "--restrict", "--extra-device-vectorization"), "",
		  "-prec-div=false --prec-sqrt=false --ftz=true --restrict --extra-device-vectorization",
		  "-prec-div=false --prec-sqrt=false --ftz=true --restrict --extra-device-vectorization");
}

Test(flags, those_of_the_host_reach_nvcc_wrapped)
{
	check_all(LIST("-ffast-math", "-fopenmp", "-march=native", "-Wall", "-Werror", "-mavx2", "-Og", "-ggdb", "-g"),
		  "-ffast-math -fopenmp -march=native -Wall -Werror -mavx2 -Og -ggdb -g",
		  "-Xcompiler=-ffast-math -Xcompiler=-fopenmp -Xcompiler=-march=native -Xcompiler=-Wall -Xcompiler=-Werror "
		  "-Xcompiler=-mavx2 -Xcompiler=-Og -Xcompiler=-ggdb", "");
	check_all(LIST("-Wl,-z,now", "-u", "name"), "-Wl,-z,now -u name",
		  "-Xcompiler=-Wl\\,-z\\,now -Xcompiler=-u -Xcompiler=name", "");
}

Test(flags, what_all_know_all_get)
{
	check_all(LIST("-DX=1", "-D", "Y", "-UZ", "-I", "/a", "-O2", "-w"), "-DX=1 -D Y -UZ -I /a -O2 -w",
		  "-DX=1 -D Y -UZ -I /a -O2 -w", "-DX=1 -D Y -UZ -I /a -w");
	check_all(LIST("-DF(a,b)=a"), "-DF(a,b)=a", "-DF(a\\,b)=a", "-DF(a,b)=a");
}

Test(flags, a_standard_goes_to_who_has_it)
{
	check_all(LIST("-std=c++17"), "-std=c++17", "-std=c++17", "-std=c++17");
	check_all(LIST("-std=gnu++20"), "-std=gnu++20", "-std=c++20", "-std=c++20");
	check_all(LIST("-std=gnu11"), "-std=gnu11", "", "");
}

Test(flags, the_two_compilers_of_cuda_differ)
{
	check_all(LIST("--expt-relaxed-constexpr", "-Xcompiler", "-Wall", "-default-device", "-Xptxas=-v,-O2"), "",
		  "--expt-relaxed-constexpr -Xcompiler -Wall -Xptxas=-v,-O2", "-default-device -Xptxas=-v -Xptxas=-O2");
	check_all(LIST("-diag-suppress=177,20012", "--default-stream=per-thread"), "",
		  "-diag-suppress=177,20012 --default-stream=per-thread", "-diag-suppress=177,20012");
}

Test(flags, an_option_takes_the_next_word_along)
{
	check_all(LIST("-Xptxas", "-dlcm=ca", "--maxrregcount", "32", "-Wall"), "-Wall",
		  "-Xptxas -dlcm=ca --maxrregcount 32 -Xcompiler=-Wall", "-Xptxas=-dlcm=ca --maxrregcount 32");
}

Test(flags, an_architecture_is_told_in_one_way)
{
	check_all(LIST("-arch", "sm_90"), "", "-arch=sm_90", "-arch=sm_90");
	check_all(LIST("--gpu-architecture=sm_90a"), "", "-gencode=arch=compute_90a,code=sm_90a", "-arch=sm_90a");
	check_all(LIST("-arch=native", "-DX"), "-DX", "-DX", "-DX");
}

static void check_own(enum family family, const char *own, char *const *cflags, const char *expected)
{
	_cleanup_words_ struct words words = WORDS_NULL;
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct compiler c = { .family = family };

	words_split(&c.flags, own);
	flags_add_own(&c, cflags, &words);
	join(&words, &text);
	cr_assert_str_eq(buffer_text(&text), expected, "'%s', not '%s'", buffer_text(&text), expected);
	words_fini(&c.flags);
}

Test(flags, the_authors_take_the_place_of_ours)
{
	const char *nvcc = "-O3 -g -lineinfo -std=c++20 -Xptxas -v -arch=sm_80 -ccbin g++ -I x";

	check_own(FAMILY_NVCC, nvcc, NULL, nvcc);
	check_own(FAMILY_NVCC, nvcc, LIST("-DX", "-arch=native"), nvcc);
	check_own(FAMILY_NVCC, nvcc, LIST("-arch", "sm_90a", "-O1", "-std=gnu++17"), "-g -lineinfo -Xptxas -v -ccbin g++ -I x");
	check_own(FAMILY_NVCC, "-g -gencode=arch=compute_90a,code=sm_90a", LIST("-arch=sm_80"), "-g");
	check_own(FAMILY_NVCC, nvcc, LIST("-G", "-ccbin=g++-11", "-Og"), "-O3 -g -std=c++20 -Xptxas -v -arch=sm_80 -I x");
	check_own(FAMILY_NVRTC, "-arch=sm_80 -lineinfo", LIST("--gpu-architecture", "sm_90a"), "-lineinfo");
	check_own(FAMILY_GCC, "-O3 -g", LIST("-O2", "-arch=sm_90a"), "-O3 -g");
}

Test(flags, what_only_looks_alike_takes_no_place)
{
	const char *nvcc = "-O3 -g -lineinfo -std=c++20 -Xptxas -v -arch=sm_80 -ccbin g++ -I x";

	check_own(FAMILY_NVCC, nvcc, LIST("-Xptxas", "-O2"), nvcc);
	check_own(FAMILY_NVCC, nvcc, LIST("-Ofc=max", "--Ofast-compile", "mid", "-Ofast"), nvcc);
	check_own(FAMILY_NVCC, nvcc, LIST("-Xcompiler", "-Gfoo", "-include", "-std=x", "-D", "-arch=y"), nvcc);
	check_own(FAMILY_NVCC, nvcc, LIST("-std=gnu11", "-arch"), nvcc);
	check_own(FAMILY_NVCC, nvcc, LIST("--device-debug", "--compiler-bindir", "g++-11", "-O2"),
		  "-g -std=c++20 -Xptxas -v -arch=sm_80 -I x");
}

Test(flags, the_host_compiler_is_known_that_they_name)
{
	cr_assert_null(flags_host_compiler(NULL));
	cr_assert_null(flags_host_compiler(LIST("-DX=-ccbin", "-ccbin")));
	cr_assert_str_eq(flags_host_compiler(LIST("-ccbin", "g++-11", "-O2")), "g++-11");
	cr_assert_str_eq(flags_host_compiler(LIST("-ccbin", "g++-11", "--compiler-bindir=/a")), "/a");
}

static void refused(char *const *cflags, ssize_t at, const char *part)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	cr_assert_eq(flags_find_mistake(cflags, &why), at, "%s", buffer_text(&why));
	cr_assert(part ? strstr(buffer_text(&why), part) != NULL : !why.size, "%s", buffer_text(&why));
}

Test(flags, what_cannot_be_is_said_before_a_compiler_is_run)
{
	refused(NULL, -1, NULL);
	refused(LIST("-O2", "-arch", "sm_90a", "-arch=native", "-gfoo bar", "-rdc=false"), -1, NULL);
	refused(LIST("-O2", "-arch sm_90a"), 1, "'-arch sm_90a' is two words");
	refused(LIST("-maxrregcount"), 0, "-maxrregcount wants a value");
	refused(LIST("-arch=compute_90a"), 0, "'compute_90a' is no GPU's machine code");
	refused(LIST("-arch="), 0, "'' is no GPU's machine code");
	refused(LIST("-arch=s"), 0, "'s' is no GPU's machine code");
	refused(LIST("-arch=sm_"), 0, "'sm_' is no GPU's machine code");
	refused(LIST("-arch", "all"), 0, "'all' is no GPU's machine code");
	refused(LIST("-Xptxas", "-v", "-gencode=arch=compute_90a,code=sm_90a"), 2, "-arch=sm_90a");
	refused(LIST("-rdc=true"), 0, "can't load");
	refused(LIST("-dc"), 0, "can't load");
}

Test(flags, what_a_compiler_refuses_is_found_in_its_message)
{
	char *const *list = LIST("-O2", "-nosuch", "-maxrregcount=banana", "-arch=sm_42", "-Xptxas=--nonsense", "-no");

	cr_assert_eq(flags_find_refused(list, "unrecognized command-line option '-nosuch'; did you mean '-no'?"), 1);
	cr_assert_eq(flags_find_refused(list, "unrecognized command-line option \342\200\230-nosuch\342\200\231"), 1);
	cr_assert_eq(flags_find_refused(list, "unrecognized command-line option '-no'"), 5);
	cr_assert_eq(flags_find_refused(list, "'banana': expected a number"), 2);
	cr_assert_eq(flags_find_refused(list, "Unsupported gpu architecture 'sm_42'"), 3);
	cr_assert_eq(flags_find_refused(list, "invalid value for --gpu-architecture (-arch)"), 3);
	cr_assert_eq(flags_find_refused(list, "Unknown option '-nonsense'"), 4);
	cr_assert_eq(flags_find_refused(list, "something else"), -1);
	cr_assert_eq(flags_find_refused(NULL, "-O2"), -1);
}

static void is_about(const char *flag, const char *message, bool expected)
{
	ssize_t at = flags_find_refused(LIST(flag), message);

	cr_assert_eq(at, expected ? 0 : -1, "'%s': %s", flag, message);
}

Test(flags, a_word_of_the_code_is_no_flag)
{
	const char *shared = "Entry function 'big' uses too much shared data (0x13880 bytes, 0xc000 max)";

	is_about("-DVARIANT=big", shared, false);
	is_about("-Ubig", shared, false);
	is_about("-I=big", shared, false);
	is_about("big", shared, false);
	is_about("--fdevice-time-trace=big", shared, false);
	is_about("-DMAIN=main", "in function 'main': unrecognized option", false);
	is_about("-DUNROLL=4", "nvrtc may use 4 GiB of memory, which was not enough", false);
	is_about("--threads=60", "nvcc was stopped after 60 s, which one.cu took", false);
	is_about("-pipe", "Broken pipe", false);
	is_about("--threads=4", "Unresolved extern function 'threads'", false);
}

Test(flags, what_compilers_say_of_options_is_told_from_that)
{
	is_about("--threads=4", "Value '4' is not defined for option 'threads'", true);
	is_about("--fmad=perhaps", "'perhaps': expected true or false", true);
	is_about("-march=foo", "bad value ('foo') for '-march=' switch", true);
	is_about("-march=foo", "unsupported argument 'foo' to option 'march='", true);
	is_about("-fsanitize=foo", "unrecognized argument to '-fsanitize=' option: 'foo'", true);
	is_about("-DX", "unrecognized command-line option '-DX'", true);
	is_about("nosuch.o", "nosuch.o: linker input file not found: No such file or directory", true);
	cr_assert_eq(flags_find_refused(LIST("-O1", "-include", "no.h"), "no.h: No such file or directory"), 1);
}
