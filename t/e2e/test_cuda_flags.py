# SPDX-License-Identifier: MIT
"""One list of flags for the compilers of C, of C++, nvcc and NVRTC: each gets those that it knows."""

import json
import shutil

import pytest

from devserve import constant, x
from gpu import fake, needs_toolkit, without_gpu  # noqa: F401, a fixture
from test_cuda import HOST, kernel, write

pytestmark = [needs_toolkit, without_gpu]

MIXED = "#include <devserve/deployment.h>\n__global__ void k() {}\n" + constant("3 + x", "void go() { k<<<1, 1>>>(); }")
BOTH = ["--use_fast_math", "-maxrregcount=32", "--fmad=false", "-ffast-math", "-march=native", "-Wall", "-Og", "-Werror", "-DX=1"]


def put_flags(root, flags, name="one"):
    text = "cflags:\n" + "".join(f"  - {json.dumps(flag)}\n" for flag in flags)
    root.write(f"{name}/deployment.yaml", text)


def failed(serve, name="one"):
    told = serve(ready=False).wait("build.failed", deployment=name)
    return told["reason"], told["text"]


@pytest.mark.parametrize("flags", [BOTH, ["-G", "-Xptxas", "-dlcm=ca", "-std=c++17", "--prec-div=false"], ["-lineinfo", "-Werror", "-std=c++20"],
                                   ["--extra-device-vectorization", "--restrict", "-diag-suppress=177", "-std=gnu++17", "-O1"]])
def test_host_and_device_code_of_a_deployment_get_their_flags(root, fake, flags):
    write(root)
    put_flags(root, flags)
    server = fake()
    assert server.infer("one", x(1)).status == 200
    assert not server.seen("build.warned"), server.story()


@pytest.mark.parametrize("flags", [BOTH, ["--expt-relaxed-constexpr", "-fopenmp", "-O1", "-std=gnu++17", "-Wl,-z,now", "-DF(a,b)=a"]])
def test_a_source_for_both_gets_all_of_them(root, serve, flags):
    root.write("one/one.cu", MIXED)
    put_flags(root, flags)
    server = serve(ready=False)
    told = server.wait("save.done", deployment="one")
    assert told["outcome"] == "trial-failed" and "needs CUDA" in told["reason"], told  # it was built
    assert server.seen("build.failed") == [] and "warning" not in server.story(), server.story()


def test_a_flag_compiles_those_sources_whose_compiler_gets_it(root, fake):
    write(root)
    server = fake()
    (pid,) = server.worker_pids("one")

    def compiled(flags):
        before, after = len(list((root.path / ".devserve/manifests").iterdir())), server.mark()
        put_flags(root, flags)
        assert server.wait("save.done", after=after, deployment="one")["outcome"] == "swapped"
        return len(list((root.path / ".devserve/manifests").iterdir())) - before

    assert compiled(["--fmad=false"]) == 1
    assert compiled(["--fmad=false", "-ffast-math"]) == 1
    assert compiled(["--fmad=false", "-ffast-math", "-DX"]) == 2
    assert server.calls(pid).count("allocate 12345") <= 3, "for device code alone create() is not run again"


@pytest.mark.parametrize("flag, source, said", [
    ("-nosuchflag", "one.c", "unrecognized"),
    ("-maxrregcount=banana", "one.cu", "expected a number"),
    ("-Xptxas=--nosuch", "kernel.cu", "Unknown option"),
    ("-diag-suppress=banana", "kernel.cu", "positive integer"),
])
def test_a_flag_that_a_compiler_refuses_is_told_with_its_line(root, serve, flag, source, said):
    if source == "kernel.cu":
        write(root)
    else:
        root.write(f"one/{source}", MIXED if source.endswith(".cu") else constant(1))
    put_flags(root, ["-DX", "-DY", flag])
    reason, text = failed(serve)
    assert reason.startswith(f"deployment.yaml:4: cflags: '{flag}': ") and said in reason, reason
    assert f"deployment.yaml:4: note: cflags: '{flag}'\n" in text, text


@pytest.mark.parametrize("flags, line, said", [
    (["-DX", "-arch sm_90a"], 3, "'-arch sm_90a' is two words"),
    (["-arch=compute_90a"], 2, "'compute_90a' is no GPU's machine code"),
    (["-gencode", "arch=compute_90a,code=sm_90a"], 2, "-arch=sm_90a"),
    (["-O2", "-rdc=true"], 3, "a worker can't load"),
    (["-maxrregcount"], 2, "wants a value"),
])
def test_a_flag_that_nothing_can_come_of_is_refused_before_it_is_tried(root, serve, flags, line, said):
    root.write("one/kernel.cu", kernel(2))
    root.write("one/one.c", HOST.replace("CALL", "\t(void)n;\n\treturn 0;"))
    put_flags(root, flags)
    reason, _ = failed(serve)
    assert reason.startswith(f"deployment.yaml:{line}: cflags: ") and said in reason, reason


@pytest.mark.parametrize("flag", ["-DVARIANT=big", "-DX=data"])
def test_a_mistake_in_the_code_stays_with_its_source_whatever_a_flag_is_called(root, serve, flag):
    root.write("one/kernel.cu", 'extern "C" __global__ void big(float *x) { __shared__ float a[20000]; a[threadIdx.x] = *x; '
                                "__syncthreads(); *x = a[0]; }\n")
    root.write("one/one.c", HOST.replace("CALL", "\t(void)n;\n\treturn 0;"))
    put_flags(root, [flag])
    reason, text = failed(serve)
    assert reason.startswith("kernel.cu: Entry function 'big' uses too much shared data"), reason
    assert "note: cflags" not in text, text


@pytest.mark.parametrize("directory", [False, True])
def test_what_another_host_compiler_compiled_is_compiled_anew_when_that_changes(root, serve, tmp_path, directory):
    compilers = [tmp_path / name for name in ("gcc", "g++")]

    def install(version):
        for compiler in compilers:
            compiler.write_text(f'#!/bin/sh\nexec {shutil.which(compiler.name)} -DVERSION={version} "$@"\n')
            compiler.chmod(0o755)

    def compiled():
        return len(list((root.path / ".devserve/manifests").iterdir()))

    install(1)
    root.write("one/one.cu", MIXED)
    flags = ["-ccbin", str(tmp_path if directory else compilers[1])]
    put_flags(root, flags)
    server = serve(ready=False)
    server.wait("save.done", deployment="one")
    before, after = compiled(), server.mark()
    root.write("one/deployment.yaml", (root.path / "one/deployment.yaml").read_text() + "idempotent: true\n")
    server.wait("save.done", after=after, deployment="one")
    assert compiled() == before, "nothing changed that it's compiled by"
    install(22)
    after = server.mark()
    put_flags(root, flags)
    server.wait("save.done", after=after, deployment="one")
    assert compiled() == before + 1
