# SPDX-License-Identifier: MIT
"""What the kernels that ship compute, without a GPU: their source as C++ (t/lib/cuda_emulation.h), under
sanitizers, against numpy. What a GPU makes of them is held by test_cuda.py, where there is one."""

import os
import subprocess

import numpy
import pytest

from devserve import TREE

CXX = os.environ.get("CXX", "c++")

MAIN = """\
#include "cuda_emulation.h"
#include "KERNEL"

/* Memory that ends where the tensor ends, so that the sanitizer sees a step beyond. */
static float *tensor(size_t n, bool read)
{
	auto *at = static_cast<float *>(std::malloc(n * sizeof(float)));

	if (read && std::fread(at, sizeof(float), n, stdin) != n)
		std::exit(2);
	return at;
}

int main(int argc, char **argv)
{
	auto word = [&](int i) { return i < argc ? std::atoi(argv[i]) : 0; };
	const unsigned seed = word(1);
CALL
}
"""

ATTENTION = """\
	const int heads = word(2), sequence = word(3), causal = word(4);
	const size_t n = size_t(heads) * sequence * 64;
	float *q = tensor(n, true), *k = tensor(n, true), *v = tensor(n, true), *out = tensor(n, false);

	emulate(seed, { unsigned(heads * ((sequence + 63) / 64)) }, { 128 }, [&] { attention(out, q, k, v, sequence, causal); });
	return std::fwrite(out, sizeof(float), n, stdout) != n;"""

SOFTMAX = """\
	const int rows = word(2), columns = word(3), threads = word(4), is_short = word(5);
	const size_t n = size_t(rows) * columns;
	float *x = tensor(n, true), *y = tensor(n, false);

	emulate(seed, { unsigned(rows) }, { unsigned(threads) },
		[&] { is_short ? softmax_short(y, x, columns) : softmax_long(y, x, columns); });
	return std::fwrite(y, sizeof(float), n, stdout) != n;"""


class Emulated:
    """A kernel as a program: tensors go in and come out as bytes."""

    def __init__(self, directory, kernel, call, change=lambda text: text):
        (directory / "kernel.cu").write_text(change((TREE / "plugins" / kernel).read_text()))
        (directory / "main.cc").write_text(MAIN.replace("KERNEL", "kernel.cu").replace("CALL", call))
        self.program = directory / "emulated"
        subprocess.run([CXX, "-std=c++20", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                        "-Wno-unknown-pragmas", "-I", TREE / "t/lib", "-o", self.program, directory / "main.cc"], check=True)

    def run(self, *words, tensors, seed=1):
        done = subprocess.run([self.program, str(seed), *(str(int(w)) for w in words)], capture_output=True,
                              input=b"".join(t.tobytes() for t in tensors), env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        if done.returncode:
            raise AssertionError(done.stderr.decode(errors="replace")[:2000])
        return numpy.frombuffer(done.stdout, numpy.float32).reshape(tensors[0].shape)


@pytest.fixture(scope="module")
def attention(tmp_path_factory):
    return Emulated(tmp_path_factory.mktemp("attention"), "attention_cuda/attention.cu", ATTENTION)


@pytest.fixture(scope="module")
def softmax(tmp_path_factory):
    return Emulated(tmp_path_factory.mktemp("softmax"), "softmax_cuda/softmax.cu", SOFTMAX)


def numbers(*shape, seed=1, size=2.0):
    return numpy.random.default_rng(seed).uniform(-size, size, shape).astype(numpy.float32)


def attend(q, k, v, causal):
    """In float64, with the matrix of scores."""
    q, k, v = (t.astype(numpy.float64) for t in (q, k, v))
    scores = q @ k.transpose(0, 2, 1) / 8
    if causal:
        scores = numpy.where(numpy.tri(q.shape[1], dtype=bool), scores, -numpy.inf)
    weights = numpy.exp(scores - scores.max(-1, keepdims=True))
    return weights @ v / weights.sum(-1, keepdims=True)


def heads_of(heads, sequence, size=2.0):
    return [numbers(heads, sequence, 64, seed=s, size=size) for s in range(3)]


@pytest.mark.parametrize("causal", (False, True), ids=("all", "causal"))
@pytest.mark.parametrize("heads, sequence", ((1, 1), (2, 2), (1, 31), (3, 32), (1, 33), (2, 63), (2, 64), (3, 65), (1, 97), (2, 161)))
def test_attention_is_that_of_numpy_for_any_length(attention, heads, sequence, causal):
    tensors = heads_of(heads, sequence)
    got = attention.run(heads, sequence, causal, tensors=tensors)
    assert numpy.abs(got - attend(*tensors, causal)).max() < 2e-6


@pytest.mark.parametrize("seed", range(2, 8))
def test_attention_is_the_same_in_whichever_order_its_threads_come(attention, seed):
    tensors = heads_of(2, 100)
    assert numpy.array_equal(attention.run(2, 100, True, tensors=tensors), attention.run(2, 100, True, tensors=tensors, seed=seed))


def test_attention_keeps_its_head_where_scores_are_large(attention):
    tensors = heads_of(1, 70, size=40.0)  # exp() of these would be infinite
    got = attention.run(1, 70, False, tensors=tensors)
    assert numpy.abs(got - attend(*tensors, False)).max() < 1e-3


def test_attention_reads_no_key_that_it_may_not_see(attention):
    q, k, v = heads_of(1, 80)
    seen = attention.run(1, 80, True, tensors=[q, k, v])
    k[:, 40:], v[:, 40:] = 1e3, -1e3
    assert numpy.array_equal(attention.run(1, 80, True, tensors=[q, k, v])[:, :40], seen[:, :40])


@pytest.mark.parametrize("rows, columns", ((1, 4), (3, 28), (2, 132), (1, 1024), (2, 2044)))
def test_a_short_softmax_is_that_of_numpy(softmax, rows, columns):
    x = numbers(rows, columns, size=20)
    threads = ((columns + 15) // 16 + 31) // 32 * 32  # as softmax_cuda.c has it
    wide = numpy.exp(x.astype(numpy.float64) - x.max(-1, keepdims=True))
    got = softmax.run(rows, columns, threads, True, tensors=[x])
    assert numpy.abs(got - wide / wide.sum(-1, keepdims=True)).max() < 1e-6


@pytest.mark.parametrize("rows, columns", ((1, 1), (2, 31), (3, 255), (1, 1001)))
def test_a_long_softmax_is_that_of_numpy(softmax, rows, columns):
    x = numbers(rows, columns, size=20)
    wide = numpy.exp(x.astype(numpy.float64) - x.max(-1, keepdims=True))
    got = softmax.run(rows, columns, 256, False, tensors=[x])
    assert numpy.abs(got - wide / wide.sum(-1, keepdims=True)).max() < 1e-6


# That it would be seen

MISTAKES = {
    "no barrier before the tile is overwritten": ("		__syncthreads(); /* nobody", "		; /* nobody"),
    "no barrier before the weights are read": ("__syncwarp();", ""),
    "one key too many": ("key >= sequence ||", "key > sequence ||"),
    "one row too many": ("h < own_quads && query < sequence", "h < own_quads && query <= sequence"),
    "a row of the tile too many": ("i < rows * quads", "i < (rows + 1) * quads"),
    "no scaling down of what was there": ("v = times(v, shrink);", ";"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_in_the_kernel_is_seen(tmp_path, what):
    def change(text):
        assert MISTAKES[what][0] in text
        return text.replace(*MISTAKES[what])

    wrong = Emulated(tmp_path, "attention_cuda/attention.cu", ATTENTION, change)
    tensors = heads_of(1, 97)
    try:
        assert numpy.abs(wrong.run(1, 97, False, tensors=tensors) - attend(*tensors, False)).max() < 1e-5
    except AssertionError:
        return
    pytest.fail(f"{what}: not noticed")
