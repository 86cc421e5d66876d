# SPDX-License-Identifier: MIT
"""A running devserve as tests see it: its root, its events, its answers.

Tests wait for events, never for time; a wait that ends in its time limit is a failure, and
t/e2e/conftest.py then prints what the server said.
"""

import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse

BUILD = pathlib.Path(os.environ.get("DEVSERVE_BUILD", "build")).absolute()
TREE = pathlib.Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("T_LONG"))
PATIENCE = 30 if not os.environ.get("DEVSERVE_SANITIZE") else 120  # seconds for one event


def deployment(infer, extra=""):
    """The source of a deployment X INT32[1] → Y INT32[1]; `infer` are statements on `x` and `*y`."""
    return f"""\
#include <devserve/deployment.h>
{extra}
static int infer(const struct devserve_call *call)
{{
	int32_t x = ((const int32_t *)call->in[0].data)[0], *y = (int32_t *)call->out[0].data;

	(void)x;
{infer}
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.infer = infer,
)
"""


def constant(value, extra=""):
    """One that answers `value`, whatever it is asked."""
    return deployment(f"	*y = {value};", extra)


class Gate:
    """Where plugins wait while it is shut: at the lock of a file, which this process has meanwhile."""

    def __init__(self, path):
        self.path, self.fd = path, None

    @property
    def source(self):
        """C: pass_gate() returns once it is open."""
        return f"""\
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
static void pass_gate(void)
{{
	int fd = open("{self.path}", O_RDONLY);

	while (flock(fd, LOCK_SH) < 0 && errno == EINTR)
		;
	close(fd);
}}
"""

    def visitors(self, server):
        """The pids of its workers that are at the gate."""
        found = []
        for pid in pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if any(os.readlink(fd) == str(self.path) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()):
                    found.append(int(pid))
        return found

    def shut(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        return self

    def open(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None


def x(value):
    """A request to a `deployment`."""
    return {"inputs": [{"name": "X", "datatype": "INT32", "shape": [1], "data": [value]}]}


X = x(0)


class Answer:
    """One HTTP answer: `status`, `headers`, `json` (None where the body is none)."""

    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    @property
    def generation(self):
        text = self.headers.get("X-Devserve-Generation")
        return int(text) if text is not None else None

    @property
    def stale(self):
        return self.headers.get("X-Devserve-Stale")

    def output(self, name="Y"):
        """The data of an output, as a list."""
        assert self.status == 200, self
        return next(o["data"] for o in self.json["outputs"] if o["name"] == name)

    @property
    def value(self):
        """What a `constant` deployment answered."""
        return self.output()[0]

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:400]!r}>"


class Client:
    """One keep-alive connection."""

    def __init__(self, url, token=None):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
        self.token = token

    def call(self, method, path, body=None, headers=(), chunks=None):
        """`chunks`: pieces of bytes, sent as such in place of `body`."""
        headers = dict(headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if chunks is None:
            self.connection.request(method, path, body, headers)
        else:
            headers["Transfer-Encoding"] = "chunked"
            self.connection.request(method, path, iter(chunks), headers, encode_chunked=True)
        response = self.connection.getresponse()
        return Answer(response, response.read())

    def infer(self, name, request=X):
        return self.call("POST", f"/v2/models/{name}/infer", request)

    def close(self):
        self.connection.close()


class Root:
    """A directory of plugins, and the ways in which people save into it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def copy(self, *names):
        """Deployments that ship with devserve."""
        for name in names:
            shutil.copytree(TREE / "plugins" / name, self.path / name)

    def write(self, name, text):
        """As `cat >name` does: cut the file to nothing, then fill it."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def rename_over(self, name, text):
        """As most editors save: a new file beside, renamed over the old one."""
        file = self.path / name
        new = file.with_name(f".{file.name}.new")
        new.write_text(text)
        new.rename(file)

    def save_like_vim(self, name, text):
        """vim's default: the old file becomes a backup, a new one gets its name."""
        file = self.path / name
        backup = file.with_name(file.name + "~")
        (file.parent / "4913").write_text("")  # vim tries whether it may create files here
        (file.parent / "4913").unlink()
        file.rename(backup)
        file.write_text(text)
        backup.unlink()

    def read(self, name):
        return (self.path / name).read_text()


class Server:
    """
    devserve on a root, on a port of its own; end it with stop(). Its gate is `load` unless a test
    says otherwise, for most saves here are meant to change what is answered.
    """

    def __init__(self, root, *args, log, env=None):
        self.root, self.log = root, log
        self.events, self.news = [], threading.Condition()
        self.ended = False
        # setpriv: a test that is killed takes its server along
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", str(BUILD / "devserve"), str(root.path),
             "--json", "--port", "0", *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(log, "ab"),
            env={"DEVSERVE_GATE": "load", **os.environ, **(env or {})}, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.url = self.client = None

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.events.append(json.loads(line))
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def mark(self):
        """A place in the events; `wait(..., after=mark)` looks only at what comes later."""
        with self.news:
            return len(self.events)

    def seen(self, event, after=0, **members):
        """The events of that name and those members so far."""
        with self.news:
            return [e for e in self.events[after:] if e["event"] == event
                    and all(e.get(k) == v for k, v in members.items())]

    def wait(self, event, after=0, timeout=PATIENCE, **members):
        """The first such event after `after`, as soon as it is there."""
        deadline = time.monotonic() + timeout
        with self.news:
            while not (found := self.seen(event, after, **members)):
                left = deadline - time.monotonic()
                assert left > 0, f"no {event} {members} within {timeout} s"
                assert not self.ended, f"the server ended before {event} {members} came"
                self.news.wait(left)
            return found[0]

    def wait_listening(self):
        self.url = self.wait("server.listening")["url"]
        self.client = self.new_client()
        return self

    def wait_ready(self):
        """Every first build has ended."""
        self.wait("server.ready")
        assert self.client.call("GET", "/v2/health/ready").status == 200
        return self

    def save(self, name, text, deployment=None, how=Root.rename_over):
        """Save and wait until the save has ended: its save.done."""
        mark = self.mark()
        how(self.root, name, text)
        return self.wait("save.done", mark, deployment=deployment or name.split("/")[0].split(".")[0])

    def infer(self, name, request=X):
        return self.client.infer(name, request)

    def new_client(self):
        return Client(self.url)

    def run_json(self):
        return json.loads(self.root.read(".devserve/run.json"))

    def status(self):
        """GET /-/status, as data."""
        answer = Client(self.url, self.run_json()["token"]).call("GET", "/-/status")
        assert answer.status == 200, answer
        return answer.json

    def worker_pids(self, name):
        """The processes that serve a deployment."""
        entry = next(d for d in self.status()["deployments"] if d["name"] == name)
        return [w["pid"] for w in entry["workers"]]

    def stop(self, sig=signal.SIGTERM, timeout=PATIENCE):
        """End it as `kill` or Ctrl-C would; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end {timeout} s after {sig!r}") from None
        self.reader.join(PATIENCE)
        return self.process.returncode

    def story(self):
        """What it said, for the report of a failure."""
        with self.news:
            events = "\n".join(json.dumps(e) for e in self.events[-60:])
        log = pathlib.Path(self.log)
        said = log.read_text(errors="replace")[-8000:] if log.exists() else "(gone with its directory)"
        return f"{events}\n--- stderr\n{said}"


def devserve(*args, cwd=None, env=None, timeout=120):
    """Run a devserve command to its end: .returncode, .stdout, .stderr."""
    return subprocess.run([str(BUILD / "devserve"), *map(str, args)], cwd=cwd, timeout=timeout,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def fill(place):
    """Take all the room that there is on a small disk; the file that has it."""
    filler = place / "filler"
    with open(filler, "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return filler


def wait_until_older(directory):
    """Until nothing in it has just changed. Whether a compiler saw a source that did as it lies there now
    nobody can tell: the server then believes nothing that is known of it, and builds it anew at the next chance."""
    newest = 0
    for path, _, files in os.walk(directory):
        for name in files:
            with contextlib.suppress(FileNotFoundError):  # a server may work there
                newest = max(newest, os.lstat(os.path.join(path, name)).st_ctime_ns)
    while time.time_ns() < newest + 20_000_000:
        pass


def wait_until_gone(pid):
    """Until the process has ended, by a descriptor that tells it."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([fd], [], [], PATIENCE)[0], f"{pid} is still there"
    os.close(fd)
