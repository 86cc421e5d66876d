# SPDX-License-Identifier: MIT
"""CUDA's driver by itself, by ctypes: what a program without devserve would do; and where a toolkit's libraries are."""

import contextlib
import ctypes
import os
import pathlib
import platform
import shutil

from devserve import BUILD


class Driver:
    """The first GPU's primary context, and a stream of its own."""

    def __init__(self):
        self.lib = ctypes.CDLL("libcuda.so.1")
        context = ctypes.c_void_p()
        self("cuInit", 0)
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self("cuCtxSetCurrent", context)
        self.stream, self.events = self.new_stream(), [self.new_event(), self.new_event()]

    def __call__(self, name, *args):
        r = getattr(self.lib, name)(*args)
        if r:
            raise RuntimeError(f"{name}: {r}")

    def name(self):
        text = ctypes.create_string_buffer(100)
        self("cuDeviceGetName", text, 100, 0)
        return text.value.decode()

    def architecture(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self("cuDeviceGetAttribute", ctypes.byref(major), 75, 0)
        self("cuDeviceGetAttribute", ctypes.byref(minor), 76, 0)
        return f"sm_{major.value}{minor.value}"

    def new_stream(self):
        stream = ctypes.c_void_p()
        self("cuStreamCreate", ctypes.byref(stream), 1)
        return stream

    def new_event(self):
        event = ctypes.c_void_p()
        self("cuEventCreate", ctypes.byref(event), 0)
        return event

    def allocate(self, size):
        at = ctypes.c_uint64()
        self("cuMemAlloc_v2", ctypes.byref(at), ctypes.c_size_t(size))
        return at

    @contextlib.contextmanager
    def memory(self, size):
        """Of the device, while it is wanted."""
        at = self.allocate(size)
        try:
            yield at
        finally:
            self("cuMemFree_v2", at)

    @contextlib.contextmanager
    def pinned(self, size):
        """Of the host, where copies are fastest."""
        at = ctypes.c_void_p()
        self("cuMemAllocHost_v2", ctypes.byref(at), ctypes.c_size_t(size))
        try:
            ctypes.memset(at, 1, size)
            yield at
        finally:
            self("cuMemFreeHost", at)

    def copy_in(self, device, host, size, stream=None):
        self("cuMemcpyHtoDAsync_v2", device, host, ctypes.c_size_t(size), stream or self.stream)

    def copy_out(self, host, device, size, stream=None):
        self("cuMemcpyDtoHAsync_v2", host, device, ctypes.c_size_t(size), stream or self.stream)

    def elapsed_ms(self, start, end):
        ms = ctypes.c_float()
        self("cuEventElapsedTime", ctypes.byref(ms), start, end)
        return ms.value

    def time(self, what):
        """Milliseconds that `what` keeps the stream busy."""
        start, end = self.events
        self("cuEventRecord", start, self.stream)
        what()
        self("cuEventRecord", end, self.stream)
        self("cuEventSynchronize", end)
        return self.elapsed_ms(start, end)

    def function(self, code, name):
        """A kernel of a cubin, to be launched."""
        library, n = ctypes.c_void_p(), ctypes.c_uint()
        self("cuLibraryLoadData", ctypes.byref(library), code, None, None, 0, None, None, 0)
        self("cuLibraryGetKernelCount", ctypes.byref(n), library)
        kernels = (ctypes.c_void_p * n.value)()
        self("cuLibraryEnumerateKernels", kernels, n, library)
        for kernel in kernels:
            called, function = ctypes.c_char_p(), ctypes.c_void_p()
            self("cuKernelGetName", ctypes.byref(called), ctypes.c_void_p(kernel))
            if called.value == name.encode():
                self("cuKernelGetFunction", ctypes.byref(function), ctypes.c_void_p(kernel))
                return function
        raise KeyError(f"no kernel {name}")

    def launch(self, function, arguments, stream):
        """One thread of it."""
        at = (ctypes.c_void_p * len(arguments))(*[ctypes.cast(ctypes.byref(a), ctypes.c_void_p) for a in arguments])
        self("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 0, stream, at, None)

    def used_bytes(self):
        """The GPU's memory in use, of all processes: in a container theirs can't be told apart by their ids."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return total.value - free.value


def toolkits():
    """Where one may be, in devserve's order: $CUDA_HOME, the wheels of `make CUDA=pip`, nvcc's in PATH, the usual place."""
    nvcc = shutil.which(os.environ.get("NVCC", "nvcc"))
    places = [os.environ.get("CUDA_HOME"), BUILD / "cuda", nvcc and pathlib.Path(nvcc).resolve().parents[1], "/usr/local/cuda"]
    return [pathlib.Path(p) for p in places if p and pathlib.Path(p).is_dir()]


def library_directories(toolkit):
    machine = platform.machine()
    return [toolkit / d for d in ("lib64", "lib", f"lib/{machine}-linux-gnu", f"targets/{machine}-linux/lib",
                                  "targets/sbsa-linux/lib") if (toolkit / d).is_dir()]


def library(name, places=None):
    """The path of the first `name`.so there is; its newest, where a directory has several."""
    looked = [d for toolkit in (toolkits() if places is None else places) for d in library_directories(toolkit)]
    for directory in looked:
        found = [p for p in directory.glob(f"{name}.so*") if p.name == f"{name}.so" or p.name[len(name) + 4:].replace(".", "").isdigit()]
        if found:
            return max(found, key=lambda p: [int(n) for n in p.name[len(name) + 4:].split(".") if n])
    raise FileNotFoundError(f"no {name}.so in {', '.join(map(str, looked)) or 'any CUDA toolkit: there is none'}; set CUDA_HOME")


def include_directories():
    return [d for toolkit in toolkits() for d in (toolkit / "include", toolkit / "include/cccl") if d.is_dir()]
