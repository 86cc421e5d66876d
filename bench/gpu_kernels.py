# SPDX-License-Identifier: MIT
"""Rows of bench/gpu about kernels: times by the GPU's events, in the worker, with operands on the device; references
are a copy on the device, and a loop of cuBLAS in the bench's own process, by turns."""

import array
import contextlib
import ctypes
import random
from statistics import median

import cuda_driver
from gpu_harness import TREE, Row, mode

ROWS_OF_SOFTMAX, COLUMNS, N = 65536, 4096, 4096  # of softmax; of each side of a product
TILE = 1 << 20  # elements of random data, repeated

BENCH = """
/* Times by events; everything on the device. */
#include <dlfcn.h>

static int (*event_create)(void **, unsigned), (*event_record)(void *, void *), (*event_wait)(void *);
static int (*event_elapsed)(float *, void *, void *), (*copy_device)(uint64_t, uint64_t, size_t, void *);
static void *start, *end, *one, *two, *three;

static void find(void *ret, const char *name)
{
	*(void **)ret = dlsym(dlopen("libcuda.so.1", RTLD_NOW), name);
}

static void *make(const struct devserve_host *host, uint64_t n, int is_bf16)
{
	static uint32_t tile[TILE];
	static uint16_t halves[TILE];
	uint64_t size = is_bf16 ? 2 : 4;
	char *at = devserve_cuda_allocate(host, n * size);
	uint32_t random = 1;

	for (int i = 0; i < TILE; i++) {
		float x;

		random = random * 1664525u + 1013904223u;
		x = (float)(random >> 8) / (1 << 23) - 1;
		__builtin_memcpy(&tile[i], &x, 4);
		halves[i] = (uint16_t)(tile[i] >> 16);
	}
	for (uint64_t i = 0; at && i < n; i += TILE)
		devserve_cuda_copy(host, at + i * size, is_bf16 ? (void *)halves : (void *)tile, (n - i < TILE ? n - i : TILE) * size);
	devserve_cuda_synchronize(host);
	return at;
}

static int prepare(const struct devserve_host *host, void **self)
{
	(void)self;
	find(&event_create, "cuEventCreate");
	find(&event_record, "cuEventRecord");
	find(&event_wait, "cuEventSynchronize");
	find(&event_elapsed, "cuEventElapsedTime");
	find(&copy_device, "cuMemcpyDtoDAsync_v2");
	event_create(&start, 0);
	event_create(&end, 0);
	PREPARE
}

static float since(void *stream)
{
	float ms = 0;

	event_record(end, stream);
	event_wait(end);
	event_elapsed(&ms, start, end);
	return ms;
}

static int measure(const struct devserve_call *call)
{
	void *stream = devserve_cuda_stream(call->host);
	float *ms = call->out[0].data;
	int n = (int)devserve_count(&call->out[0]), mode = *(const int32_t *)call->in[0].data;

	for (int i = 0; i < n; i++) {
		event_record(start, stream);
		MEASURE
		ms[i] = since(stream);
	}
	return 0;
}

DEVSERVE_CUDA(.host_inputs = 1, .host_outputs = 1)

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "MODE", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "MS", DEVSERVE_FP32, { 20 } }),
	.create = prepare,
	.infer = measure,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""


def bench_of(source, prepare, measure):
    """The plugin's own functions, called by ours: they are what is measured."""
    return source.split("\nDEVSERVE_CUDA(")[0] + "\n__attribute__((unused)) static void *unused[] = { (void *)infer, (void *)check };\n" \
        + BENCH.replace("PREPARE", prepare).replace("MEASURE", measure).replace("TILE", str(TILE))


def softmax_source():
    return bench_of((TREE / "plugins/softmax_cuda/softmax_cuda.c").read_text(),
                    f"one = make(host, {ROWS_OF_SOFTMAX * COLUMNS}ull, 0);\n\ttwo = make(host, {ROWS_OF_SOFTMAX * COLUMNS}ull, 0);\n\treturn one && two ? 0 : -1;",
                    f"if (mode)\n\t\t\tcopy_device((uint64_t)two, (uint64_t)one, {ROWS_OF_SOFTMAX * COLUMNS * 4}ull, stream);\n"
                    f"\t\telse\n\t\t\tlaunch(call->host, two, one, {ROWS_OF_SOFTMAX}, {COLUMNS});")


HEADS, SEQUENCE = 32, 4096
HEADS_SIZE = HEADS * SEQUENCE * 64


def attention_source():
    at = "(float *)one"
    return bench_of((TREE / "plugins/attention_cuda/attention_cuda.c").read_text(),
                    f"one = make(host, {4 * HEADS_SIZE}ull, 0);\n\treturn one ? 0 : -1;",
                    f"launch(call->host, {at} + {3 * HEADS_SIZE}, {at}, {at} + {HEADS_SIZE}, {at} + {2 * HEADS_SIZE}, {HEADS}, {SEQUENCE}, mode);")


def gemm_source(is_bf16):
    source = (TREE / "plugins/gemm_cuda/gemm_cuda.c").read_text()
    if is_bf16:
        changed = source.replace("DATATYPE = DEVSERVE_FP32, OF_CUDA = 0", "DATATYPE = DEVSERVE_BF16, OF_CUDA = 14")
        assert changed != source
        source = changed
    make = "".join(f"\t{v} = make(host, {N * N}ull, {int(is_bf16)});\n" for v in ("one", "two", "three"))
    return bench_of(source, f"{make}\treturn one && two && three && create(host, self) == 0 ? 0 : -1;",
                    f"for (int k = 0; k < 10; k++)\n\t\t\tif (multiply(devserve_cuda_blas(call->host), {N}, {N}, {N}, one, two, three))\n"
                    "\t\t\t\treturn -1;\n\t\t(void)mode;")


def plugin(name, file):
    return (TREE / "plugins" / name / file).read_text()


def softmax(bench, found):
    found.update(ms=[], copy_ms=[])
    with bench.serve({"bench/softmax.cu": plugin("softmax_cuda", "softmax.cu"), "bench/bench.c": softmax_source()}) as server:
        for _ in range(3):
            found["ms"] += server.infer("bench", mode(0)).output("MS")
            found["copy_ms"] += server.infer("bench", mode(1)).output("MS")


def describe_softmax(found, _):
    moved, ours, copy = 2 * ROWS_OF_SOFTMAX * COLUMNS * 4 / 1e6, median(found["ms"]), median(found["copy_ms"])
    return [(f"softmax {ROWS_OF_SOFTMAX}×{COLUMNS} FP32", f"{moved / ours:.0f} GB/s, {100 * copy / ours:.1f} % of a device copy",
             f"≥ 85 % of {moved / copy:.0f} GB/s")]


def attention(bench, found):
    files = {"bench/attention.cu": plugin("attention_cuda", "attention.cu"), "bench/bench.c": attention_source()}
    with bench.serve(files) as server:
        for name, causal in ("ms", 0), ("causal_ms", 1):
            found[name] = server.infer("bench", mode(causal)).output("MS")


def describe_attention(found, _):
    full, causal = (4 * 64 * HEADS * SEQUENCE * pairs / median(found[k]) / 1e9
                    for k, pairs in (("ms", SEQUENCE), ("causal_ms", (SEQUENCE + 1) / 2)))
    return [(f"attention {HEADS}×{SEQUENCE}×64 FP32", f"{full:.1f} TFLOP/s, causal {causal:.1f}",
             "no goal: what there is to win, see gemm FP32")]


class BareGemm:
    """cublasGemmEx in a loop."""

    def __init__(self, driver, is_bf16, at):
        self.driver, self.at, self.handle = driver, at, ctypes.c_void_p()
        self.blas = ctypes.CDLL(str(cuda_driver.library("libcublas")))
        self.type = 14 if is_bf16 else 0
        self.ask("cublasCreate_v2", ctypes.byref(self.handle))
        self.ask("cublasSetStream_v2", self.handle, driver.stream)
        raw = bytes(array.array("f", (random.uniform(-1, 1) for _ in range(TILE))))
        if is_bf16:
            raw = bytes(array.array("H", raw)[1::2])
        for one in at:
            for i in range(0, N * N, TILE):
                driver("cuMemcpyHtoD_v2", ctypes.c_uint64(one.value + i * len(raw) // TILE), raw, ctypes.c_size_t(len(raw)))
        self.one, self.zero = ctypes.c_float(1), ctypes.c_float(0)

    def ask(self, name, *args):
        r = getattr(self.blas, name)(*args)
        if r:
            raise RuntimeError(f"{name}: {r}")

    def multiply(self):
        a, b, c = self.at
        self.ask("cublasGemmEx", self.handle, 0, 0, N, N, N, ctypes.byref(self.one), ctypes.c_void_p(b.value), self.type, N,
                 ctypes.c_void_p(a.value), self.type, N, ctypes.byref(self.zero), ctypes.c_void_p(c.value), self.type, N, 68, -1)

    def ms(self):
        def loop():
            for _ in range(10):
                self.multiply()
        return [self.driver.time(loop) / 10 for _ in range(20)]


def gemm(is_bf16):
    def measure(bench, found):
        found.update(ms=[], bare_ms=[])
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(bench.serve({"bench/bench.c": gemm_source(is_bf16), "bench/deployment.yaml": "ldlibs: [-lcublas]\n"}))
            at = [stack.enter_context(bench.driver.memory(N * N * (2 if is_bf16 else 4))) for _ in range(3)]
            bare = BareGemm(bench.driver, is_bf16, at)
            for _ in range(bench.rounds(6, 1)):
                for who in ("ms", "bare_ms", "bare_ms", "ms"):
                    found[who].append(median(bare.ms()) if who == "bare_ms" else median(server.infer("bench", mode(0)).output("MS")) / 10)
    return measure


def describe_gemm(name):
    def describe(found, _):
        ours, bare = median(found["ms"]), median(found["bare_ms"])
        ours_tflops, bare_tflops = (2 * N ** 3 / ms / 1e9 for ms in (ours, bare))
        return [(f"gemm {N}³ {name}", f"{ours_tflops:.1f} TFLOP/s, {100 * (ours / bare - 1):+.1f} % time",
                 f"within 3 % of bare cuBLAS, {bare_tflops:.1f} TFLOP/s")]
    return describe


ATTENTION = Row("attention", "plugins/attention_cuda by itself", (15, 10), attention, describe_attention)
ROWS = [Row("softmax", "plugins/softmax_cuda, beside a copy on the device", (15, 10), softmax, describe_softmax),
        Row("gemm-fp32", "a product, beside a loop of cuBLAS", (15, 10), gemm(False), describe_gemm("FP32")),
        Row("gemm-bf16", "the same in bf16", (15, 10), gemm(True), describe_gemm("bf16"))]
