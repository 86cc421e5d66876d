# SPDX-License-Identifier: MIT
"""CUDA as tests have it: the toolkit, perhaps a GPU, and where none is the fake driver (t/fake/libcuda.c)."""

import ctypes
import os
import shutil

import pytest

from devserve import BUILD

FAKE = BUILD / "t/fake"
NVCC = shutil.which("nvcc", path=os.pathsep.join(
    [f"{os.environ.get('CUDA_HOME', '/nowhere')}/bin", os.environ["PATH"], str(BUILD / "cuda/bin"), "/usr/local/cuda/bin"]))


def has_gpu():
    try:
        driver, n = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(0)
    except OSError:
        return False
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(n)) == 0 and n.value > 0


GPU = has_gpu()
needs_toolkit = pytest.mark.skipif(not NVCC, reason="there is no CUDA toolkit")
without_gpu = pytest.mark.skipif(GPU, reason="there is a GPU")


def with_gpu(test):
    """It wants a real one. `pytest -m gpu` selects these, and those with the fixture below (t/e2e/conftest.py)."""
    return pytest.mark.gpu(pytest.mark.skipif(not GPU, reason="there is no GPU")(test))


@pytest.fixture
def fake(serve, tmp_path):
    """A server whose workers find the fake driver; `.calls(pid)` is what they called, in order. Nothing that the
    real one would refuse may be among it."""
    log = tmp_path / "cuda.log"

    def start(*args, fault="", env=(), **kw):
        server = serve(*args, env={"LD_LIBRARY_PATH": str(FAKE), "FAKE_CUDA_LOG": str(log), "FAKE_CUDA_FAULT": fault, **dict(env)}, **kw)
        server.cuda_pids = lambda: sorted({line.split(" ", 1)[0] for line in log.read_text().splitlines()})
        server.calls = lambda pid: [line.split(" ", 1)[1] for line in log.read_text().splitlines()
                                    if line.split(" ", 1)[0] == str(pid)]
        return server

    yield start
    refuse_mistakes(log)


def refuse_mistakes(log):
    """The fake driver writes down what the real one would refuse."""
    mistakes = [line for line in (log.read_text().splitlines() if log.exists() else []) if " MISTAKE " in line]
    assert not mistakes, "\n".join(mistakes[:9])


@pytest.fixture
def gpu(request):
    """A server with a GPU: the real one if it is there, else the fake, which answers as its sources say."""
    if GPU:
        serve = request.getfixturevalue("serve")
        return lambda *args, **kw: serve("--create-timeout=60", *args, **kw)
    return request.getfixturevalue("fake")


# Commands that run workers of their own find the fake by it.
ENV = {} if GPU else {"LD_LIBRARY_PATH": str(FAKE)}
