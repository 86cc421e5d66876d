# SPDX-License-Identifier: MIT
"""Golden cases: in the trial of every save, and on the command line; and what is accepted."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile

import numpy as np
import pytest

from devserve import BUILD, PATIENCE, Server, x
from kernels import accept, request, unary
from test_weights import SCALE, put, scale


def golden(root, name, case, inputs, outputs, tolerance=None):
    for side, tensors in (("in", inputs), ("out", outputs)):
        directory = root.path / name / "golden" / case / side
        directory.mkdir(parents=True)
        for tensor, array in tensors.items():
            np.save(directory / f"{tensor}.npy", array)
    if tolerance:
        text = json.dumps({"tolerance": {t: {"rtol": r, "atol": a} for t, (r, a) in tolerance.items()}})
        root.write(f"{name}/golden/{case}/case.json", text)


def times(factor):
    return unary(f"	for (size_t i = 0; i < n; i++)\n		y[i] = {factor} * x[i];")


ONES = np.ones(3, np.float32)


def test_golden_cases_are_asked_though_no_client_asked_anything(serve, root):
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(2))
    server = serve("--gate", "golden")
    assert server.seen("save.done")[0]["proof"]["golden"] == 1
    done = server.save("k/k.c", times(3))
    assert done["outcome"] == "trial-failed"
    told = server.seen("trial.failed")[0]
    assert told["proof"]["fault"]["golden"] == "ones"
    assert told["reason"].startswith('golden case "ones": Y[0] is 3 and was 2')


def test_a_golden_case_that_a_first_build_fails_leaves_nothing_to_serve(serve, root):
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(3))
    server = serve("--gate", "replay")
    assert server.infer("k", request(X=[1])).status == 503
    answer, done = accept(server)
    assert done["outcome"] == "swapped"
    assert np.load(root.path / "k/golden/ones/out/Y.npy").tolist() == [3, 3, 3]
    assert server.save("k/k.c", times(3) + "/* */\n")["outcome"] == "swapped"
    assert server.save("k/k.c", times(2))["outcome"] == "trial-failed"


def test_nothing_is_written_of_an_acceptance_that_another_case_stops(serve, root):
    sevens = np.full(3, 7, np.float32)
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    golden(root, "k", "sevens", {"X": sevens}, {"Y": 2 * sevens})
    root.write("k/k.c", times(2))
    server = serve("--gate", "golden")
    refuses = "	if (x[0] == 7)\n		return -5;\n	for (size_t i = 0; i < n; i++)\n		y[i] = 3 * x[i];"
    assert server.save("k/k.c", unary(refuses))["outcome"] == "trial-failed"
    answer, done = accept(server)
    assert done["outcome"] == "trial-failed" and done["proof"]["fault"]["golden"] == "sevens", done
    assert np.load(root.path / "k/golden/ones/out/Y.npy").tolist() == [2, 2, 2]
    assert server.save("k/k.c", times("2.0f"))["outcome"] == "swapped"


ONCE = """\
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static int create(const struct devserve_host *host, void **self)
{{
	int fd = open("{path}", O_RDWR | O_CREAT, 0666);
	char owner[16] = "", me[16];

	(void)host, (void)self;
	snprintf(me, sizeof(me), "%d", (int)getpid());
	if (read(fd, owner, sizeof(owner)) == 0 && write(fd, me, sizeof(me)) < 0)
		return -5;
	close(fd);
	return owner[0] && strcmp(owner, me) != 0 ? -16 : 0;
}}
"""


def test_golden_files_say_what_serves_though_the_swap_of_an_acceptance_failed(serve, root, tmp_path):
    """The image can be created in one worker only: its trial goes well, and the second replica fails."""
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(2))
    root.write("k/deployment.yaml", "num_replicas: 2\n")
    server = serve("--gate", "golden")
    once = unary("	for (size_t i = 0; i < n; i++)\n		y[i] = 3 * x[i];",
                 "#include <string.h>\n" + ONCE.format(path=tmp_path / "owner"), ".create = create,")
    assert server.save("k/k.c", once)["outcome"] == "trial-failed"
    (tmp_path / "owner").unlink()
    assert accept(server)[1]["outcome"] == "refused"
    assert np.load(root.path / "k/golden/ones/out/Y.npy").tolist() == [2, 2, 2]
    assert [f.name for f in (root.path / "k/golden/ones/out").iterdir()] == ["Y.npy"]
    assert server.infer("k", request(X=[1])).output() == [2]


def lies_in(directory):
    return sorted(str(f.relative_to(directory)) for f in directory.rglob("*") if f.is_file())


def test_an_acceptance_that_ends_early_leaves_nothing_in_the_golden_cases(serve, root, gate):
    """To be written, "ones" is run again, and "sevens" after it: that waits."""
    sevens = np.full(3, 7, np.float32)
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    golden(root, "k", "sevens", {"X": sevens}, {"Y": 2 * sevens})
    root.write("k/k.c", times(2))
    files = lies_in(root.path / "k/golden")
    waits = unary("	static int sevens, again;\n	sevens |= x[0] == 7;\n	again |= x[0] == 1 && sevens;\n"
                  "	if (x[0] == 7 && again)\n		pass_gate();\n"
                  "	for (size_t i = 0; i < n; i++)\n		y[i] = 3 * x[i];", gate.source)
    for ends in (lambda: server.save("k/k.c", times("2.0f")), lambda: server.stop(signal.SIGKILL)):
        root.write("k/k.c", times(2))
        server = Server(root, "--gate", "golden", log=root.path.parent / "stderr")
        server.wait_listening().wait_ready()
        assert server.save("k/k.c", waits)["outcome"] == "trial-failed"
        gate.shut()
        client = server.new_client()
        client.token = server.run_json()["token"]
        assert client.call("POST", "/-/accept?deployment=k", b"").status == 200
        while not gate.visitors(server):
            pass
        assert lies_in(root.path / "k/golden") == files
        ends()
        gate.open()
        assert lies_in(root.path / "k/golden") == files
        server.stop()


def test_what_is_accepted_is_written_from_another_file_system_too(serve, root):
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(2))
    files = lies_in(root.path / "k/golden")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as far:
        if os.stat(far).st_dev == os.stat(root.path).st_dev:
            pytest.skip("there is one file system")
        server = serve("--gate", "golden", "--state-dir", far)
        assert server.save("k/k.c", times(3))["outcome"] == "trial-failed"
        server.run_json = lambda: json.loads(pathlib.Path(far, "run.json").read_text())
        assert accept(server)[1]["outcome"] == "swapped"
        server.stop()
    assert np.load(root.path / "k/golden/ones/out/Y.npy").tolist() == [3, 3, 3]
    assert lies_in(root.path / "k/golden") == files


def test_what_nobody_wrote_and_nan_are_never_accepted(serve, root):
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(2))
    server = serve("--gate", "golden")
    for source in (unary("	y[0] = y[1] = 2;\n	if (n != 3)\n		y[2] = 2;"), times("NAN")):
        mark = server.mark()
        assert server.save("k/k.c", source)["outcome"] == "trial-failed"
        fault = server.wait("trial.failed", mark)["proof"]["fault"]
        assert (fault["outcome"], fault["acceptable"]) == ("nan", False)
        assert accept(server)[0].status == 409
    assert np.load(root.path / "k/golden/ones/out/Y.npy").tolist() == [2, 2, 2]


def test_nothing_is_written_of_an_acceptance_that_finds_an_unwritten_element(serve, root):
    golden(root, "k", "a", {"X": ONES}, {"Y": 2 * ONES})
    golden(root, "k", "b", {"X": np.ones(4, np.float32)}, {"Y": np.full(4, 2, np.float32)})
    root.write("k/k.c", times(2))
    server = serve("--gate", "golden")
    most = "	for (size_t i = 0; i < n - (n == 4); i++)\n		y[i] = 3 * x[i];"
    assert server.save("k/k.c", unary(most))["outcome"] == "trial-failed"
    answer, done = accept(server)
    assert done["outcome"] == "trial-failed" and done["proof"]["fault"]["golden"] == "b", done
    assert np.load(root.path / "k/golden/a/out/Y.npy").tolist() == [2, 2, 2]


def test_a_golden_case_has_tolerances_of_its_own(serve, root):
    golden(root, "k", "loose", {"X": ONES}, {"Y": 2 * ONES}, {"Y": (0.1, 0)})
    root.write("k/k.c", times(2))
    server = serve("--gate", "golden")
    assert server.save("k/k.c", times(2.1))["outcome"] == "swapped"
    assert server.save("k/k.c", times(2.3))["outcome"] == "trial-failed"
    root.write("k/golden/loose/case.json", '{"tolerance": {"Y": 0.1}}')
    assert server.save("k/k.c", times(2.2))["outcome"] == "trial-failed"
    assert "loose/case.json" in server.seen("trial.failed")[-1]["reason"]


def test_a_golden_case_that_cannot_be_read_is_told(serve, root):
    golden(root, "k", "none", {}, {"Y": ONES})
    root.write("k/k.c", times(2))
    server = serve("--gate", "golden")
    assert server.seen("save.done")[0]["outcome"] == "trial-failed"
    assert "golden/none/in/X.npy" in server.seen("trial.failed")[0]["reason"]


def test_a_renamed_input_is_told_with_what_to_do_and_no_replay_is_offered(serve, root):
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(2))
    server = serve("--gate", "golden")
    mark = server.mark()
    assert server.save("k/k.c", times(2).replace('"X"', '"GAIN"'))["outcome"] == "trial-failed"
    told = server.wait("trial.failed", mark)
    assert "golden/ones/in/GAIN.npy; if the input was called otherwise, rename its file so" in told["reason"]
    assert "replay" not in told["proof"]["fault"]
    (root.path / "k/golden/ones/in/X.npy").rename(root.path / "k/golden/ones/in/GAIN.npy")
    assert server.save("k/k.c", root.read("k/k.c") + "/* */\n")["outcome"] == "swapped"


def test_a_golden_case_of_a_stateful_deployment_starts_from_nothing(serve, root):
    golden(root, "k", "first", {"X": ONES[:1]}, {"Y": ONES[:1]})
    root.write("k/k.c", unary(
        "	devserve_state(call)->n++;\n	y[0] = devserve_state(call)->n;",
        "#include <devserve/ext/state.h>\nstruct counter { int64_t n; };\nDEVSERVE_STATE(struct counter, .version = 1)\n",
        ".extensions = { DEVSERVE_STATE_EXTENSION },"))
    server = serve("--gate", "replay")
    assert [server.infer("k", request(X=[1])).output()[0] for _ in range(3)] == [1, 2, 3]
    done = server.save("k/k.c", root.read("k/k.c") + "/* */\n")
    assert done["outcome"] == "swapped" and done["proof"]["golden"] == 1


# Weights


@pytest.fixture
def recorded(root, serve):
    """`one`, which answers 10 by its weights, and a golden case that says so."""
    root.write("one/one.c", SCALE)
    put(root, "one/model.safetensors", scale(10))
    server = serve("--gate", "replay")
    server.infer("one", x(1))
    assert devserve("record", "one", "--root", root.path).returncode == 0
    return server


def weigh(server, value, outcome="trial-failed"):
    """Save other weights; the golden case that was written may be a save of its own, which is unchanged."""
    mark = server.mark()
    put(server.root, "one/model.safetensors", scale(value))
    server.wait("save.done", mark, outcome=outcome)
    return server.seen("trial.failed", mark)[-1]["reason"] if outcome == "trial-failed" else None


def add_one(server):
    mark = server.mark()
    server.root.rename_over("one/one.c", SCALE.replace("w[0]", "w[0] + 1"))
    return server.wait("trial.failed", mark)["reason"]


def test_a_case_that_differs_says_so_where_it_was_recorded_with_other_weights(recorded, root):
    told = weigh(recorded, 20)
    assert '", which was recorded with other weights: Y[0] is 20 and was 10' in told, told
    ran = devserve("test", "--root", root.path)
    assert "# Y[0] is 20 and was 10; " in ran.stdout and "recorded with other weights than there are now" in ran.stdout, ran


def test_a_case_that_differs_with_its_own_weights_says_nothing_of_them(recorded, root):
    assert "weights" not in add_one(recorded)
    assert "weights" not in devserve("test", "--root", root.path).stdout


def test_a_case_that_was_accepted_names_the_weights_that_it_was_accepted_with(recorded, root):
    file = next((root.path / "one/golden").iterdir()) / "case.json"
    before = json.loads(file.read_text())
    weigh(recorded, 20)
    assert accept(recorded, "one")[1]["outcome"] == "swapped"
    after = json.loads(file.read_text())
    assert before["weights"] != after["weights"] and before["tolerance"] == after["tolerance"], (before, after)
    assert devserve("test", "--root", root.path).returncode == 0
    assert "weights" not in add_one(recorded)


def test_a_replay_whose_weights_have_gone_says_that(recorded, root):
    assert devserve("replay", "1", "--root", root.path).returncode == 0
    for value in (20, 30):
        assert devserve("replay", "1", "--root", root.path).returncode == 0
        weigh(recorded, value)
        assert accept(recorded, "one")[1]["outcome"] == "swapped"
    facts = json.loads(root.read(".devserve/cases/1/case.json"))
    while pathlib.Path(facts["weights"]).exists():
        pass  # they are removed a moment later
    for how in ([], ["--gdb"]):
        ran = devserve("replay", "1", "--root", root.path, *how)
        assert (ran.returncode, ran.stdout) == (1, "") and "the weights that it had aren't there any more" in ran.stderr, ran


# Commands


def devserve(*args, **options):
    return subprocess.run([BUILD / "devserve", *map(str, args)], capture_output=True, text=True, timeout=PATIENCE, **options)


def test_golden_cases_are_run_from_the_command_line_as_tap(root):
    golden(root, "k", "twice", {"X": ONES}, {"Y": 2 * ONES})
    golden(root, "k", "thrice", {"X": ONES}, {"Y": 3 * ONES})
    root.write("k/k.c", times(2))
    root.write("none/none.c", times(2))
    root.write("k/deployment.yaml", "gate: off\n")
    ran = devserve("test", "--root", root.path)
    assert ran.returncode == 4
    lines = ran.stdout.splitlines()
    assert lines[0] == "TAP version 13" and lines[-1] == "1..3"
    assert "ok - k: twice" in [line.replace(line.split()[1] + " - ", "- ") for line in lines if line.startswith("ok")]
    wrong = next(i for i, line in enumerate(lines) if line.startswith("not ok"))
    assert lines[wrong].endswith("k: thrice")
    assert lines[wrong + 1].startswith("# Y[0] is 2 and was 3")
    assert any(line.endswith("none: builds and loads # SKIP there are no golden cases") for line in lines)


def test_all_is_well_where_all_cases_are(root):
    golden(root, "k", "twice", {"X": ONES}, {"Y": 2 * ONES})
    golden(root, "other", "wrong", {"X": ONES}, {"Y": ONES})
    root.write("k/k.c", times(2))
    root.write("other/other.c", times(2))
    ran = devserve("test", "k", "--root", root.path)
    assert (ran.returncode, ran.stdout) == (0, "TAP version 13\nok 1 - k: twice\n1..1\n")
    assert devserve("test", "kk", "--root", root.path).returncode == 1


def test_a_case_that_kills_the_worker_is_told_apart_from_those_before(root):
    golden(root, "k", "1", {"X": ONES}, {"Y": 2 * ONES})
    golden(root, "k", "2", {"X": np.ones(7, np.float32)}, {"Y": np.ones(7, np.float32)})
    root.write("k/k.c", unary("	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];\n"
                              "	if (n == 7)\n		*(volatile int *)8 = 0;"))
    ran = devserve("test", "--root", root.path)
    assert ran.returncode == 4
    assert ran.stdout.splitlines()[1:] == ["ok 1 - k: 1", "not ok 2 - k: 2", "# the worker died before, or in it", "1..2"]


def test_what_does_not_build_is_a_test_that_fails(root):
    root.write("k/k.c", "no C at all\n")
    ran = devserve("test", "--root", root.path)
    assert ran.returncode == 4
    assert "not ok 1 - k: builds and loads" in ran.stdout


def test_lines_come_in_order_of_names(root):
    for name in ("d", "a", "c", "b"):
        root.write(f"{name}/{name}.c", times(2) if name != "a" else "#include <complex.h>\n" + times(2))
    lines = devserve("test", "--root", root.path).stdout.splitlines()
    assert [line.split()[3] for line in lines[1:-1]] == ["a:", "b:", "c:", "d:"], lines


def test_what_comes_to_no_end_is_no_plan(root):
    root.write("k/k.c", times(2))
    ran = devserve("test", "nope", "--root", root.path)
    assert ran.returncode == 1
    assert ran.stdout.splitlines() == ["TAP version 13", f"Bail out! there is no deployment 'nope' in {root.path}"]


def test_what_was_refused_is_accepted_on_the_command_line(serve, root):
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(2))
    server = serve("--gate", "replay")
    assert devserve("accept", "k", "--root", root.path).returncode == 1
    assert server.save("k/k.c", times(3))["outcome"] == "trial-failed"
    ran = devserve("accept", "k", "--root", root.path)
    assert (ran.returncode, ran.stdout) == (0, "k  gen 2  swapped\n"), ran
    assert np.load(root.path / "k/golden/ones/out/Y.npy").tolist() == [3, 3, 3]
    ran = devserve("accept", "nothing", "--root", root.path)
    assert ran.returncode == 1 and "nothing" in ran.stderr


def test_what_was_refused_can_be_run_again_on_what_refused_it(serve, root):
    golden(root, "k", "ones", {"X": ONES}, {"Y": 2 * ONES})
    root.write("k/k.c", times(2))
    server = serve("--gate", "replay")
    server.infer("k", request(X=[1, 2, 3]))
    for source, what in ((times(3), "golden"), (unary("	if (n == 3)\n		y[n - 1] = 0;\n	for (size_t i = 0; i < n; i++)\n"
                                                     "		y[i] = x[i] > 1 ? 9 : 2;"), "request")):
        assert server.save("k/k.c", source)["outcome"] == "trial-failed"
        fault = server.seen("trial.failed")[-1]["proof"]["fault"]
        assert what in fault
        ran = devserve("replay", fault["replay"], "--root", root.path, "--json")
        assert ran.returncode == 1, (ran.stdout, ran.stderr)
