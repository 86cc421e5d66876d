# SPDX-License-Identifier: MIT
"""A state outlives the code that works on it, the worker, and the server."""

import json
import os
import signal
import threading
import time

import pytest

from devserve import TREE, Root, devserve

COUNTER = (TREE / "plugins/counter/counter.c").read_text()


def source(struct="int64_t count;", version=1, extra="", before="", step="counter->count += *delta;",
           value="counter->count"):
    """A counter whose struct, version and step are at hand."""
    return f"""\
#include <devserve/ext/state.h>
{before}
struct counter {{
	{struct}
}};
{extra}
DEVSERVE_STATE(struct counter, .version = {version}{", .migrate = migrate" if "migrate(" in extra else ""})

static int infer(const struct devserve_call *call)
{{
	const int64_t *delta = call->in[0].data;
	struct counter *counter = devserve_state(call);

	{step}
	((int64_t *)call->out[0].data)[0] = {value};
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "DELTA", DEVSERVE_INT64, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "COUNT", DEVSERVE_INT64, {{ 1 }} }}),
	.infer = infer,
	.extensions = {{ DEVSERVE_STATE_EXTENSION }},
)
"""


MIGRATE = """
static int migrate(const void *old, uint64_t size, uint32_t version, void *ret)
{
	struct counter *new = ret;

	if (version != 1 || size != 8)
		return -22;
	new->count = *(const int64_t *)old;
	new->calls = 100;
	return 0;
}
"""


def delta(value):
    return {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [value]}]}


def add(server, value=1, name="counter"):
    answer = server.infer(name, delta(value))
    assert answer.status == 200, answer
    return answer.output("COUNT")[0]


def die(server, sig=signal.SIGKILL, name="counter"):
    """Kill the worker; another serves afterwards."""
    mark = server.mark()
    os.kill(server.worker_pids(name)[0], sig)
    server.wait("worker.died", mark, deployment=name)
    server.wait("worker.replaced", mark, deployment=name)


def test_the_count_goes_on_after_a_swap(root, serve):
    root.copy("counter")
    server = serve()
    assert [add(server, n) for n in (1, 5, -2)] == [1, 6, 4]
    for i in range(3):
        done = server.save("counter/counter.c", COUNTER + f"/* {i} */\nint version_{i};\n")
        assert done["outcome"] == "swapped", done
        assert add(server) == 5 + i


def test_what_a_state_cannot_hold_is_refused_by_the_plugin_and_changes_nothing(root, serve):
    root.copy("counter")
    server = serve()
    assert add(server, 2**62) == 2**62
    answer = server.infer("counter", delta(2**62))
    assert answer.status == 400 and "more than a count can be" in answer.json["error"]
    assert add(server, 0) == 2**62


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_the_count_goes_on_when_the_worker_is_killed(root, serve, sig):
    root.copy("counter")
    server = serve()
    for i in range(1, 6):
        assert add(server) == i
        die(server, sig)


def test_a_call_that_crashes_leaves_no_half_of_its_change(root, serve):
    crash = "counter->count += *delta; if (*delta < 0) *(volatile int *)0 = 1;"
    root.write("counter/counter.c", source(step=crash))
    server = serve()
    assert add(server, 7) == 7
    mark = server.mark()
    assert server.infer("counter", delta(-1)).status >= 500
    server.wait("worker.replaced", mark, deployment="counter")
    assert add(server, 1) == 8


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_the_count_goes_on_after_a_restart_of_devserve(root, serve, sig):
    root.copy("counter")
    for i in range(1, 4):
        server = serve()
        assert add(server) == i
        server.stop(sig)
        server.stop = lambda: 0  # whose exit status the fixture would look at


def test_nothing_that_was_told_is_lost_or_doubled_while_workers_die_and_swap(root, serve):
    root.copy("counter")
    server = serve()
    ended, wrong = threading.Event(), []
    told = unsure = 0  # what we heard last, and calls since that ended without a count

    def count():
        nonlocal told, unsure
        client = server.new_client()
        while not ended.is_set() and not wrong:
            answer = client.infer("counter", delta(1))
            if answer.status != 200:
                unsure += 1  # it may have counted, once
                continue
            value = answer.output("COUNT")[0]
            if not told < value <= told + 1 + unsure:
                wrong.append((told, unsure, value))
            told, unsure = value, 0

    thread = threading.Thread(target=count)
    thread.start()
    for i in range(12):
        if i % 3 == 2:
            done = server.save("counter/counter.c", COUNTER + f"\nint version_{i};\n")
            assert done["outcome"] == "swapped", done
        else:
            die(server)
    ended.set()
    thread.join()
    assert not wrong
    assert told > 12
    assert told <= add(server, 0) <= told + unsure


def test_nothing_is_lost_or_doubled_while_the_struct_changes_under_load_and_workers_die(root, serve):
    structs = ["int64_t count;", "double a; int64_t count; char b[30];", "char b[60]; float c[9]; int64_t count;"]
    root.write("counter/counter.c", source(structs[0]))
    server = serve()
    ended, wrong = threading.Event(), []
    told = unsure = 0  # what we heard last, and calls since that ended without a count

    def count():
        nonlocal told, unsure
        client = server.new_client()
        while not ended.is_set() and not wrong:
            answer = client.infer("counter", delta(1))
            if answer.status != 200:
                unsure += 1
                continue
            value = answer.output("COUNT")[0]
            if not told < value <= told + 1 + unsure:
                wrong.append((told, unsure, value))
            told, unsure = value, 0

    thread = threading.Thread(target=count)
    thread.start()
    for i in range(1, 13):
        done = server.save("counter/counter.c", source(structs[i % 3]))
        assert done["outcome"] == "swapped", done
        if i % 4 == 0:
            die(server)
    ended.set()
    thread.join()
    assert not wrong
    assert told > 12
    assert told <= add(server, 0) <= told + unsure


def test_each_replica_finds_the_members_of_its_own_state(root, serve):
    root.write("counter/counter.c", source("int32_t count;"))
    root.write("counter/deployment.yaml", "num_replicas: 2\n")
    server = serve()
    clients = [server.new_client() for _ in range(4)]

    def count(client):
        for _ in range(20):
            client.infer("counter", delta(1))

    def counts():
        shown = [show(root, "counter", "--replica", str(n), "--json") for n in range(2)]
        return [json.loads(one.stdout)["values"]["count"] if one.returncode == 0 else 0 for one in shown]

    def all_count():
        threads = [threading.Thread(target=count, args=(c,)) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for _ in range(50):
        all_count()
        if all(counts()):
            break
    before = counts()
    assert all(before)
    assert server.save("counter/counter.c", source("double other; int64_t count;"))["outcome"] == "swapped"
    all_count()
    after = counts()
    assert sum(after) == sum(before) + 80 and all(a >= b for a, b in zip(after, before)), (before, after)


def test_another_version_is_made_by_migrate(root, serve):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 7) == 7
    two = source("int64_t calls, count;", 2, MIGRATE, step="counter->count += *delta; counter->calls++;",
                 value="counter->count * 1000 + counter->calls")
    done = server.save("counter/counter.c", two)
    assert done["outcome"] == "swapped", done
    assert add(server, 1) == 8101
    die(server)
    assert add(server, 1) == 9102
    server.stop()
    assert add(serve(), 1) == 10103


def test_another_version_without_migrate_is_refused_with_a_sentence(root, serve):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 7) == 7
    done = server.save("counter/counter.c", source("int64_t calls, count;", 2))
    assert done["outcome"] == "refused", done
    assert "8 bytes, version 1, and this image's has 16 bytes, version 2; write a .migrate" in done["reason"]
    assert add(server, 1) == 8


def test_members_are_found_by_name_when_the_struct_changes_and_after_a_restart(root, serve):
    root.write("counter/counter.c", source("int32_t count; int16_t old;", step="counter->count += *delta; counter->old = 1;"))
    server = serve()
    assert add(server, -7) == -7
    mark = server.mark()
    done = server.save("counter/counter.c", source("int8_t other[3]; int64_t count; double calls;"))
    assert done["outcome"] == "swapped", done
    notice = server.wait("notice", mark, deployment="counter")
    assert ("copied by name: counter.other[], counter.calls are new and zero; counter.old is gone, "
            "with what was in it") in notice["reason"], notice
    assert add(server, 1) == -6
    die(server)
    assert add(server, 1) == -5
    server.stop()
    root.write("counter/counter.c", source("double calls; int64_t since_restart, count;"))
    server = serve()
    assert add(server, 1) == -4


def test_a_swap_before_the_first_call_finds_the_members_of_the_struct_that_the_last_call_left(root, serve):
    root.write("counter/counter.c", source("int32_t count; float more;"))
    server = serve()
    assert add(server, 7) == 7
    for struct in ("double more; int32_t count;", "int32_t fresh; int64_t count; double more;"):
        done = server.save("counter/counter.c", source(struct))
        assert done["outcome"] == "swapped", done
    die(server)  # its checkpoint is of the first struct
    assert add(server, 1) == 8


def test_a_killed_server_finds_the_members_of_the_struct_that_the_last_call_left(root, serve):
    root.write("counter/counter.c", source("int32_t count; float more;"))
    server = serve()
    assert add(server, 7) == 7
    assert server.save("counter/counter.c", source("double more; int64_t count;"))["outcome"] == "swapped"
    server.stop(signal.SIGKILL)
    server.stop = lambda: 0  # whose exit status the fixture would look at
    server = serve()
    assert add(server, 1) == 8


def test_a_save_is_judged_by_the_struct_that_serves_when_its_turn_comes(root, serve, tmp_path):
    tried, go = tmp_path / "tried", tmp_path / "go"
    wait = f"""
#include <fcntl.h>
#include <unistd.h>
static int create(const struct devserve_host *host, void **self)
{{
	(void)host, (void)self;
	if (access("{tried}", F_OK) != 0)
		return close(open("{tried}", O_CREAT | O_WRONLY, 0600));
	while (access("{go}", F_OK) != 0)
		usleep(1000);
	return 0;
}}
"""
    root.write("counter/counter.c", source("int32_t count;"))
    server = serve()
    assert add(server, 7) == 7
    mark = server.mark()
    wide = source("int64_t count;", extra=wait).replace(".infer = infer,", ".infer = infer, .create = create,")
    root.rename_over("counter/counter.c", wide)
    deadline = time.monotonic() + 60
    while not tried.exists():  # then it loads beside what serves
        assert time.monotonic() < deadline
        time.sleep(0.01)
    root.rename_over("counter/counter.c", source("int32_t count; int32_t more;", before="#warning built"))
    server.wait("build.warned", mark, deployment="counter", build=3)  # and is about to wait for its turn
    go.write_text("")
    done = [server.wait("save.done", mark, deployment="counter", build=n) for n in (2, 3)]
    assert [d["outcome"] for d in done] == ["swapped", "refused"], done
    assert "counter.count narrows from int64_t to int32_t" in done[1]["reason"]
    assert add(server, 1) == 8


@pytest.mark.parametrize("struct, said", [
    ("int32_t count;", "counter.count narrows from int64_t to int32_t"),
    ("double count;", "counter.count changes from int64_t to double"),
    ("struct { int64_t now; } count;", "counter.count (int64_t) has become counter.count.now (int64_t)"),
])
def test_what_could_lose_a_value_is_refused_and_the_member_named(root, serve, struct, said):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 3) == 3
    done = server.save("counter/counter.c", source(struct, step="", value="0"))
    assert done["outcome"] == "refused" and said in done["reason"], done
    assert add(server, 1) == 4


def test_migrate_from_finds_what_could_be_copied_and_where_the_rest_was(root, serve):
    root.write("counter/counter.c", source("int64_t count; int32_t seconds[2];", step="counter->count += *delta; "
                                           "counter->seconds[1] = 5;"))
    server = serve()
    assert add(server, 7) == 7
    migrate_from = """
static int migrate_from(const void *old, const struct devserve_state_layout *layout, void *ret)
{
	const struct devserve_state_member *m = devserve_state_member(layout, "seconds[]");
	struct counter *new = ret;

	if (!m || m->kind != DEVSERVE_STATE_SIGNED || m->size != 4 || m->n_extents != 1 || m->extents[0] != 2 ||
	    layout->version != 1 || layout->size != 16 || layout->n_members != 2 ||
	    devserve_state_member(layout, "seconds"))
		return -22;
	new->milliseconds = 1000 * *(const int32_t *)((const char *)old + m->offset + m->strides[0]);
	return 0;
}
"""
    two = source("int64_t milliseconds, count;", 2, migrate_from, value="counter->count * 10000 + counter->milliseconds")
    two = two.replace(".version = 2", ".version = 2, .migrate_from = migrate_from")
    done = server.save("counter/counter.c", two)
    assert done["outcome"] == "swapped", done
    assert add(server, 1) == 85000
    die(server)
    assert add(server, 1) == 95000


def test_a_migrate_that_fails_is_refused_in_the_trial(root, serve):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 7) == 7
    wrong = MIGRATE.replace("version != 1", "version != 5")
    done = server.save("counter/counter.c", source("int64_t calls, count;", 2, wrong))
    assert done["outcome"] == "trial-failed" and "migrate() from version 1 returned -22" in done["reason"], done
    assert add(server, 1) == 8
    crash = MIGRATE.replace("return -22;", "return -22;\n*(volatile int *)0 = 1;")
    done = server.save("counter/counter.c", source("int64_t calls, count;", 2, crash))
    assert done["outcome"] == "trial-failed", done
    assert add(server, 1) == 9


def test_another_version_while_devserve_was_away_is_refused_with_a_sentence(root, serve):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 7) == 7
    server.stop()
    root.write("counter/counter.c", source("int64_t calls, count;", 2))
    server = serve(ready=False)
    done = server.wait("save.done", deployment="counter")
    assert done["outcome"] != "swapped" and "write a .migrate" in done["reason"], done
    done = server.save("counter/counter.c", source())
    assert done["outcome"] == "swapped" and add(server, 1) == 8


@pytest.mark.parametrize("struct, before, said", [
    ("int64_t count;\n\tconst char *name;", "", "counter.name (const char *), counter.c:5"),
    ("int64_t count;\n\tstruct { int a; struct node *nodes[4]; } list;", "struct node;",
     "counter.list.nodes[] (node *), counter.c:5"),
    ("int64_t count;\n\tcallback then;", "typedef void (*callback)(int);", "counter.then (function *), counter.c:5"),
])
def test_a_state_with_a_pointer_is_refused_and_the_member_named(root, serve, struct, before, said):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 3) == 3
    done = server.save("counter/counter.c", source(struct, 2, before=before))
    assert done["outcome"] == "trial-failed", done
    assert "the state holds a pointer" in done["reason"] and said in done["reason"], done
    assert server.seen("trial.failed", deployment="counter")
    assert add(server, 1) == 4


def test_what_has_insides_does_not_compile_as_a_state_in_cpp(root, serve):
    server = serve()
    done = server.save("text/text.cc", "#include <string>\n#include <devserve/ext/state.h>\n"
                       "struct text { std::string s; };\nDEVSERVE_STATE(text, .version = 1)\n", how=Root.write)
    assert done["outcome"] == "build-failed" and "a state must be bytes" in done["reason"], done


def test_a_check_refuses_an_image_before_it_serves(root, serve):
    checked = """
#include <devserve/ext/check.h>
static int check(const struct devserve_host *host, void *self)
{
	(void)self;
	devserve_log(host, DEVSERVE_ERROR, "two and two is %d", 2 + WRONG);
	return WRONG - 2;
}
DEVSERVE_CHECK(check)
"""
    plain = source(extra=checked).replace("_STATE_EXTENSION }", "_STATE_EXTENSION, DEVSERVE_CHECK_EXTENSION }")
    root.write("counter/counter.c", "#define WRONG 2\n" + plain)
    server = serve()
    assert add(server, 3) == 3
    done = server.save("counter/counter.c", "#define WRONG 3\n" + plain)
    assert done["outcome"] == "trial-failed" and "two and two is 5" in done["reason"], done
    assert add(server, 1) == 4


def test_a_large_state_survives_and_is_whole(root, serve):
    size = 4 << 20
    step = f"for (int i = 0; i < {size // 8}; i++) counter->count[i] += *delta;"
    root.write("counter/counter.c", source(f"int64_t count[{size // 8}];", step=step, value=f"counter->count[{size // 8 - 1}]"))
    server = serve()
    assert add(server) == 1
    server.stop()
    server = serve()
    assert add(server) == 2


def test_a_checkpoint_that_is_not_ours_is_put_aside_and_said(root, serve):
    root.copy("counter")
    server = serve()
    assert add(server, 5) == 5
    server.stop()
    file = root.path / ".devserve/state/counter/0"
    assert file.exists()
    file.write_bytes(b"garbage" * 1000)
    server = serve()
    assert add(server, 1) == 1
    assert file.with_name("0.ignored").read_bytes().startswith(b"garbage")


LAYOUT_SIZE = 32  # where a checkpoint says how long the layout behind its slots is


@pytest.mark.parametrize("damage", [
    lambda file: file[:LAYOUT_SIZE] + bytes(8) + file[LAYOUT_SIZE + 8:],     # an older devserve's, without a layout
    lambda file: file[:LAYOUT_SIZE] + b"\377" * 8 + file[LAYOUT_SIZE + 8:],
    lambda file: file.replace(b"state 1 ", b"state 9 "),
    lambda file: file.replace(b"i 64 0", b"i 64 9"),
    lambda file: file[:-5],
], ids=["none", "endless", "another format", "a member out of bounds", "cut short"])
def test_a_checkpoint_whose_layout_is_of_no_use_is_taken_by_size_and_version(root, serve, damage):
    root.write("counter/counter.c", source("int64_t count;"))
    server = serve()
    assert add(server, 5) == 5
    server.stop()
    file = root.path / ".devserve/state/counter/0"
    file.write_bytes(damage(file.read_bytes()))
    server = serve()
    assert add(server, 1) == 6
    server.stop()
    file.write_bytes(damage(file.read_bytes()))
    root.write("counter/counter.c", source("int64_t count, other;"))
    server = serve(ready=False)
    done = server.wait("save.done", deployment="counter")
    assert done["outcome"] != "swapped" and "without debug information of both (-g)" in done["reason"], done
    done = server.save("counter/counter.c", source("int64_t count;"))
    assert done["outcome"] == "swapped" and add(server, 1) == 7


def test_each_replica_has_a_state_of_its_own(root, serve):
    root.copy("counter")
    root.write("counter/deployment.yaml", "num_replicas: 2\n")
    server = serve()
    clients = [server.new_client() for _ in range(4)]
    counts = []

    def count(client):
        for _ in range(20):
            counts.append(client.infer("counter", delta(1)).output("COUNT")[0])

    for _ in range(50):
        threads = [threading.Thread(target=count, args=(c,)) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if counts.count(1) == 2:
            break
    # Two counters, each without a gap: what one of them lacks of all calls the other has.
    most = max(counts)
    assert counts.count(1) == 2 and sorted(counts) == sorted([*range(1, most + 1), *range(1, len(counts) - most + 1)])


def test_without_debug_information_it_is_said_and_the_state_is_kept_all_the_same(root, serve):
    root.copy("counter")
    root.write("counter/deployment.yaml", "cflags: [-g0]\n")
    server = serve()
    notice = server.wait("notice", deployment="counter")
    assert "whether the state holds pointers can't be told" in notice["reason"], notice
    assert add(server) == 1
    die(server)
    assert add(server) == 2


def test_no_generation_comes_back_that_does_not_know_the_state_there_is(root, serve):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server) == 1
    done = server.save("counter/counter.c", source("int64_t count, calls;", 2, MIGRATE))
    assert done["outcome"] == "swapped", done
    assert add(server) == 2
    mark = server.mark()
    for _ in range(4):
        die(server, signal.SIGSEGV)
    answer = server.infer("counter", delta(1))
    assert (answer.output("COUNT")[0], answer.generation) == (3, 2), answer
    assert not server.seen("deployment.fell-back", mark)


def test_what_a_removed_member_held_is_kept_beside_and_can_be_had_again(root, serve):
    root.write("counter/counter.c", source("int64_t count;"))
    server = serve()
    assert add(server, 7) == 7
    assert "has not changed" in show(root, "counter", "--before").stderr
    renamed = source("int64_t number;", step="counter->number += *delta;", value="counter->number")
    assert server.save("counter/counter.c", renamed)["outcome"] == "swapped"
    assert add(server, 1) == 1
    assert json.loads(show(root, "counter", "--before", "--json").stdout)["values"] == {"count": 7}
    assert json.loads(show(root, "counter", "--json").stdout)["values"] == {"number": 1}
    server.stop()
    kept = root.path / ".devserve/state/counter"
    (kept / "0.before").rename(kept / "0")
    migrate_from = """
static int migrate_from(const void *old, const struct devserve_state_layout *layout, void *ret)
{
	const struct devserve_state_member *m = devserve_state_member(layout, "count");

	if (m)
		((struct counter *)ret)->number = *(const int64_t *)((const char *)old + m->offset);
	return 0;
}
"""
    root.write("counter/counter.c", renamed.replace("DEVSERVE_STATE(", migrate_from + "DEVSERVE_STATE(")
               .replace(".version = 1", ".version = 2, .migrate_from = migrate_from"))
    assert add(serve(), 1) == 8


def test_what_a_removed_member_held_is_back_with_the_struct_that_had_it(root, serve):
    root.write("counter/counter.c", source("int64_t count; int64_t flags : 3;", step="counter->count += *delta; counter->flags = 2;"))
    server = serve()
    assert add(server, 7) == 7
    renamed = source("int64_t number; int64_t flags : 3;", step="counter->number += *delta; counter->flags = 1;",
                     value="counter->number")
    assert server.save("counter/counter.c", renamed)["outcome"] == "swapped"
    assert add(server, 5) == 5
    mark = server.mark()
    assert devserve("rollback", "counter", "--root", str(root.path)).returncode == 0
    assert "counter.count is back, as before the struct had changed" in server.wait("notice", mark)["reason"]
    assert json.loads(show(root, "counter", "--before", "--json").stdout)["values"] == {"number": 5, "flags": 1}
    assert add(server, 1) == 8
    assert server.save("counter/counter.c", renamed + "\n")["outcome"] == "swapped"
    assert json.loads(show(root, "counter", "--before", "--json").stdout)["values"] == {"count": 8, "flags": 2}
    assert add(server, 1) == 6


def test_a_large_state_is_copied_as_the_last_call_left_it(root, serve):
    size = 4 << 20
    fill = "for (int i = 0; i < N; i++) counter->count[i] += *delta;".replace("N", str(size // 8))
    last = f"counter->count[{size // 8 - 1}]"
    root.write("counter/counter.c", source(f"int64_t count[{size // 8}];", step=fill, value=last))
    server = serve()
    assert add(server, 3) == 3
    done = server.save("counter/counter.c", source(f"double more[100]; int64_t count[{size // 8 + 10}]; char end;",
                                                   step=fill, value=last))
    assert done["outcome"] == "swapped", done
    assert add(server, 1) == 4
    server.stop()
    assert add(serve(), 1) == 5


@pytest.mark.parametrize("struct, step, said, what", [
    ("int64_t count; uintptr_t then[2];", "counter->then[1] = (uintptr_t)infer;", "counter.then[] (uintptr_t)",
     "the address of infer()"),
    ("int64_t count; char bytes[20];",
     'const char *text = "a text"; __builtin_memcpy(counter->bytes + 8, &text, sizeof(text));', "counter.bytes[] (char)",
     'the address of "a text"'),
    ("int64_t count; union { double d; uint64_t n; } any;", "counter->any.n = (uintptr_t)&devserve_entry;",
     "counter.any (union)", "the address of devserve_entry"),
    ("int64_t count; uintptr_t odd;", "counter->odd = (uintptr_t)&devserve_entry + sizeof(devserve_entry);",
     "counter.odd (uintptr_t)", "an address"),
])
def test_an_address_in_the_image_that_goes_is_found_and_its_member_named(root, serve, struct, step, said, what):
    before = "static int infer(const struct devserve_call *); extern const struct devserve_deployment devserve_entry;"
    root.write("counter/counter.c", source(struct, before=before, step="counter->count++; " + step))
    server = serve()
    assert add(server) == 1
    text = source(struct, before=before, step="counter->count++;")
    done = server.save("counter/counter.c", text)
    assert done["outcome"] == "trial-failed", done
    assert f"{said} holds {what} in the image of generation 1, which goes with the swap" in done["reason"], done
    assert add(server) == 2
    mark = server.mark()
    die(server)
    line = server.wait("log", mark, deployment="counter", level="warning")["text"]
    assert f"{said} holds an address in the image of generation 1, which went with the worker" in line
    done = server.save("counter/counter.c", text.replace(struct.partition(";")[2], " char other;"))
    assert done["outcome"] == "swapped", done  # what isn't kept does no harm
    assert add(server) == 3


def test_numbers_that_look_like_addresses_of_something_else_do_no_harm(root, serve):
    struct = "int64_t count; int32_t pairs[64]; double d; uint64_t other;"
    step = """counter->count++; counter->other = (uintptr_t)counter;
	for (int i = 0; i < 64; i += 2) { uint64_t word = (uintptr_t)infer + i; __builtin_memcpy(counter->pairs + i, &word, 8); }"""
    root.write("counter/counter.c", source(struct, before="static int infer(const struct devserve_call *);", step=step))
    server = serve()
    assert add(server) == 1
    done = server.save("counter/counter.c", source(struct))
    assert done["outcome"] == "swapped", done
    assert add(server) == 2


def test_the_generation_before_finds_the_members_again_when_the_one_after_crashes_or_is_rolled_back(root, serve):
    root.write("counter/counter.c", source("int64_t count; int32_t old;"))
    server = serve()
    assert add(server, 7) == 7
    done = server.save("counter/counter.c", source("float fresh; int32_t old; int64_t count;"))
    assert done["outcome"] == "swapped", done
    assert add(server, 1) == 8
    mark = server.mark()
    back = devserve("rollback", "counter", "--root", str(root.path))
    assert back.returncode == 0, back
    assert "copied by name: counter.fresh is gone" in server.wait("notice", mark, deployment="counter")["reason"]
    assert add(server, 1) == 9
    done = server.save("counter/counter.c", source("double fresh; int64_t count, other;"))
    assert done["outcome"] == "swapped", done
    mark = server.mark()
    for _ in range(4):
        if server.seen("deployment.fell-back", mark):
            break
        die(server, signal.SIGSEGV)
    answer = server.infer("counter", delta(1))
    assert (answer.output("COUNT")[0], answer.generation) == (10, 1), answer


BEYOND = "counter->count++; ((volatile int64_t *)counter)[1 << 20] = 1;"


def test_the_generation_before_serves_again_where_each_call_of_the_one_after_writes_far_beyond_its_state(root, serve):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 7) == 7
    done = server.save("counter/counter.c", source(step=f"if (*delta == 5) {{ {BEYOND} }} else counter->count += *delta;"))
    assert done["outcome"] == "swapped", done
    mark = server.mark()
    assert [server.infer("counter", delta(5)).status for _ in range(3)] == [500] * 3
    assert server.wait("deployment.fell-back", mark, deployment="counter")["generation"] == 1
    assert add(server, 1) == 8
    waited = devserve("wait", "counter", "--root", str(root.path))
    assert waited.returncode == 1 and "crashed: generation 2 was killed by signal 11" in waited.stderr, waited


def test_status_and_wait_say_that_every_worker_dies_where_there_is_nothing_to_fall_back_to(root, serve):
    root.write("counter/counter.c", source(step=f"if (*delta == 5) {{ {BEYOND} }} else counter->count += *delta;"))
    server = serve()
    assert server.status()["deployments"][0]["state"] == "ready"
    assert [server.infer("counter", delta(5)).status for _ in range(3)] == [500] * 3
    assert server.status()["deployments"][0]["state"] == "crashing"
    waited = devserve("wait", "counter", "--root", str(root.path))
    assert waited.returncode == 1 and "each worker has died several times in a row" in waited.stderr, waited
    assert add(server, 1) == 1
    assert server.status()["deployments"][0]["state"] == "ready"
    assert devserve("wait", "counter", "--root", str(root.path)).returncode == 0


def test_no_generation_comes_back_into_which_the_state_would_not_fit(root, serve):
    root.write("counter/counter.c", source("int32_t count;"))
    server = serve()
    assert add(server) == 1
    done = server.save("counter/counter.c", source("int64_t count;"))
    assert done["outcome"] == "swapped", done
    back = devserve("rollback", "counter", "--root", str(root.path))
    assert back.returncode == 1 and "counter.count narrows from int64_t to int32_t" in back.stderr, back
    assert add(server, 2**40) == 2**40 + 1


def test_a_shadow_of_another_struct_has_a_copy_of_its_own_or_is_refused(root, serve):
    root.write("counter/counter.c", source("int32_t count;"))
    server = serve()
    assert add(server, 7) == 7
    assert server.save("counter/counter.c", source("double more; int64_t count;"))["outcome"] == "swapped"
    assert add(server, 1) == 8
    beside = devserve("shadow", "counter", "1", "--root", str(root.path))
    assert beside.returncode == 1 and "counter.count narrows from int64_t to int32_t" in beside.stderr, beside
    assert server.save("counter/counter.c", source("int64_t count; char other;"))["outcome"] == "swapped"
    assert add(server, 1) == 9
    beside = devserve("shadow", "counter", "2", "--root", str(root.path))
    assert beside.returncode == 0, beside
    assert [add(server, 1) for _ in range(3)] == [10, 11, 12]
    assert json.loads(show(root, "counter", "--json").stdout)["values"] == {"count": 12, "other": 0}


def test_a_worker_says_that_it_found_the_state_of_another_struct(root, serve):
    root.write("counter/counter.c", source("int32_t count;"))
    server = serve()
    assert add(server, 5) == 5
    server.stop()
    root.write("counter/counter.c", source("char other; int64_t count;"))
    server = serve()
    line = server.wait("log", deployment="counter", level="info")["text"]
    assert line == "the state's members were copied by name from the checkpoint of generation 1"
    assert add(server, 1) == 6


def test_without_debug_information_a_state_whose_layout_was_known_is_kept_by_its_size_and_that_is_said(root, serve):
    root.write("counter/counter.c", source("int32_t a; int32_t count;"))
    server = serve()
    assert add(server, 5) == 5
    mark = server.mark()
    root.write("counter/deployment.yaml", "cflags: [-g0]\n")
    assert server.wait("save.done", mark, deployment="counter")["outcome"] == "swapped"
    assert any("nobody looked at its members" in e["reason"] for e in server.seen("notice", mark))
    assert add(server) == 6
    done = server.save("counter/counter.c", source("int64_t count;\n\tint64_t b;"))
    assert done["outcome"] == "refused" and "without debug information of both (-g)" in done["reason"], done


@pytest.mark.parametrize("way", ["with -g first", "by migrate"])
def test_what_a_refusal_without_debug_information_advises_works(root, serve, way):
    root.write("counter/counter.c", source())
    root.write("counter/deployment.yaml", "cflags: [-g0]\n")
    server = serve()
    assert add(server, 7) == 7
    larger = "int64_t calls, count;"
    reason = server.save("counter/counter.c", source(larger))["reason"]
    assert "save the struct once more as it was, compiled with -g, ask it once, and change it then, or write .version = 2 and a .migrate" in reason
    if way == "by migrate":
        done = server.save("counter/counter.c", source(larger, 2, MIGRATE))
    else:
        server.save("counter/counter.c", source())
        mark = server.mark()
        root.write("counter/deployment.yaml", "cflags: [-g]\n")
        server.wait("save.done", mark, deployment="counter", outcome="swapped")
        assert add(server, 0) == 7
        done = server.save("counter/counter.c", source(larger))
    assert done["outcome"] == "swapped" and add(server, 1) == 8, done


def show(root, *args):
    return devserve("state", *args, "--root", str(root.path))


def test_a_state_is_shown_by_the_names_of_its_struct_with_and_without_a_server(root, serve):
    root.write("counter/counter.c", source("int64_t count; char name[8]; float history[20]; enum mode mode;",
                                           before="enum mode { IDLE, BUSY };", step='counter->count += *delta; '
                                           '__builtin_strcpy(counter->name, "a, \\"b"); counter->history[1] = 0.5f; '
                                           'counter->mode = BUSY;'))
    server = serve()
    assert show(root, "counter").returncode == 1
    assert "counter keeps no state, or no call has ended yet" in show(root, "counter").stderr
    assert add(server, 7) == 7
    shown = show(root, "counter")
    assert shown.returncode == 0 and not shown.stderr, shown
    assert shown.stdout.splitlines() == [
        "counter  gen 1  104 bytes, version 1", "",
        "count      int64_t    7", 'name[]     char[8]    "a, \\"b"',
        "history[]  float[20]  [0, 0.5, 0, 0, 0, 0, 0, 0] …", 'mode       mode       "BUSY"']
    server.stop()
    told = json.loads(show(root, "counter", "--json").stdout)
    assert told["values"] == {"count": 7, "name": 'a, "b', "history": [0, 0.5] + [0] * 18, "mode": "BUSY"}
    assert (told["size"], told["version"], told["known"], told["type"]) == (104, 1, True, "counter")
    assert told["members"][2] == {"name": "history", "type": "float", "offset": 16, "size": 4, "extents": [20]}
    assert "[0, 0.5] …" in show(root, "counter", "--elements", "2").stdout


def test_a_state_that_the_generation_before_left_says_so(root, serve):
    root.write("counter/counter.c", source())
    server = serve()
    assert add(server, 7) == 7
    server.save("counter/counter.c", source("int64_t count, more;", step="counter->count += *delta; counter->more = 2;"))
    note = "generation 2 has come to serve since, and no call has ended on it: this is what was left to it"
    for _ in "with a server", "without one":
        shown = show(root, "counter")
        assert shown.stdout.splitlines() == ["counter  gen 1  8 bytes, version 1", note, "", "count  int64_t  7"], shown
        told = json.loads(show(root, "counter", "--json").stdout)
        assert (told["generation"], told["serving"], told["values"]) == (1, 2, {"count": 7})
        server.stop()
    server = serve()
    assert add(server, 1) == 8
    assert "has come to serve" not in show(root, "counter").stdout + show(root, "counter", "--before").stdout
    assert devserve("rollback", "counter", "--root", str(root.path)).returncode == 0
    assert "generation 1 has come to serve since" in show(root, "counter").stdout


def test_a_large_state_that_another_generation_has_changed_since_its_checkpoint_is_not_told_to_be_whole(root, serve):
    root.write("counter/deployment.yaml", "state:\n  checkpoint_ms: 60000\n")
    large = "int64_t count; char room[200000];"
    root.write("counter/counter.c", source(large))
    server = serve()
    assert add(server, 7) == 7
    server.save("counter/counter.c", source(large, step="counter->count += *delta; counter->room[0] = 1;"))
    assert (add(server, 1), add(server, 1)) == (8, 9)
    shown = show(root, "counter").stdout
    assert "\nas of the last checkpoint, of generation 1; generation 2 has come to serve since\n" in shown, shown
    assert "no call has ended" not in shown, shown


def test_the_state_of_another_replica_and_of_none_is_asked_for_with_a_sentence(root, serve):
    root.copy("counter")
    server = serve()
    assert add(server, 7) == 7
    assert "no replica 1 that kept a state" in show(root, "counter", "--replica", "1").stderr
    assert "did you mean 'counter'?" in show(root, "counte").stderr
    assert show(root, "../counter").returncode == 1


def test_a_state_without_debug_information_is_shown_by_its_size(root, serve):
    root.copy("counter")
    root.write("counter/deployment.yaml", "cflags: [-g0]\n")
    server = serve()
    assert add(server) == 1
    assert "8 bytes, version 1" in show(root, "counter").stdout and "compiled without -g" in show(root, "counter").stdout
    assert json.loads(show(root, "counter", "--json").stdout)["known"] is False


def test_a_state_that_changes_with_every_call_is_shown_whole(root, serve):
    step = "for (int i = 0; i < 512; i++) counter->count[i]++;"
    root.write("counter/counter.c", source("int64_t count[512];", step=step, value="counter->count[511]"))
    server = serve()
    ended = threading.Event()

    def count():
        client = server.new_client()
        while not ended.is_set():
            client.infer("counter", delta(1))

    assert add(server)
    thread = threading.Thread(target=count)
    thread.start()
    try:
        for _ in range(20):
            shown = show(root, "counter", "--json")
            assert shown.returncode == 0, shown
            assert len(set(json.loads(shown.stdout)["values"]["count"])) == 1
    finally:
        ended.set()
        thread.join()
