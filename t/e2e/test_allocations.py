# SPDX-License-Identifier: MIT
"""An inference in steady state allocates nothing: not in the server, not in the worker."""

import json
import os
import pathlib
import struct
import time

import pytest

from devserve import BUILD, PATIENCE

pytestmark = pytest.mark.skipif(bool(os.environ.get("DEVSERVE_SANITIZE")), reason="a sanitizer has its own malloc()")

SHAPE = [3, 16]
VALUES = list(range(100_000, 100_048))


def request(**more):
    return json.dumps({"id": "17", "inputs": [
        {"name": name, "datatype": "INT32", "shape": SHAPE, "data": VALUES} for name in ("INPUT0", "INPUT1")], **more}).encode()


def binary_request():
    size = len(VALUES) * 4
    head = json.dumps({"id": "17", "parameters": {"binary_data_output": True}, "inputs": [
        {"name": name, "datatype": "INT32", "shape": SHAPE, "parameters": {"binary_data_size": size}}
        for name in ("INPUT0", "INPUT1")]}).encode()
    return head + struct.pack("<48i", *VALUES) * 2, len(head)


@pytest.fixture
def count(root, serve, tmp_path):
    """How often the server and the worker allocate memory while `work` is done."""
    root.copy("simple")
    counts = tmp_path / "counts"
    counts.mkdir()
    server = serve(env={"LD_PRELOAD": str(BUILD / "t/allocations.so"), "DEVSERVE_ALLOCATIONS": str(counts)})
    pids = [server.process.pid, *server.worker_pids("simple")]

    def now():
        return [struct.unpack("Q", (counts / str(pid)).read_bytes())[0] for pid in pids]

    def during(work, n):
        before = now()
        work(server, n)
        return [b - a for a, b in zip(before, now())]

    def n_children():
        pid = server.process.pid
        return len(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def of(work):
        deadline = time.monotonic() + PATIENCE
        # Buffers find their size; the watcher, the worker and two spare ones are there.
        while any(during(work, 320)) or n_children() < 4:
            assert time.monotonic() < deadline
        # More calls may come to be under way at once than ever before: then there is one buffer more.
        while any(counted := during(work, 3200)) and time.monotonic() < deadline:
            pass
        return counted

    assert len(pids) == 2 and all(now())
    return of


def test_of_a_kilobyte_of_json(count):
    body = request()
    assert 900 < len(body) < 1300

    def work(server, n):
        for _ in range(n):
            assert server.client.call("POST", "/v2/models/simple/infer", body).status == 200

    assert count(work) == [0, 0]


def test_of_binary_tensors(count):
    body, size = binary_request()

    def work(server, n):
        for _ in range(n):
            answer = server.client.call("POST", "/v2/models/simple/infer", body,
                                        {"Inference-Header-Content-Length": str(size)})
            assert answer.status == 200

    assert count(work) == [0, 0]


def test_of_many_that_come_at_once(count):
    body, clients = request(), []

    def work(server, n):
        while len(clients) < 16:
            clients.append(server.new_client())
        for _ in range(n // len(clients)):
            for client in clients:
                client.connection.request("POST", "/v2/models/simple/infer", body)
            for client in clients:
                answer = client.connection.getresponse()
                assert answer.status == 200 and answer.read()

    assert count(work) == [0, 0]
