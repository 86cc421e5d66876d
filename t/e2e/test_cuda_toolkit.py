# SPDX-License-Identifier: MIT
"""Where the CUDA toolkit is looked for, and what is said of variables that lead nowhere."""

import json
import os
import pathlib
import platform

import pytest

from devserve import constant, devserve
from gpu import NVCC, needs_toolkit, without_gpu
from test_cuda import STANDARD, host, kernel

pytestmark = [needs_toolkit, without_gpu]

MIXED = "#include <devserve/deployment.h>\n__global__ void k() {}\n" + constant("3 + x", "void go() { k<<<1, 1>>>(); }")


def real_libraries():
    root = pathlib.Path(os.path.realpath(NVCC)).parent.parent
    return next(d for d in (root / "lib64", root / "lib") if d.is_dir())


def script(path):
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec {os.path.realpath(NVCC)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def link_libraries(directory):
    directory.mkdir(parents=True)
    for name in real_libraries().glob("lib*"):
        if "nvrtc" in name.name or "cudart" in name.name:
            (directory / name.name).symlink_to(name.resolve())


def link_headers(directory):
    """CUDA's among the host's, in one directory."""
    directory.mkdir(parents=True)
    toolkit = pathlib.Path(os.path.realpath(NVCC)).parent.parent / "include"
    for header in [*toolkit.iterdir(), *(h for h in (toolkit / "cccl").glob("*") if h.is_dir()),
                   *(pathlib.Path("/usr/include") / h for h in STANDARD)]:
        if header.exists() and not (directory / header.name).exists():
            (directory / header.name).symlink_to(header)
    assert (directory / "stdint.h").exists() and (directory / "cuda_fp16.h").exists()


def lay_out(top, layout):
    """The toolkit in that layout; its nvcc."""
    machine = platform.machine()
    if layout.startswith("debian"):
        link_headers(top / "usr/include")
    if layout == "debian, the script":
        link_libraries(top / f"usr/lib/{machine}-linux-gnu")
        (top / "usr/lib64").mkdir()
        return script(top / "usr/bin/nvcc")
    if layout == "debian, a link":
        link_libraries(top / f"usr/lib/{machine}-linux-gnu")
        real = script(top / "usr/lib/nvidia-cuda-toolkit/bin/nvcc")
        (top / "usr/bin").mkdir()
        (top / "usr/bin/nvcc").symlink_to(real)
        return top / "usr/bin/nvcc"
    link_libraries(top / f"cuda/targets/{machine}-linux/lib")
    return script(top / "cuda/bin/nvcc")


@pytest.mark.parametrize("layout", ["debian, the script", "debian, a link", "targets"])
def test_libraries_are_found_where_others_put_them(root, serve, tmp_path, layout):
    nvcc = lay_out(tmp_path / "tree", layout)
    includes = "".join(f"#include <{h}>\n" for h in STANDARD if layout.startswith("debian"))
    root.write("two/kernel.cu", includes + kernel(2))
    root.write("two/two.c", host())
    root.write("mixed/mixed.cu", MIXED)
    server = serve(ready=False, env={"NVCC": str(nvcc)})
    for name in ("two", "mixed"):
        done = server.wait("save.done", deployment=name)
        assert done["outcome"] == "trial-failed" and "needs CUDA" in done["reason"] and done["kernels"], done  # built
    assert server.seen("notice") == [], server.story()


def test_nvcc_without_nvrtc_is_told_as_that(root, serve, tmp_path):
    root.write("two/kernel.cu", kernel(2))
    root.write("two/two.c", host())
    failed = serve(ready=False, env={"NVCC": str(script(tmp_path / "alone/bin/nvcc"))}).wait("build.failed", deployment="two")
    assert "there is no libnvrtc.so of" in failed["reason"] and "alone/bin/nvcc's" in failed["reason"], failed


def doctor(**env):
    return next(c for c in json.loads(devserve("doctor", "--json", env=env).stdout)["checks"] if c["name"] == "CUDA")


@pytest.mark.parametrize("name, said", [("CUDA_HOME", "CUDA_HOME=/nowhere has no bin/nvcc; using /"),
                                        ("NVCC", "NVCC=/nowhere is no program; using /")])
def test_a_variable_that_leads_nowhere_is_told(root, serve, name, said):
    root.write("one.c", constant(1))
    notice = serve(env={name: "/nowhere"}).wait("notice")
    assert notice["reason"].startswith(said), notice
    check = doctor(**{name: "/nowhere"})
    assert check["state"] == "note" and check["value"].startswith(said) and "unset" in check["mend"], check


def test_a_check_tells_of_a_variable_that_leads_nowhere_too(root):
    root.write("one.c", constant(1))
    told = devserve("check", root.path, env={"CUDA_HOME": "/nowhere"})
    assert told.returncode == 0 and "CUDA_HOME=/nowhere has no bin/nvcc" in told.stdout + told.stderr, told


def test_the_doctor_says_which_toolkit_is_used_and_for_what():
    check = doctor()
    assert check["state"] == "ok" and "/nvcc, NVRTC /" in check["value"] and "libnvrtc.so" in check["value"], check
    assert ", for sm_80" in check["value"], check
