# SPDX-License-Identifier: MIT
"""For which GPU kernels are compiled: the one that is here, or that of -arch in cflags."""

import os
import struct
import subprocess

import pytest

from devserve import BUILD, constant, x
from gpu import FAKE, NVCC, fake, needs_toolkit, without_gpu  # noqa: F401, a fixture
from test_cuda import host, kernel, write

pytestmark = [needs_toolkit, without_gpu]

WGMMA = '\nextern "C" __global__ void fence() { asm volatile("wgmma.fence.sync.aligned;"); }\n'
LINE_TABLES = {".debug_line", ".nv_debug_line_sass"}


class Cubin:
    """What the ELF file at `at` in these bytes says of itself."""

    def __init__(self, data, at=0):
        flags, sections, n, names = (struct.unpack_from(f, data, at + o)[0] for f, o in (("<I", 48), ("<Q", 40), ("<H", 60), ("<H", 62)))
        self.processor = flags >> (8 if data[at + 8] >= 8 else 0) & 0xff

        def header(i, what, offset):
            return struct.unpack_from(what, data, at + sections + 64 * i + offset)[0]

        strings = at + header(names, "<Q", 24)
        self.sections = {}
        for i in range(n):
            name = data[strings + header(i, "<I", 0):].split(b"\0", 1)[0].decode()
            self.sections[name] = data[at + header(i, "<Q", 24):][:header(i, "<Q", 32)] if header(i, "<I", 4) != 8 else b""

    @property
    def command(self):
        """That of ptxas, as it notes it."""
        return b"".join(v for k, v in self.sections.items() if k.startswith(".note.nv.tkinfo")).decode(errors="replace")


def packed(root):
    """The one cubin in the one pack."""
    (path,) = (root.path / ".devserve/devices").iterdir()
    data = path.read_bytes()
    return Cubin(data, data.index(b"\x7fELF\x02\x01\x01A"))


def put_flags(root, *flags, name="one"):
    root.write(f"{name}/deployment.yaml", "cflags: [" + ", ".join(flags) + "]\n")


def asked(capability, library=None):
    toolkit = os.path.dirname(os.path.dirname(os.path.realpath(NVCC)))
    library = library or next(p for d in ("lib64", "lib") for p in [f"{toolkit}/{d}/libnvrtc.so"] if os.path.exists(p))
    return subprocess.run([BUILD / "devserve-cuda", "device", library], capture_output=True, text=True, check=True,
                          env={**os.environ, "LD_LIBRARY_PATH": str(FAKE), "FAKE_CUDA_CAPABILITY": str(capability)}).stdout


def test_of_a_gpu_since_9_0_all_instructions_are_compiled_for():
    assert asked(80) == "sm_80 fake\n" and asked(89) == "sm_89 fake\n"
    assert asked(90) == "sm_90a fake\n"
    assert asked(99) == "sm_99 fake\n", "the compiler doesn't know sm_99a"
    assert asked(90, "/nowhere/libnvrtc.so") == "sm_90 fake\n", "nobody knows what it knows"


@pytest.mark.parametrize("flags, processor, told", [
    ((), 80, "sm_80"), (("-arch=native",), 80, "sm_80"), (("-arch=sm_90a",), 90, "sm_90a"), (("-arch", "sm_90a"), 90, "sm_90a"),
    (("--gpu-architecture=sm_86",), 86, "sm_86")])
def test_device_code_is_for_the_architecture_that_is_asked_for(root, fake, flags, processor, told):
    write(root)
    put_flags(root, *flags)
    server = fake(env={"FAKE_CUDA_CAPABILITY": str(processor)})
    assert server.infer("one", x(1)).status == 200
    cubin = packed(root)
    assert cubin.processor == processor and f"-arch {told} " in cubin.command + " ", cubin.command
    assert LINE_TABLES <= set(cubin.sections), cubin.sections.keys()
    done = server.seen("save.done", deployment="one")[0]
    assert {k["architecture"] for k in done["kernels"]} == {told}, done


def test_instructions_of_one_architecture_alone_can_be_used(root, fake):
    root.write("one/kernel.cu", kernel(2) + WGMMA)
    root.write("one/one.c", host())
    put_flags(root, "-arch=sm_90a")
    assert fake(env={"FAKE_CUDA_CAPABILITY": "90"}).infer("one", x(1)).status == 200


@pytest.mark.parametrize("flags, body, processor, told", [((), "", 80, "sm_80"),
                                                          (("--gpu-architecture", "sm_90a"), WGMMA[WGMMA.index("asm"):-3], 90, "sm_90a")])
def test_a_source_for_both_is_for_the_architecture_that_is_asked_for(root, serve, flags, body, processor, told):
    root.write("one/one.cu", "#include <devserve/deployment.h>\n__global__ void k() { " + body + " }\n" +
               constant("3 + x", "void go() { k<<<1, 1>>>(); }"))
    put_flags(root, *flags, "--no-compress")
    server = serve(ready=False)
    done = server.wait("save.done", deployment="one")
    assert {k["architecture"] for k in done["kernels"]} == {told} and "redefinition" not in server.story(), done
    images = [p.read_bytes() for p in (root.path / ".devserve/objects").iterdir()]
    (data,) = [d for d in images if b"\x7fELF\x02\x01\x01A" in d]
    cubin = Cubin(data, data.index(b"\x7fELF\x02\x01\x01A"))
    assert cubin.processor == processor and f"-arch {told} " in cubin.command + " ", cubin.command
    assert LINE_TABLES <= set(cubin.sections), cubin.sections.keys()


@pytest.mark.parametrize("flags, gpu, built", [(("-arch=sm_90a",), 80, 90), (("-DX",), 90, 80)])
def test_code_for_another_gpu_than_the_one_that_is_here_is_told(root, fake, flags, gpu, built):
    write(root)
    put_flags(root, *flags)
    server = fake(ready=False, env={"FAKE_CUDA_CAPABILITY": str(gpu)})
    told = server.wait("save.done", deployment="one")
    assert told["outcome"] == "trial-failed", told
    said = f"the device code is for sm_{built}, and the GPU here (fake) is sm_{gpu}; -arch=sm_{gpu} in cflags"
    assert said in told["reason"], told
    put_flags(root, f"-arch=sm_{gpu}")
    server.wait("save.done", deployment="one", outcome="swapped")
    assert server.infer("one", x(1)).status == 200


def test_an_architecture_that_the_compiler_does_not_know_is_told_with_its_line(root, serve):
    write(root)
    put_flags(root, "-arch=sm_42")
    reason = serve(ready=False).wait("build.failed", deployment="one")["reason"]
    assert reason.startswith("deployment.yaml:1: cflags: '-arch=sm_42': "), reason
