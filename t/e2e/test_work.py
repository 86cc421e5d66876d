# SPDX-License-Identifier: MIT
"""What a plugin says of the work of a call becomes rates in a verdict, and shares of the machine's best."""

import json
import os
import re
import subprocess
import sys

import pytest

from devserve import deployment, devserve, x

KERNEL = """\
	volatile float a = 0;

	for (int i = 0; i < {loops}; i++)
		a = a * 0.5f + 1;
	*y = x;"""
WORK = """\
#include <devserve/ext/work.h>
static void work(const struct devserve_call *call, struct devserve_work *ret)
{{
	int32_t x = ((const int32_t *)call->in[0].data)[0];

	(void)x;
	{work}
}}
DEVSERVE_WORK(work)
"""
STATED = "ret->flops = 1000.0 * x; ret->bytes = 8 * (double)devserve_count(&call->out[0]);"


def source(loops, work=STATED):
    text = deployment(KERNEL.format(loops=loops), WORK.format(work=work))
    return text.replace("	.infer = infer,", "	.infer = infer,\n	.extensions = { DEVSERVE_WORK_EXTENSION },")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where the peaks of this machine are, measured once."""
    place = tmp_path_factory.mktemp("cache")
    done = devserve("doctor", "--calibrate", "--json", env={"XDG_CACHE_HOME": str(place)})
    (peaks,) = [c for c in json.loads(done.stdout)["checks"] if c["name"] == "peaks"]
    assert "GFLOP/s" in peaks["value"] and "memory" in peaks["value"], peaks
    assert (peaks["state"] == "note") == ("of the CPUs while this was measured" in peaks["value"]), peaks
    return place


def peak(cache, key):
    (file,) = (cache / "devserve").glob("peaks-*")
    return float(next(line.split()[1] for line in file.read_text().splitlines() if line.startswith(key)))


def measure(serve, root, before, after, cache):
    """The first input of the verdict on a save."""
    root.write("one/one.c", before)
    server = serve(env={"XDG_CACHE_HOME": str(cache)})
    assert server.infer("one", x(50)).value == 50
    mark = server.mark()
    server.save("one/one.c", after)
    return server.wait("verdict", mark, deployment="one")["inputs"][0]


def test_a_machine_that_was_busy_while_it_was_measured_is_told(tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        devserve("doctor", "--calibrate", env=env)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    (peaks,) = [c for c in json.loads(devserve("doctor", "--json", env=env).stdout)["checks"] if c["name"] == "peaks"]
    assert peaks["state"] == "note" and peaks["mend"] == "devserve doctor --calibrate", peaks
    assert 25 < int(re.search(r"had (\d+) % of the CPUs", peaks["value"])[1]) <= 100, peaks
    (file,) = (tmp_path / "devserve").glob("peaks-*")
    file.write_text(re.sub("others .*", "others 0.01", file.read_text()))
    (peaks,) = [c for c in json.loads(devserve("doctor", "--json", env=env).stdout)["checks"] if c["name"] == "peaks"]
    assert peaks["state"] == "ok" and "while" not in peaks["value"] and not peaks["mend"], peaks


def test_the_work_of_a_call_becomes_rates(root, serve, cache):
    told = measure(serve, root, source(2000), source(1000), cache)
    work = told["work"]
    assert (work["flops"], work["bytes"]) == (50000, 8), told
    assert work["gflops"] == pytest.approx(50 / told["after_us"], rel=1e-3)
    assert work["gflops_before"] == pytest.approx(50 / told["before_us"], rel=1e-3)
    assert work["gflops_share"] == pytest.approx(work["gflops"] * 1e9 / peak(cache, "fp32"), rel=1e-3)
    assert work["level"] == "L1" and 0 < work["gbytes_share"] < 1


def test_operations_in_another_type_have_another_peak(root, serve, cache):
    told = measure(serve, root, source(2000), source(1000, STATED + " ret->dtype = DEVSERVE_FP64;"), cache)
    work = told["work"]
    assert work["gflops_share"] == pytest.approx(work["gflops"] * 1e9 / peak(cache, "fp64"), rel=1e-3)


def test_where_nothing_was_measured_there_are_rates_without_shares(root, serve, tmp_path):
    work = measure(serve, root, source(2000), source(1000), tmp_path)["work"]
    assert work["gflops"] > 0 and "gflops_share" not in work and "level" not in work


@pytest.mark.parametrize("stated", ["ret->flops = -1.0;", "ret->flops = 0.0 / 0.0;", ";"])
def test_what_is_no_amount_is_not_told(root, serve, cache, stated):
    assert "work" not in measure(serve, root, source(2000), source(1000, stated), cache)


def test_what_was_measured_is_kept_and_what_is_damaged_is_not_believed(cache):
    before = devserve("doctor", "--json", env={"XDG_CACHE_HOME": str(cache)}).stdout
    (peaks,) = [c for c in json.loads(before)["checks"] if c["name"] == "peaks"]
    assert "GFLOP/s" in peaks["value"]
    (file,) = (cache / "devserve").glob("peaks-*")
    whole = file.read_text()
    try:
        for damaged in (whole[:-30], whole.replace("fp32 ", "fp32 -"), whole.replace("fp64 ", "fp64 nan"), "", "\0" * 99):
            file.write_text(damaged)
            (peaks,) = [c for c in json.loads(devserve("doctor", "--json", env={"XDG_CACHE_HOME": str(cache)}).stdout)
                        ["checks"] if c["name"] == "peaks"]
            assert peaks["state"] == "note" and peaks["mend"] == "devserve doctor --calibrate", (damaged, peaks)
    finally:
        file.write_text(whole)
