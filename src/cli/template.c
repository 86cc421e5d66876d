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
	"\n"
	"namespace {\n"
	"\n"
	"// Y = 2 X. Save a change while devserve runs: the next request gets the new answer.\n"
	"__global__ void twice(float *v, size_t n)\n"
	"{\n"
	"\tconst size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;\n"
	"\n"
	"\tif (i < n)\n"
	"\t\tv[i] = 2 * v[i];\n"
	"}\n"
	"\n"
	"// The tensors lie in the host's memory: copy there, compute, copy back.\n"
	"cudaError_t twice_on_device(const float *x, float *y, size_t n)\n"
	"{\n"
	"\tconst unsigned threads = 256, blocks = unsigned((n + threads - 1) / threads);\n"
	"\tfloat *v = nullptr;\n"
	"\tcudaError_t e = cudaMalloc(&v, n * sizeof(float));\n"
	"\n"
	"\tif (e == cudaSuccess)\n"
	"\t\te = cudaMemcpy(v, x, n * sizeof(float), cudaMemcpyHostToDevice);\n"
	"\tif (e == cudaSuccess) {\n"
	"\t\ttwice<<<blocks, threads>>>(v, n);\n"
	"\t\te = cudaGetLastError();\n"
	"\t}\n"
	"\tif (e == cudaSuccess)\n"
	"\t\te = cudaMemcpy(y, v, n * sizeof(float), cudaMemcpyDeviceToHost);\n"
	"\tcudaFree(v);\n"
	"\treturn e;\n"
	"}\n"
	"\n"
	"bool has_device()\n"
	"{\n"
	"\tint n = 0;\n"
	"\n"
	"\treturn cudaGetDeviceCount(&n) == cudaSuccess && n > 0;\n"
	"}\n"
	"\n"
	"int infer(const devserve_call *call)\n"
	"{\n"
	"\tconst auto *x = static_cast<const float *>(call->in[0].data);\n"
	"\tauto *y = static_cast<float *>(call->out[0].data);\n"
	"\tconst auto n = devserve_count(&call->in[0]);\n"
	"\n"
	"\tif (n > 0 && has_device()) {\n"
	"\t\tconst cudaError_t e = twice_on_device(x, y, n);\n"
	"\n"
	"\t\treturn e == cudaSuccess ? 0 : devserve_fail(call, \"%s\", cudaGetErrorString(e));\n"
	"\t}\n"
	"\tfor (size_t i = 0; i < n; i++) // no device here: the same on the CPU\n"
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

static const struct template templates[] = {
	{ "c", ".c", c },
	{ "c++", ".cc", cxx },
	{ "cuda", ".cu", cuda },
};

const struct template *template_find(const char *language)
{
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++)
		if (strcmp(templates[i].language, language) == 0)
			return &templates[i];
	return NULL;
}
