# SPDX-License-Identifier: MIT
"""Fixtures for tests against a running server, and TAP where t/lib/run wants it."""

import os
import subprocess

import pytest

from devserve import Gate, Root, Server, wait_until_older


@pytest.fixture
def root(tmp_path):
    """An empty directory for plugins."""
    return Root(tmp_path / "plugins")


@pytest.fixture
def serve(request, root, tmp_path):
    """Start a server on `root`, as often as the test calls it; all are ended with the test."""
    servers = request.node.servers = []

    def start(*args, ready=True, env=None):
        wait_until_older(root.path)  # then what was written again as it was is unchanged
        server = Server(root, *args, log=tmp_path / f"stderr.{len(servers)}", env=env)
        servers.append(server)
        server.wait_listening()
        return server.wait_ready() if ready else server

    yield start
    codes = [server.stop() for server in servers]
    assert set(codes) <= {0, 130, 143}, codes  # a sanitizer's report would be another


class Compiler:
    """gcc that can be told to wait, so that a test sees the server while it builds.

    It doesn't say what it would run (-###): else the server would run that itself, past us."""

    def __init__(self, path):
        self.gate = path / "hold"
        script = path / "cc"
        script.write_text(f"""#!/bin/sh
case " $* " in *" -### "*) exit 1 ;; *" -c "*) while [ -e '{self.gate}' ]; do sleep 0.01; done ;; esac
exec gcc "$@"
""")
        script.chmod(0o755)
        self.env = {"CC": str(script)}

    def hold(self):
        self.gate.write_text("")

    def go(self):
        self.gate.unlink()


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system can't be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def gate(tmp_path):
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()


@pytest.fixture
def compiler(tmp_path):
    return Compiler(tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for server in getattr(item, "servers", ()):
            report.sections.append(("devserve", server.story()))
    return report


class Tap:
    """Tell prove what happened; people read pytest's own report on stderr."""

    def __init__(self):
        fd = int(os.environ.pop("DEVSERVE_TAP"))  # a test may start a pytest of its own
        self.out = os.fdopen(fd, "w", buffering=1)
        self.n = 0
        self.outcome = {}

    def pytest_collection_finish(self, session):
        print(f"TAP version 13\n1..{len(session.items)}", file=self.out)

    def pytest_runtest_logreport(self, report):
        worst = self.outcome.setdefault(report.nodeid, ["ok", ""])
        if report.failed:
            worst[:] = "not ok", ""
        elif report.skipped and worst[0] == "ok":
            worst[1] = f" # SKIP {report.longrepr[2]}"
        if report.when == "teardown":
            self.n += 1
            name = report.nodeid.split("::", 1)[1].replace("#", "").replace("_", " ")
            print(f"{worst[0]} {self.n} - {name}{worst[1]}", file=self.out)
            for what, value in report.user_properties:
                print(f"# {what}: {value}", file=self.out)

    def pytest_report_teststatus(self, report):
        return report.outcome, "", ""


def pytest_collection_modifyitems(items):
    for item in items:
        if "gpu" in item.fixturenames:
            item.add_marker("gpu")


def pytest_configure(config):
    if "DEVSERVE_TAP" in os.environ:  # else run by hand: pytest -c t/e2e/pytest.ini t/e2e
        config.pluginmanager.register(Tap())
