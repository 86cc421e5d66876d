/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "build/advice.h"

static void check(const char *said, const char *expected)
{
	struct buffer b = BUFFER_NULL;

	advice_add(said, "/r/a/k.cu", &b);
	cr_expect_str_eq(buffer_text(&b), expected);
	buffer_fini(&b);
}

Test(advice, what_ptxas_complains_of_is_of_a_source)
{
	check("ptxas error   : Entry function 'big' uses too much shared data (0x13880 bytes, 0xc000 max)\n",
	      "/r/a/k.cu: error: Entry function 'big' uses too much shared data (0x13880 bytes, 0xc000 max)\n"
	      "/r/a/k.cu: note: more than 48 KiB are the launch's to ask for: extern __shared__, and `shared` of "
	      "devserve_launch()\n");
	check("ptxas application ptx input, line 23; error   : Unknown modifier '.op'\n"
	      "ptxas fatal   : Ptx assembly aborted due to errors\n",
	      "/r/a/k.cu: error: Unknown modifier '.op'\n"
	      "/r/a/k.cu: error: Ptx assembly aborted due to errors\n");
	check("ptxas warning : Stack size for entry function 'k' cannot be statically determined\n",
	      "/r/a/k.cu: warning: Stack size for entry function 'k' cannot be statically determined\n");
}

Test(advice, a_function_of_another_source_must_be_included)
{
	check("ptxas fatal   : Unresolved extern function '_Z9elsewheref'\n",
	      "/r/a/k.cu: error: Unresolved extern function '_Z9elsewheref'\n"
	      "/r/a/k.cu: note: each .cu is compiled alone: include the file that has elsewhere(float)\n");
	check("ptxas fatal   : Unresolved extern function 'plain'\n",
	      "/r/a/k.cu: error: Unresolved extern function 'plain'\n"
	      "/r/a/k.cu: note: each .cu is compiled alone: include the file that has plain\n");
}

#define NOTE "/r/a/k.cu: note: NVRTC, which compiles kernels, has no library of the host: include what there is in " \
	"<cuda/std/…> instead of <vector>, or move what needs it to the host's source\n"

Test(advice, the_library_of_the_host_is_none_of_kernels)
{
	check("/r/a/k.cu(1): catastrophic error: cannot open source file \"vector\"\n  #include <vector>\n",
	      "/r/a/k.cu(1): catastrophic error: cannot open source file \"vector\"\n  #include <vector>\n" NOTE);
	check("k.cu(1): catastrophic error: could not open source file \"vector\" (no directories in search list)\n",
	      "k.cu(1): catastrophic error: could not open source file \"vector\" (no directories in search list)\n" NOTE);
	check("k.cu(1): catastrophic error: cannot open source file \"mine.h\"\n",
	      "k.cu(1): catastrophic error: cannot open source file \"mine.h\"\n");
	check("k.cu(1): catastrophic error: cannot open source file \"cuda/std/x\"\n",
	      "k.cu(1): catastrophic error: cannot open source file \"cuda/std/x\"\n");
}

#define TARGET "ptxas application ptx input, line 3; error   : Instruction 'wgmma.fence' not supported on .target 'sm_80'\n"
#define ERROR "/r/a/k.cu: error: Instruction 'wgmma.fence' not supported on .target 'sm_80'\n"

Test(advice, what_another_gpu_has_is_told_once_with_the_way_to_it)
{
	check(TARGET TARGET, ERROR ERROR "/r/a/k.cu: note: it is compiled for the GPU that is here, or sm_80; in deployment.yaml, "
	      "cflags: [-arch=sm_90a] chooses another\n");
}

#define BARE "k.cu(3): error: identifier \"INFINITY\" is undefined\n"

Test(advice, what_nvcc_includes_by_itself_is_named_with_its_header)
{
	check(BARE, BARE "/r/a/k.cu: note: NVRTC includes nothing by itself: #include <math.h>\n");
}

#define IN_CUB "/cuda/include/cccl/cub/device/x.cuh(9): error: could not open source file \"iterator\"\n"

Test(advice, what_of_cub_is_the_hosts_is_told_as_that)
{
	check(IN_CUB IN_CUB, IN_CUB IN_CUB "/r/a/k.cu: note: kernels take <cub/block/…> and <cub/warp/…>; <cub/cub.cuh> and "
	      "Thrust are for a .cu that nvcc compiles, with its launches\n");
}

Test(advice, all_else_stays_as_it_is)
{
	static const char text[] = "k.cu(3): error: identifier \"x\" is undefined\n  x;\n  ^\n\nptxas info    : Used 3 registers\n"
				   "ptxas : x\nptxas error\nptxaserror : x\n";

	check(text, text);
	check("", "");
}
