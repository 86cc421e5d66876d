# SPDX-License-Identifier: MIT
"""What the rows of the table are measured with: servers, load, processes, numbers.

Everything that is started here is in `running` until it has ended; end_all() ends the rest,
by its id. Everything listens on loopback, on a port that was free.
"""

import array
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time
import urllib.parse

BENCH = pathlib.Path(__file__).resolve().parent
TREE = BENCH.parent
PATIENCE = 60  # seconds for one event
TICKS = os.sysconf("SC_CLK_TCK")

median = statistics.median


class Failure(Exception):
    """A row that could not be measured, and why."""


class Skipped(Failure):
    """A row that this machine cannot measure now, and why."""


class Bench:
    """One run of bench/run: where things are, how much is measured."""

    def __init__(self, build, quick, scratch, say):
        self.build, self.quick, self.scratch, self.say = build, quick, scratch, say
        self.n = 0

    def rounds(self, full):
        return max(3, full // 3) if self.quick else full

    def seconds(self, full):
        return full / 2 if self.quick else full

    def path(self, name):
        """A new path below the scratch directory."""
        self.n += 1
        return self.scratch / f"{self.n}-{name}"

    def helper(self, name):
        return str(self.build / "bench" / name)

    def file(self, name, content):
        path = self.path(name)
        path.write_bytes(content)
        return path


# Processes

running = []


CPUS = sorted(os.sched_getaffinity(0))
PINNED = ["-p", CPUS[-1]] if len(CPUS) > 1 else []  # option of bench/load.c
OTHERS = CPUS[:-1]                                  # what is left for the server then


def start(argv, cpus=(), **options):
    """A child in a session of its own: Ctrl-C in the terminal reaches only bench/run."""
    if cpus:
        argv = ["taskset", "-c", ",".join(map(str, cpus)), *argv]
    process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                               start_new_session=True, **options)
    running.append(process)
    return process


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in running:
        running.remove(process)


def end_all():
    for process in list(running):
        end(process)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run_alone(argv, log):
    """Run a program to its end; its wall time in ns, without what subprocess adds."""
    to_log = [(os.POSIX_SPAWN_OPEN, fd, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
              for fd in (1, 2)]
    started = time.monotonic_ns()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=to_log)
    _, status = os.waitpid(pid, 0)
    took = time.monotonic_ns() - started
    if status:
        raise Failure(f"{' '.join(argv)}: {pathlib.Path(log).read_text()[-500:]}")
    return took


def descendants(pid):
    """`pid` and every process below it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_ns(pid):
    """What `pid` and every process below it have run so far, on any thread that lives.

    The scheduler's own count, to the nanosecond: utime and stime have a grain of 10 ms.
    """
    total = 0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with contextlib.suppress(OSError):
                    total += int(pathlib.Path(f"/proc/{one}/task/{task}/schedstat").read_text().split()[0])
    return total


def memory_kb(pid, root):
    """Resident memory of `pid` and every process below it, each shared page counted once.

    Of files only those below `root` count in full (images), of others the pages that were
    written to: what a library's clean pages weigh depends on who else has it open.
    """
    sums = {"private": 0, "shared memory": 0, "images": 0}
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{one}/smaps").read_text().splitlines():
                key, _, value = line.partition(":")
                if "-" in key:
                    path = line.partition("/")[2]
                    kind = ("shared memory" if path.startswith("memfd:") else
                            "images" if f"/{path}".startswith(f"{root}/") else "private")
                elif key == ("Anonymous" if kind == "private" else "Pss"):
                    sums[kind] += int(value.split()[0])
    return sums


# Servers

class Echo:
    """bench/echo.c: the bare server, with answers of `answer_size` bytes, head included."""

    def __init__(self, bench, answer_size, sink=False, cpus=()):
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.body = answer_size
        while self.body + len(head % self.body) > answer_size:
            self.body -= 1
        self.port = free_port()
        self.process = start([bench.helper("echo"), self.port, self.body] + ["--sink"] * sink, cpus,
                             stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def stop(self):
        end(self.process)


class Server:
    """devserve on a root that holds copies of the sources named."""

    def __init__(self, bench, *sources, root=None, cpus=(), env=None):
        self.bench = bench
        if root is None:
            root = bench.path("plugins")
            root.mkdir()
            for source in sources:
                copy = shutil.copytree if source.is_dir() else shutil.copyfile
                copy(source, root / source.name)
        self.root, self.log = root, bench.path("stderr")
        self.events, self.news, self.ended = [], threading.Condition(), False
        with open(self.log, "ab") as log:
            self.started_ns = time.monotonic_ns()
            self.process = start([bench.build / "devserve", root, "--json", "--port", "0"], cpus,
                                 stdout=subprocess.PIPE, stderr=log,
                                 env={"DEVSERVE_GATE": "load", "DEVSERVE_NO_VERDICT": "yes", **os.environ, **(env or {})})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        ready = self.wait("server.ready")
        self.opened_ns = ready["at_ns"]
        self.url = urllib.parse.urlsplit(ready["url"])
        self.port = self.url.port
        self._wait_ready()
        for failed in (e for e in self.events if e.get("outcome", "swapped") != "swapped"):
            raise Failure(f"{failed['deployment']}: {failed['outcome']}: {self.story()}")

    def _read(self):
        for line in self.process.stdout:
            at = time.monotonic_ns()
            event = json.loads(line)
            event["at_ns"] = at
            with self.news:
                self.events.append(event)
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def _wait_ready(self):
        deadline = time.monotonic() + PATIENCE
        while self.get("/v2/health/ready")[0] != 200:
            if time.monotonic() > deadline:
                raise Failure("the server does not get ready")
            time.sleep(0.002)
        self.ready_ns = time.monotonic_ns()

    def mark(self):
        with self.news:
            return len(self.events)

    def wait(self, name, after=0, **members):
        """The first such event after the mark `after`."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while True:
                for event in self.events[after:]:
                    if event["event"] == name and all(event.get(k) == v for k, v in members.items()):
                        return event
                if self.ended or time.monotonic() > deadline:
                    raise Failure(f"no {name} {members} came: {self.story()}")
                self.news.wait(1)

    def get(self, path, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def status(self, deployment):
        """What /-/status says of a deployment."""
        token = json.loads((self.root / ".devserve/run.json").read_text())["token"]
        status, body = self.get("/-/status", token)
        if status != 200:
            raise Failure(f"/-/status: {status} {body[:200]}")
        return next(d for d in json.loads(body)["deployments"] if d["name"] == deployment)

    def compute_ns(self, deployment):
        """Total time in infer() so far, and the number of executions."""
        d = self.status(deployment)
        return d["compute_ns_mean"] * d["executions"], d["executions"]

    def save(self, name, text):
        """Write the file as an editor does; the ns at which close() was called."""
        fd = os.open(self.root / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        os.write(fd, text.encode())
        at = time.monotonic_ns()
        os.close(fd)
        return at

    def save_and_wait(self, name, text):
        """The same, and wait until it serves: (ns of the close(), the save.done)."""
        mark = self.mark()
        at = self.save(name, text)
        done = self.wait("save.done", mark, deployment=name.partition(".")[0])
        if done["outcome"] != "swapped":
            raise Failure(f"a save ended as {done['outcome']}: {done.get('reason')}")
        return at, done

    def stop(self):
        end(self.process)
        self.reader.join(PATIENCE)

    def story(self):
        said = self.log.read_text(errors="replace")[-1000:]
        return f"{[e['event'] for e in self.events[-5:]]} {said}".strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# Requests

def post(port, path, body, headers=()):
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers,
             f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def json_request(port, deployment, inputs):
    """`inputs`: (name, datatype, shape, array.array) each."""
    body = {"inputs": [{"name": n, "datatype": d, "shape": s, "data": list(a)}
                       for n, d, s, a in inputs]}
    return post(port, f"/v2/models/{deployment}/infer", json.dumps(body).encode(),
                ["Content-Type: application/json"])


def binary_request(port, deployment, inputs):
    """The same in the binary form, and the answer is asked for in it too."""
    header = json.dumps({
        "inputs": [{"name": n, "datatype": d, "shape": s,
                    "parameters": {"binary_data_size": len(a) * a.itemsize}}
                   for n, d, s, a in inputs],
        "parameters": {"binary_data_output": True}}).encode()
    body = header + b"".join(a.tobytes() for _, _, _, a in inputs)
    return post(port, f"/v2/models/{deployment}/infer", body,
                ["Content-Type: application/octet-stream",
                 f"Inference-Header-Content-Length: {len(header)}"])


# Load

class Load:
    """bench/load.c in the background, from here to stop()."""

    def __init__(self, bench, port, request, *options, log=False):
        self.log = bench.path("log") if log else None
        argv = [bench.helper("load"), "-d", "0", *options]
        if log:
            argv += ["-l", self.log]
        self.process = start(argv + [port, request], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def stop(self):
        """What it printed; with log=True also the (ns, generation) of every answer."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=PATIENCE)
        running.remove(self.process)
        if self.process.returncode:
            raise Failure(err.decode().strip())
        result = json.loads(out)
        if self.log:
            flat = array.array("Q", self.log.read_bytes())
            result["log"] = list(zip(flat[::2], flat[1::2]))
            self.log.unlink()
        return result


def load(bench, port, request, connections, seconds, *options):
    """bench/load.c to its end: what it printed."""
    process = start([bench.helper("load"), "-c", connections, "-d", seconds, *options, port, request],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=seconds + PATIENCE)
    running.remove(process)
    if process.returncode:
        raise Failure(err.decode().strip())
    return json.loads(out)


# Numbers

def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def alternate(i, first, second):
    """One round of two measurements; each goes first in every other round."""
    if i % 2 == 0:
        a = first()
        return a, second()
    b = second()
    return first(), b


# The machine

def first_line(argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return None


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def machine():
    return {
        "cpu": cpu_name(), "cpus": os.cpu_count(), "kernel": os.uname().release,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "gcc": first_line(["gcc", "--version"]), "g++": first_line(["g++", "--version"]),
        "commit": first_line(["git", "-C", str(TREE), "rev-parse", "--short", "HEAD"]),
        "load_average": os.getloadavg(),
    }


def processor_times():
    """(all, busy for others, stolen) of the whole machine so far, in seconds of one processor.

    Others are whoever we didn't start: their share is what to distrust a run for.
    """
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    busy = sum(fields) - fields[3] - fields[4] - fields[7]
    return sum(fields) / TICKS, busy / TICKS - sum(os.times()[:4]), fields[7] / TICKS
