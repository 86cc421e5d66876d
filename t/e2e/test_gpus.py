# SPDX-License-Identifier: MIT
"""How the GPUs are, by NVML. Where there is none, a fake of its library (t/fake/libnvidia-ml.c) makes figures up,
which shows where they get to."""

import json
import os
import pathlib
import subprocess

import pytest

import test_cuda_verdict as timed
from devserve import BUILD, constant, devserve, x
from gpu import FAKE, fake, needs_toolkit, with_gpu, without_gpu  # noqa: F401, a fixture
from kernels import request
from test_cuda import write

ENV = {"LD_LIBRARY_PATH": str(FAKE)}
TEXT = "Fake GPU, 3.0 of 80.0 GiB used, busy 87 %, SM 1410 of 1980 MHz (power cap, heat), memory 2619 of 2619 MHz, " \
       "65 °C, 540 of 700 W"


def doctor(env=None):
    said = json.loads(devserve("doctor", "--json", env=env).stdout)
    return said, [c for c in said["checks"] if c["name"] == "GPU"]


@without_gpu
def test_the_doctor_tells_of_memory_clocks_heat_and_power():
    said, checks = doctor(ENV)
    assert [c["value"] for c in checks] == [TEXT + ", NVIDIA's driver 999.1"], checks
    (gpu,) = said["gpus"]
    assert (gpu["memory_used_bytes"], gpu["memory_total_bytes"]) == (3 << 30, 80 << 30), gpu
    assert (gpu["busy_percent"], gpu["memory_busy_percent"], gpu["celsius"], gpu["watts"]) == (87, 12, 65, 540.5), gpu
    assert gpu["slowed_by"] == ["power cap", "heat"], gpu


@without_gpu
def test_what_a_gpu_cannot_tell_is_left_out():
    said, checks = doctor({**ENV, "FAKE_NVML_POOR": "1"})
    assert [c["value"] for c in checks] == ["Fake GPU, NVIDIA's driver 999.1"], checks
    assert said["gpus"] == [{"name": "Fake GPU", "slowed_by": [], "processes": []}], said


@without_gpu
def test_without_the_library_or_where_it_does_not_start_nothing_is_told():
    for env, why in ({}, "no libnvidia-ml.so.1"), ({**ENV, "FAKE_NVML_FAULT": "9"}, "does not start here (error 9)"):
        said, checks = doctor(env)
        assert "gpus" not in said and checks[0]["state"] == "note", said
        asked = subprocess.run([BUILD / "devserve-cuda", "gpus"], capture_output=True, text=True, env={**os.environ, **env}, check=False)
        assert asked.returncode == 1 and asked.stdout == "" and why in asked.stderr, asked


@without_gpu
@needs_toolkit
def test_the_status_of_a_cuda_deployment_tells_of_its_memory(root, fake):
    write(root)
    server = fake()
    (pid,) = server.worker_pids("one")
    env = {**ENV, "FAKE_NVML_PID": str(pid)}
    told = json.loads(devserve("status", "--json", root.path, env=env).stdout)
    assert told["deployments"][0]["cuda"] is True, told
    (gpu,) = told["gpus"]
    assert gpu["deployments"] == [{"name": "one", "memory_bytes": 1536 << 20}] and gpu["sm_mhz"] == 1410, gpu
    page = devserve("status", root.path, env=env).stdout
    assert "1.5 GiB of the GPU's memory" in page and "GPU: " + TEXT in page, page
    assert "of the GPU's memory" not in devserve("status", root.path, env={**ENV, "FAKE_NVML_PID": "1"}).stdout
    page = devserve("status", root.path).stdout
    assert "GPU" not in page, "nothing is missed where nothing is known: " + page


@without_gpu
@needs_toolkit
def test_a_verdict_tells_at_which_clock_and_what_slowed_the_gpu_down(root, fake):
    root.write("one/kernel.cu", timed.kernel(20000))
    root.write("one/one.c", timed.host())
    server = fake()
    assert server.infer("one", request(X=[1, 2])).status == 200
    told = timed.verdict(server, "one/kernel.cu", timed.kernel(40000))
    if timed.is_busy(told):
        pytest.skip("the machine is too busy for a verdict")
    assert told["gpu"] and told["sm_mhz"] == [1410, 1410] and told["slowed_by"] == "power cap, heat", told


@without_gpu
def test_where_no_deployment_needs_a_gpu_nothing_asks_for_it(root, serve):
    root.write("one.c", constant(7))
    server = serve()
    assert server.infer("one", x(1)).value == 7
    assert "GPU" not in devserve("status", root.path, env=ENV).stdout
    assert "gpus" not in json.loads(devserve("status", "--json", root.path, env=ENV).stdout)
    maps = pathlib.Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")
    assert "libnvidia" not in maps and "libcuda" not in maps


@with_gpu
@needs_toolkit
def test_the_figures_are_those_of_the_gpu_that_is_there(root, serve):
    write(root)
    server = serve("--create-timeout=60")
    assert server.infer("one", x(21)).value == 42
    said, checks = doctor()
    print(checks, said["gpus"])
    total = subprocess.run(["nvidia-smi", "--query-gpu=memory.total,name", "--format=csv,noheader,nounits"],
                           capture_output=True, text=True, check=True).stdout.splitlines()[0]
    gpu = said["gpus"][0]
    assert gpu["memory_total_bytes"] >> 20 == int(total.split(",")[0]) and gpu["name"] == total.split(", ")[1], gpu
    assert 0 < gpu["memory_used_bytes"] < gpu["memory_total_bytes"] and 10 < gpu["celsius"] < 110, gpu
    assert 0 < gpu["sm_mhz"] <= gpu["sm_max_mhz"] and 0 < gpu["watts"], gpu
    told = json.loads(devserve("status", "--json", root.path).stdout)
    print(told["gpus"])  # in a container process numbers are others, and no memory is told
    assert told["deployments"][0]["cuda"] is True and told["gpus"][0]["name"] == gpu["name"], told
