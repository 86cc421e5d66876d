/* SPDX-License-Identifier: MIT */

/* Kept under the strictest warnings by t/20-new.t, since an author may well turn them on. */

#include "cli/template.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"

static const char c[] =
	"#include <devserve/deployment.h>\n"
	"\n"
	"/* Y = 2 X. Save a change while devserve runs: the next request gets the new answer. */\n"
	"static int infer(const struct devserve_call *call)\n"
	"{\n"
	"\tconst float *x = call->in[0].data;\n"
	"\tfloat *y = call->out[0].data;\n"
	"\n"
	"\tfor (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i++)\n"
	"\t\ty[i] = 2 * x[i];\n"
	"\treturn 0;\n"
	"}\n"
	"\n"
	"/* An extent -1 is free: each request chooses it. */\n"
	"DEVSERVE_DEPLOYMENT(\n"
	"\t.description = \"Doubles numbers.\",\n"
	"\t.inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_FP32, { -1 } }),\n"
	"\t.outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_FP32, { -1 } }),\n"
	"\t.shape = DEVSERVE_SAME_SHAPE,\n"
	"\t.infer = infer,\n"
	")\n";

static const char cxx[] =
	"#include <devserve/deployment.h>\n"
	"\n"
	"namespace {\n"
	"\n"
	"// Y = 2 X. Save a change while devserve runs: the next request gets the new answer.\n"
	"int infer(const devserve_call *call)\n"
	"{\n"
	"\tconst auto *x = static_cast<const float *>(call->in[0].data);\n"
	"\tauto *y = static_cast<float *>(call->out[0].data);\n"
	"\tconst auto n = devserve_count(&call->in[0]);\n"
	"\n"
	"\tfor (size_t i = 0; i < n; i++)\n"
	"\t\ty[i] = 2 * x[i];\n"
	"\treturn 0;\n"
	"}\n"
	"\n"
	"} // namespace\n"
	"\n"
	"// An extent -1 is free: each request chooses it. The fields must stay in this order.\n"
	"DEVSERVE_DEPLOYMENT(\n"
	"\t.description = \"Doubles numbers.\",\n"
	"\t.inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_FP32, { -1 } }),\n"
	"\t.outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_FP32, { -1 } }),\n"
	"\t.shape = DEVSERVE_SAME_SHAPE,\n"
	"\t.infer = infer,\n"
	")\n";

static const char cuda[] =
	"#include <devserve/deployment.h>\n"
	"#include <devserve/ext/cuda.h>\n"
	"\n"
	"enum { THREADS = 256 };\n"
	"\n"
	"/* The tensors lie on the GPU. What is queued here need not be waited for. */\n"
	"static int infer(const struct devserve_call *call)\n"
	"{\n"
	"\tconst float *x = call->in[0].data;\n"
	"\tfloat *y = call->out[0].data;\n"
	"\tuint64_t n = devserve_count(&call->in[0]);\n"
	"\tuint32_t blocks = (uint32_t)((n + THREADS - 1) / THREADS);\n"
	"\n"
	"\treturn devserve_launch(call->host, \"twice\", devserve_xyz(blocks, 1, 1), devserve_xyz(THREADS, 1, 1), 0,\n"
	"\t\t\t       y, x, n);\n"
	"}\n"
	"\n"
	"DEVSERVE_CUDA()\n"
	"\n"
	"/* An extent -1 is free: each request chooses it. */\n"
	"DEVSERVE_DEPLOYMENT(\n"
	"\t.description = \"Doubles numbers on the GPU.\",\n"
	"\t.inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_FP32, { -1 } }),\n"
	"\t.outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_FP32, { -1 } }),\n"
	"\t.shape = DEVSERVE_SAME_SHAPE,\n"
	"\t.infer = infer,\n"
	"\t.extensions = { DEVSERVE_CUDA_EXTENSION },\n"
	")\n";

static const char kernels[] =
	"// Y = 2 X. Save a change while devserve runs: the next request gets the new answer.\n"
	"// The arguments are those of devserve_launch(), of the very same types.\n"
	"extern \"C\" __global__ void twice(float *y, const float *x, unsigned long long n)\n"
	"{\n"
	"\tconst auto i = blockIdx.x * 1ull * blockDim.x + threadIdx.x;\n"
	"\n"
	"\tif (i < n)\n"
	"\t\ty[i] = 2 * x[i];\n"
	"}\n";

static const struct template templates[] = {
	{ "c", { { ".c", c } } },
	{ "c++", { { ".cc", cxx } } },
	{ "cuda", { { ".cu", kernels }, { ".c", cuda } } },
};

const struct template *template_find(const char *language)
{
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++)
		if (strcmp(templates[i].language, language) == 0)
			return &templates[i];
	return NULL;
}
