# SPDX-License-Identifier: MIT
"""What rows of bench/gpu have in common: a server of their own, the driver, NVRTC, clients that never outlive them."""

import concurrent.futures
import contextlib
import ctypes
import dataclasses
import os
import pathlib
import sys
import time
import typing

from devserve import BUILD, TREE, Root, Server
import cuda_driver

if not (BUILD.parent / "include/devserve").exists():  # a build elsewhere
    os.environ.setdefault("DEVSERVE_INCLUDE", str(TREE / "include"))


@dataclasses.dataclass
class Row:
    """`measure(bench, found)` fills `found` as it goes, so that what is there stays when it fails; `describe(found, others)`
    makes lines of the table (label, value, goal) of it, and of what other rows of the run found."""

    name: str
    what: str
    seconds: tuple  # about: all of it, with --quick
    measure: typing.Callable
    describe: typing.Callable


class Bench:
    """One run: how much is measured, until when, and where scratch files are."""

    def __init__(self, scratch, quick, n_swaps, deadline):
        self.scratch, self.quick, self.n_swaps, self.deadline = pathlib.Path(scratch), quick, n_swaps, deadline
        self.story = ""  # what the server said that a row failed with
        self.n_servers = 0
        self.has_driver = None

    def rounds(self, full, quick):
        return quick if self.quick else full

    def left_s(self):
        return self.deadline - time.monotonic()

    @property
    def driver(self):
        self.has_driver = self.has_driver or cuda_driver.Driver()
        return self.has_driver

    @contextlib.contextmanager
    def serve(self, files, copy=(), **env):
        """A server on `files` (by their names) and deployments that ship, without verdicts unless asked."""
        self.n_servers += 1
        root = Root(self.scratch / f"plugins{self.n_servers}")
        root.copy(*copy)
        for name, text in files.items():
            root.write(name, text)
        server = Server(root, "--create-timeout=60", log=self.scratch / f"stderr{self.n_servers}",
                        env={"DEVSERVE_NO_VERDICT": "yes", **env})
        try:
            server.wait_listening()
            server.wait("server.ready", timeout=120)
            for e in server.seen("save.done"):
                if e["outcome"] != "swapped":
                    raise RuntimeError(f"{e['deployment']}: {e['outcome']}: {e.get('reason')}")
            yield server
        except Exception:
            self.story = server.story()
            raise
        finally:
            try:
                server.stop()
            except AssertionError as e:  # it was killed then; what was measured is still worth having
                print(e, file=sys.stderr, flush=True)


class Nvrtc:
    """NVRTC by itself, warm, without the cache that it keeps in files."""

    def __init__(self, architecture):
        self.lib = ctypes.CDLL(str(cuda_driver.library("libnvrtc")))
        options = [f"--gpu-architecture={architecture}", "-lineinfo", "--ptxas-options=-v", "--no-cache",
                   f"-I{TREE}/plugins", f"-I{TREE}/include", *(f"-I{d}" for d in cuda_driver.include_directories())]
        self.n, self.options = len(options), (ctypes.c_char_p * len(options))(*[o.encode() for o in options])

    @contextlib.contextmanager
    def compiled(self, text):
        program = ctypes.c_void_p()
        self.lib.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
        try:
            r = self.lib.nvrtcCompileProgram(program, self.n, self.options)
            if r:
                raise RuntimeError(f"nvrtcCompileProgram: {r}")
            yield program
        finally:
            self.lib.nvrtcDestroyProgram(ctypes.byref(program))

    def ms(self, text):
        started = time.perf_counter()
        with self.compiled(text):
            return 1000 * (time.perf_counter() - started)

    def cubin(self, text):
        size = ctypes.c_size_t()
        with self.compiled(text) as program:
            self.lib.nvrtcGetCUBINSize(program, ctypes.byref(size))
            code = ctypes.create_string_buffer(size.value)
            self.lib.nvrtcGetCUBIN(program, code)
            return code


def together(n, what):
    """`what(i)` of `n` threads at once; the failure of one is that of all."""
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(what, range(n)))


def mode(value, name="MODE"):
    return {"inputs": [{"name": name, "datatype": "INT32", "shape": [1], "data": [value]}]}


class ComputeTime:
    """The worker's mean time for a call, as it counts itself, since the last look."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.before = self.total()

    def total(self):
        entry = next(d for d in self.server.status()["deployments"] if d["name"] == self.name)
        return entry["compute_ns_mean"] * entry["executions"] / 1e6, entry["executions"]

    def ms(self):
        now = self.total()
        taken = (now[0] - self.before[0]) / (now[1] - self.before[1])
        self.before = now
        return taken


def quartiles(values):
    """Of a list however short: lower, middle, upper."""
    ordered = sorted(values)
    at = [(len(ordered) - 1) * k / 4 for k in (1, 2, 3)]
    return [ordered[int(i)] + (i - int(i)) * (ordered[min(int(i) + 1, len(ordered) - 1)] - ordered[int(i)]) for i in at]


__all__ = ["BUILD", "TREE", "Bench", "ComputeTime", "Nvrtc", "Row", "mode", "quartiles", "together"]
