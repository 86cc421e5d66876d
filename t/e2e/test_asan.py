# SPDX-License-Identifier: MIT
"""A deployment under AddressSanitizer: what it finds ends the call and is told, the next call is
served, and back again nothing is lost."""

import json
import os
import resource
import shutil

import pytest

import test_guards
from devserve import TREE, Client, devserve, x

SANITIZED = bool(os.environ.get("DEVSERVE_SANITIZE"))
COMPILERS = [("gcc", "g++", "libasan.so"), ("clang", "clang++", "libclang_rt.asan-x86_64.so")]


def toggle(server, name, *options):
    return devserve("asan", name, "--root", server.root.path, *options)


def entry(server, name):
    return next(d for d in server.status()["deployments"] if d["name"] == name)


def bad(act, extra=""):
    """Does `act` when it is asked with a negative number; else answers 7."""
    return f"""\
#include <stdlib.h>
#include <string.h>
#include <devserve/deployment.h>
{extra}
static int infer(const struct devserve_call *call)
{{
	int *x = (int *)call->in[0].data, *y = (int *)call->out[0].data;
	volatile int r = 0;

	if (*x < 0) {{
		{act}
	}}
	*y = 7 + 0 * r;
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.infer = infer,
)
"""


BLOCK = "int *h = (int *)malloc(40); memset(h, 0, 40);"
FOUND = {
    "heap-buffer-overflow": f"{BLOCK} h[9 - *x] = 1; r = h[0]; free(h);",
    "stack-buffer-overflow": "int s[4] = { 0 }; volatile int *p = s; p[3 - *x] = 1; r = s[0];",
    "global-buffer-overflow": "volatile int *p = table; r = p[3 - *x];",
    "heap-use-after-free": f"{BLOCK} free(h); r = h[1 + *x];",
    "double-free": "char *volatile h = (char *)malloc(40); free(h); free(h);",
    "stack-use-after-return": "r = *give();",
    "signed integer overflow": "r = 2147483647 - *x;",
    "shift exponent": "r = 1 << (31 - *x);",
}
NOTES = {  # message: text of its line; None: the same line
    "heap-buffer-overflow": {"allocated here": None},
    "heap-use-after-free": {"freed here": None, "allocated here": None},
    "double-free": {"freed here": None, "allocated here": None},
    "stack-buffer-overflow": {"'s' is declared here": None},
    "global-buffer-overflow": {"'table' is declared here": "int table[4];"},
    "stack-use-after-return": {"'local' is declared here": "int local = 3;"},
}
EXTRA = """
int table[4];
int *volatile given;
__attribute__((noinline)) static int *give(void) { int local = 3; given = &local; return given; }
"""


@pytest.fixture(params=COMPILERS, ids=["gcc", "clang"])
def compilers(request):
    cc, cxx, _ = request.param
    if not shutil.which(cc) or not shutil.which(cxx):
        pytest.skip(f"there is no {cc}")
    if SANITIZED and cc == "clang":
        pytest.skip("the worker has gcc's sanitizers already")
    return {"CC": cc, "CXX": cxx}


def line_of(root, file, text):
    return next(i for i, line in enumerate(root.read(file).splitlines(), 1) if text in line)


def check_report(root, report, kind, file):
    """It names the line, as a compiler would, and what the memory or the variable there is."""
    error, *notes = report["diagnostics"]
    path = str(root.path / file)
    assert (error["file"], error["line"]) == (path, line_of(root, file, FOUND[kind])), (kind, report)
    assert error["severity"] == "error" and kind in error["message"] and kind in report["what"], report
    told = {n["message"]: n["line"] for n in notes if n["file"] == path}
    wanted = {m: line_of(root, file, FOUND[kind] if text is None else text) for m, text in NOTES.get(kind, {}).items()}
    assert told == wanted, (kind, report)
    assert report["call"] == "X INT32[1]" and report["frames"][0]["line"] == error["line"], report
    assert "Shadow" not in report["text"] and report["text"].count("\n") > 3, report


@pytest.mark.parametrize("suffix", ["c", "cc"])
def test_what_it_finds_ends_the_call_and_the_next_one_is_served(root, serve, compilers, suffix):
    for i, act in enumerate(FOUND.values()):
        root.write(f"bad{i}.{suffix}", bad(act, EXTRA))
    server = serve(env=compilers)
    for i, kind in enumerate(FOUND):
        name = f"bad{i}"
        said = toggle(server, name)
        assert said.returncode == 0 and "under AddressSanitizer" in said.stdout, (kind, said)
        generation = entry(server, name)["generation"]
        assert server.infer(name, x(1)).value == 7
        for _ in range(2):
            mark = server.mark()
            answer = server.infer(name, x(-1))
            assert answer.status == 500 and kind in answer.json["error"], (kind, answer)
            assert "Sanitizer" in answer.json["error"] and answer.generation == generation, answer
            check_report(root, server.wait("sanitizer.report", mark, deployment=name), kind, f"{name}.{suffix}")
        assert server.infer(name, x(1)).value == 7, kind
        assert entry(server, name)["generation"] == generation, "nothing fell back"


TENSORS = {  # what is done, and what is said of it
    "r = ((volatile int *)x)[1];": "read 4 bytes, 0 bytes after the input X[1]",
    "r = ((volatile int *)x)[-1];": "read 4 bytes, 4 bytes before the input X[1]",
    "((volatile char *)y)[4] = 1;": "wrote 1 byte, 0 bytes after the output Y[1]",
    "if (kept) r = *kept; kept = x;": "read 4 bytes, 0 bytes inside of the input X of a call that has ended",
}


@pytest.mark.parametrize("act", TENSORS)
def test_a_tensor_is_named_whose_memory_ends_where_it_does(root, serve, compilers, act):
    root.write("one.c", bad(act, "static volatile int *kept;"))
    server = serve(env=compilers)
    assert toggle(server, "one").returncode == 0
    for _ in range(2 if "kept" in act else 1):
        answer = server.infer("one", x(-1))
    assert answer.status == 500 and TENSORS[act] in answer.json["error"], answer
    assert server.infer("one", x(1)).value == 7


def test_tensors_are_aligned_and_an_input_that_was_written_is_told(root, serve):
    root.write("one.c", bad("*x = -3;", "#include <stdint.h>").replace(
        "*y = 7", "if (((uintptr_t)x | (uintptr_t)y) % 64) return -1;\n\t*y = 7"))
    server = serve()
    assert toggle(server, "one").returncode == 0
    assert server.infer("one", x(1)).value == 7
    answer = server.infer("one", x(-1))
    assert answer.status == 500 and "wrote to its input X INT32[1]" in answer.json["error"], answer
    assert server.infer("one", x(1)).value == 7


FOUND_BEFORE = ("follows garbage", "divides by zero")  # by UndefinedBehaviorSanitizer


def test_crashes_are_told_as_they_are_without_it(root, serve):
    dies = {f"d{i}": how for i, (what, how) in enumerate(test_guards.DIES.items()) if what not in FOUND_BEFORE}
    for name, (act, extra, _, _) in dies.items():
        root.write(f"{name}.c", test_guards.bad(act, extra))
    root.write("slow/slow.c", bad("for (;;) usleep(1000);", "#include <unistd.h>"))
    root.write("slow/deployment.yaml", "request_timeout_s: 1\n")
    server = serve()
    for name, (act, _, _, sentence) in dies.items():
        assert toggle(server, name).returncode == 0, act
        answer = server.infer(name, x(-1))
        assert answer.status == 500 and sentence in answer.json["error"], (act, answer)
        assert server.infer(name, x(1)).value == 7, act
    assert toggle(server, "slow").returncode == 0
    assert server.infer("slow", x(-1)).status == 504
    assert server.infer("slow", x(1)).value == 7


@pytest.mark.parametrize("name", sorted(p.name for p in (TREE / "plugins").iterdir() if p.is_dir()))
def test_nothing_is_found_in_what_ships(root, serve, name):
    root.copy(name)
    server = serve()
    if entry(server, name)["state"] != "ready":
        pytest.skip("it needs what this machine hasn't got")
    said = toggle(server, name)
    if "GPU" in said.stderr:
        pytest.skip("a GPU is none of its business")
    assert said.returncode == 0, said
    metadata = server.client.call("GET", f"/v2/models/{name}").json
    answer = server.infer(name, request_for(metadata))
    assert answer.status < 500, answer
    assert server.seen("sanitizer.report") == [] and entry(server, name)["sanitized"]


def request_for(metadata):
    """One that it might take: ones, and text where it wants text."""
    def tensor(port):
        shape = [3 if n < 0 else n for n in port["shape"]]
        count = 1
        for n in shape:
            count *= n
        return {"name": port["name"], "datatype": port["datatype"], "shape": shape,
                "data": ["a word"] * count if port["datatype"] == "BYTES" else [1] * count}
    return {"inputs": [tensor(p) for p in metadata["inputs"]]}


def test_it_is_told_by_the_save_the_status_and_the_command(root, serve):
    root.write("one.c", bad(FOUND["heap-buffer-overflow"]))
    server = serve()
    mark = server.mark()
    said = toggle(server, "one", "--json")
    assert json.loads(said.stdout)["sanitized"] is True, said
    done = server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert done["sanitized"] and done["generation"] == 2 and done["from"] == 1, done
    assert server.wait("swap.done", mark, deployment="one")["sanitized"]
    assert entry(server, "one")["sanitized"]
    assert "under AddressSanitizer" in devserve("status", server.root.path).stdout
    mark = server.mark()
    assert "as it is built usually" in toggle(server, "one").stdout
    done = server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert "sanitized" not in done and done["generation"] == 3 and done["cached"], done
    assert "sanitized" not in entry(server, "one")
    assert "under AddressSanitizer" not in devserve("status", server.root.path).stdout


def test_both_images_are_kept_apart_so_that_neither_is_built_twice(root, serve):
    root.write("one.c", bad(FOUND["heap-buffer-overflow"]))
    server = serve()
    for turn in range(2):
        for status in (500, 200):
            mark = server.mark()
            assert toggle(server, "one").returncode == 0
            done = server.wait("save.done", mark)
            assert done.get("cached", False) == (turn > 0 or status == 200), done
            assert done.get("sanitized", False) == (status == 500), done
            assert server.infer("one", x(-1)).status == status


def test_where_it_could_not_serve_so_it_says_that_saves_stay_under_it(root, serve):
    root.write("one.c", bad(FOUND["heap-buffer-overflow"], "static int create(const struct devserve_host *h, void **i)\n"
                            "{ volatile char *p = malloc(8); (void)h, (void)i; int r = p[8] & 0; return r; }\n")
               .replace(".infer = infer", ".infer = infer, .create = create"))
    server = serve()
    said = toggle(server, "one")
    assert said.returncode == 1 and "saves are built for it until 'devserve asan one --off'" in said.stderr, said


def test_what_was_rolled_back_from_does_not_come_back_by_it(root, serve):
    root.write("one.c", bad(""))
    server = serve()
    assert server.save("one.c", bad("(void)0;"))["generation"] == 2
    assert devserve("rollback", "one", "--root", root.path).returncode == 0
    said = toggle(server, "one")
    assert said.returncode == 1 and "rolled back to" in said.stderr, said
    assert server.infer("one", x(1)).generation == 1 and "sanitized" not in entry(server, "one")


def test_saves_stay_under_it_until_it_ends(root, serve):
    root.write("one.c", bad(""))
    server = serve()
    assert toggle(server, "one", "--on").returncode == 0
    server.wait("save.done", sanitized=True)
    done = server.save("one.c", bad(FOUND["heap-buffer-overflow"]))
    assert done["sanitized"] and done["outcome"] == "swapped", done
    assert server.infer("one", x(-1)).status == 500
    assert server.infer("one", x(1)).value == 7
    assert toggle(server, "one", "--on").returncode == 0 and entry(server, "one")["sanitized"]
    assert toggle(server, "one", "--off").returncode == 0
    assert server.infer("one", x(-1)).value == 7


def test_what_clients_asked_before_is_enough_to_find_it(root, serve, compilers):
    root.write("one.c", bad("r = x[1];"))
    server = serve("--gate", "replay", env=compilers)
    assert server.infer("one", x(-1)).value == 7
    said = toggle(server, "one")
    found = "AddressSanitizer: heap-buffer-overflow: read 4 bytes, 0 bytes after the input X[1]"
    assert said.returncode == 1 and found in said.stderr, said
    report = server.wait("sanitizer.report", deployment="one")
    assert report["diagnostics"][0]["line"] == line_of(root, "one.c", "r = x[1];"), report
    server.wait("save.done", outcome="trial-failed")
    answer = server.infer("one", x(-1))
    assert (answer.value, answer.generation, answer.stale) == (7, 1, "trial-failed"), answer
    done = server.save("one.c", bad("r = x[0];"))
    assert done["outcome"] == "swapped" and done["sanitized"] and done["generation"] == 2, done
    assert server.infer("one", x(-1)).value == 7


def delta(n):
    return {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [n]}]}


def test_state_is_kept_there_after_a_report_and_back(root, serve):
    root.copy("counter")
    source = root.read("counter/counter.c")
    call = "static int infer(const struct devserve_call *call)\n{\n"
    assert call in source
    bug = """
	if (*(const int64_t *)call->in[0].data < 0) {
		char *volatile p = malloc(8);
		p[8] = 1;
	}
"""
    root.write("counter/counter.c", "#include <stdlib.h>\n" + source.replace(call, call + bug))
    server = serve()
    assert server.infer("counter", delta(5)).output("COUNT") == [5]
    assert toggle(server, "counter").returncode == 0
    assert server.infer("counter", delta(5)).output("COUNT") == [10]
    answer = server.infer("counter", delta(-1))
    assert answer.status == 500 and "heap-buffer-overflow" in answer.json["error"], answer
    assert server.infer("counter", delta(1)).output("COUNT") == [11]
    assert toggle(server, "counter").returncode == 0
    assert server.infer("counter", delta(0)).output("COUNT") == [11]


def test_a_rollback_goes_to_what_was_before_and_not_to_it(root, serve):
    root.copy("counter")
    server = serve("--gate", "replay")
    assert server.infer("counter", delta(1)).output("COUNT") == [1]
    assert toggle(server, "counter").returncode == 0
    assert server.infer("counter", delta(1)).output("COUNT") == [2]
    assert devserve("rollback", "counter", "--root", root.path).returncode == 0
    answer = server.infer("counter", delta(1))
    assert (answer.output("COUNT"), answer.generation) == ([3], 1) and "sanitized" not in entry(server, "counter")
    said = devserve("rollback", "counter", "2", "--root", root.path)
    assert said.returncode == 1 and "was under a sanitizer" in said.stderr, said
    told = devserve("history", "counter", "--root", root.path).stdout.splitlines()
    assert [("under a sanitizer" in line) for line in told[-2:]] == [False, True], told
    told = devserve("history", "counter", "--json", "--root", root.path).stdout.splitlines()
    assert ["-fsanitize=address" in json.loads(line)["flags"] for line in told[-2:]] == [False, True], told


def test_what_lies_behind_a_state_is_not_to_be_touched(root, serve):
    root.copy("counter")
    source = root.read("counter/counter.c")
    count = "\tcounter->count = *count;"
    assert count in source
    root.write("counter/counter.c", source.replace(count, "\tif (*delta < 0)\n\t\tcounter[1].count = 1;\n" + count))
    server = serve()
    assert toggle(server, "counter").returncode == 0
    assert server.infer("counter", delta(1)).output("COUNT") == [1]
    answer = server.infer("counter", delta(-1))
    assert answer.status == 500 and "wrote 8 bytes, behind the state, which has 8 bytes" in answer.json["error"], answer
    assert server.infer("counter", delta(1)).output("COUNT") == [2]


def test_a_restart_brings_back_what_is_built_usually(root, serve):
    root.write("one.c", bad(FOUND["heap-buffer-overflow"]))
    server = serve()
    assert toggle(server, "one").returncode == 0
    assert server.infer("one", x(1)).generation == 2
    server.stop()
    again = serve()
    answer = again.infer("one", x(-1))
    assert (answer.status, answer.value, answer.generation) == (200, 7, 1)
    assert again.save("one.c", bad("r = 1;"))["generation"] == 3


@pytest.mark.parametrize("cc,library", [(cc, library) for cc, _, library in COMPILERS])
def test_a_runtime_that_is_not_there_is_a_sentence_with_its_package(root, serve, tmp_path, cc, library):
    real = shutil.which(cc)
    if not real:
        pytest.skip(f"there is no {cc}")
    target = os.path.realpath(real)
    wrapper = tmp_path / os.path.basename(target)  # its name tells the version
    wrapper.write_text(f"""#!/bin/sh
case " $* " in
*" -print-file-name="*) echo {library} ;;
*" -shared-libasan "*"-###"* | *"-###"*" -shared-libasan "*) {real} "$@" 2>&1 | sed 's|/[^" ]*/{library}|/nowhere/{library}|' >&2 ;;
*) exec {real} "$@" ;;
esac
""")
    wrapper.chmod(0o755)
    root.write("one.c", bad(""))
    server = serve(env={"CC": str(wrapper)})
    said = toggle(server, "one")
    assert said.returncode == 4, said
    package = "libclang-rt-" if cc == "clang" else "libgcc-"
    assert "runtime library" in said.stderr and package in said.stderr and "-dev" in said.stderr, said
    assert server.infer("one", x(1)).stale is None
    server.wait("save.done", outcome="build-failed")
    done = server.save("one.c", bad("r = 1;"))
    assert done["outcome"] == "swapped" and "sanitized" not in done, done


def test_a_runtime_that_goes_leaves_a_save_served_without_it(root, serve, tmp_path):
    wrapper, gone = tmp_path / "cc", tmp_path / "gone"
    wrapper.write_text(f"""#!/bin/sh
[ -e {gone} ] && case " $* " in *" -print-file-name="*) echo libasan.so; exit ;; esac
exec gcc "$@"
""")
    wrapper.chmod(0o755)
    root.write("one.c", bad(""))
    server = serve(env={"CC": str(wrapper)})
    assert toggle(server, "one").returncode == 0
    server.wait("save.done", sanitized=True)
    gone.write_text("")
    mark = server.mark()
    root.rename_over("one.c", bad("r = 1;").replace("*y = 7", "*y = 8"))
    failed = server.wait("save.done", mark, outcome="build-failed")
    assert "runtime library" in failed["reason"], failed
    done = server.wait("save.done", mark, outcome="swapped")
    assert "sanitized" not in done and server.infer("one", x(1)).value == 8


@pytest.mark.skipif(SANITIZED, reason="the server's own sanitizer needs them, too")
def test_a_limit_on_addresses_is_named(root, serve):
    root.write("one.c", bad(""))
    server = serve()
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (64 << 30, resource.RLIM_INFINITY))
    said = toggle(server, "one")
    assert said.returncode == 1 and "ulimit -v" in said.stderr, said
    assert server.infer("one", x(1)).generation == 1


REPLICAS = "volatile int n = 0;\n#pragma omp parallel for\nfor (int i = 0; i < 9; i++) n += i;\nr = n; " \
    "if (*x < -1) {" + BLOCK + "r = h[8 - *x]; free(h); }"


def test_replicas_and_threads_get_along_with_it(root, serve):
    root.write("one/one.c", bad(REPLICAS))
    root.write("one/deployment.yaml", "num_replicas: 2\ncflags: [-fopenmp]\n")
    server = serve()
    assert toggle(server, "one").returncode == 0
    for _ in range(3):
        assert server.infer("one", x(-1)).value == 7
        answer = server.infer("one", x(-2))
        assert answer.status == 500 and "heap-buffer-overflow" in answer.json["error"], answer
    assert toggle(server, "one").returncode == 0 and server.infer("one", x(-2)).value == 7


def test_a_name_that_is_not_served_is_refused(root, serve):
    root.write("one.c", bad(""))
    server = serve()
    said = toggle(server, "two")
    assert said.returncode == 1 and "two" in said.stderr, said
    client = Client(server.url, server.run_json()["token"])
    assert client.call("POST", "/-/asan?deployment=one&on=perhaps").status == 400
    assert Client(server.url).call("POST", "/-/asan?deployment=one").status in (401, 403)
    assert TREE.exists() and "sanitized" not in entry(server, "one")
