# SPDX-License-Identifier: MIT
"""Changes of a state's struct, and what becomes of what was in it: each in C and in C++."""

import dataclasses
import json

import pytest

from devserve import Root, Server, devserve

KEPT, COPIED, MIGRATED, REFUSED = "kept", "copied", "migrated", "refused"


@dataclasses.dataclass
class Change:
    name: str
    before: str            # the struct's members,
    fill: str              # what is written to them by the first call,
    after: str             # and what they become
    outcome: str = COPIED
    values: dict = dataclasses.field(default_factory=dict)  # members afterwards, or before where it is refused
    said: str = ""         # in the notice, or the reason
    before_it: str = ""    # before the struct, of both; or
    before_after: str = None  # … of the second
    migrate: str = ""      # body of the second's migrate_from(): `old`, `layout`, `s`
    version: int = 1       # of the second
    only: str = ""         # "c", "cc"


IN = "struct in { int32_t a; float f; };"
MODE = "enum mode { IDLE, BUSY };"

CHANGES = [
    Change("nothing", "int64_t n;", "s->n = 7;", "int64_t n;", KEPT, {"n": 7}),
    Change("a comment and another name of the same type", "int64_t n;", "s->n = 7;", "long n; /* so many */", KEPT, {"n": 7}),
    Change("a member added at the end", "int64_t n;", "s->n = 7;", "int64_t n; int32_t m;", values={"n": 7, "m": 0},
           said="m is new and zero"),
    Change("a member added in front", "int64_t n;", "s->n = 7;", "int32_t m; int64_t n;", values={"m": 0, "n": 7}),
    Change("a member added where there was a gap", "int32_t a; int64_t n;", "s->a = 5; s->n = 7;",
           "int32_t a, m; int64_t n;", values={"a": 5, "m": 0, "n": 7}),
    Change("a member removed", "int64_t n; double gone;", "s->n = 7; s->gone = 1;", "int64_t n;", values={"n": 7},
           said="gone is gone, with what was in it"),
    Change("the first of several removed", "double gone; int64_t n, m;", "s->gone = 1; s->n = 7; s->m = 8;",
           "int64_t n, m;", values={"n": 7, "m": 8}),
    Change("a member renamed", "int64_t old;", "s->old = 7;", "int64_t fresh;", values={"fresh": 0},
           said="fresh is new and zero; state.old is gone"),
    Change("two swapped", "int64_t a, b;", "s->a = 1; s->b = 2;", "int64_t b, a;", values={"a": 1, "b": 2}),
    Change("all in another order", "int8_t a; double b; int16_t c; float d;", "s->a = -1; s->b = 2.5; s->c = -3; s->d = 4;",
           "float d; int16_t c; double b; int8_t a;", values={"a": -1, "b": 2.5, "c": -3, "d": 4}),
    Change("signed integers wider", "int8_t a; int16_t b; int32_t c;", "s->a = -1; s->b = -300; s->c = -70000;",
           "int16_t a; int32_t b; int64_t c;", values={"a": -1, "b": -300, "c": -70000}),
    Change("unsigned integers wider", "uint8_t a; uint32_t c;", "s->a = 255; s->c = 4294967295u;",
           "uint16_t a; uint64_t c;", values={"a": 255, "c": 4294967295}),
    Change("a float wider", "float f, inf;", "s->f = 0.5f; s->inf = -__builtin_inff();", "double f, inf;",
           values={"f": 0.5, "inf": "-inf"}),
    Change("a double to long double", "double f;", "s->f = 0.5;", "long double f;", values={"f": 0.5}),
    Change("a bool to an integer", "bool b;", "s->b = true;", "uint32_t b;", values={"b": 1}),
    Change("an integer narrower", "int64_t n;", "s->n = 7;", "int32_t n;", REFUSED, {"n": 7},
           "state.n narrows from int64_t to int32_t"),
    Change("another sign", "int32_t n;", "s->n = 7;", "uint32_t n;", REFUSED, {"n": 7}, "state.n changes its sign"),
    Change("an integer to a float", "int32_t n;", "s->n = 7;", "double n;", REFUSED, {"n": 7},
           "state.n changes from int32_t to double"),
    Change("a float to an integer", "float n;", "s->n = 7;", "int64_t n;", REFUSED, {"n": 7},
           "state.n changes from float to int64_t"),
    Change("a double to a float", "double n;", "s->n = 7;", "float n;", REFUSED, {"n": 7}, "state.n narrows from double to float"),
    Change("an integer to a bool", "uint8_t n;", "s->n = 7;", "bool n;", REFUSED, {"n": 7}, "state.n changes from uint8_t to"),
    Change("an array longer", "int32_t a[3];", "s->a[0] = 1; s->a[2] = 3;", "int32_t a[5];", values={"a": [1, 0, 3, 0, 0]}),
    Change("an array longer and its elements wider", "int16_t a[3];", "s->a[0] = -1; s->a[2] = 3;", "int64_t a[4];",
           values={"a": [-1, 0, 3, 0]}),
    Change("an array shorter", "int32_t a[3];", "s->a[2] = 3;", "int32_t a[2];", REFUSED, {"a": [0, 0, 3]},
           "state.a[] shrinks from 3 to 2 elements"),
    Change("a text with more room", "char text[8]; int32_t n;", "__builtin_strcpy(s->text, \"seven\"); s->n = 7;",
           "char text[32]; int32_t n;", values={"text": "seven", "n": 7}),
    Change("a matrix larger both ways", "int8_t m[2][2];", "s->m[0][1] = 1; s->m[1][0] = 2;", "int8_t m[3][4];",
           values={"m": [[0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]]}),
    Change("a vector to a matrix", "int8_t m[4];", "s->m[1] = 1;", "int8_t m[4][1];", REFUSED, {"m": [0, 1, 0, 0]},
           "state.m[] (int8_t[4]) has become state.m[][] (int8_t[4][1])"),
    Change("a number to an array", "int32_t n;", "s->n = 7;", "int32_t n[2];", REFUSED, {"n": 7},
           "state.n (int32_t) has become state.n[] (int32_t[2])"),
    Change("a nested struct with more members", "struct in in; int64_t n;", "s->in.a = 1; s->in.f = 2.5f; s->n = 7;",
           "struct in in; int64_t n;", values={"in.a": 1, "in.fresh": 0, "in.f": 2.5, "n": 7}, before_it=IN,
           before_after="struct in { int64_t fresh; float f; int64_t a; };"),
    Change("an array of structs with more of them, and more in each", "struct in in[2];",
           "s->in[0].a = 1; s->in[1].a = 2; s->in[1].f = 0.5f;", "struct in in[3];",
           values={"in.a": [1, 2, 0], "in.f": [0, 0.5, 0], "in.fresh": [0, 0, 0]}, before_it=IN,
           before_after="struct in { char fresh; int32_t a; double f; };"),
    Change("members moved into a struct without a name", "int32_t a, b;", "s->a = 1; s->b = 2;",
           "struct { int32_t b; }; int32_t fresh, a;", values={"a": 1, "b": 2, "fresh": 0}),
    Change("a number to a struct", "int32_t n;", "s->n = 7;", "struct { int32_t now; } n;", REFUSED, {"n": 7},
           "state.n (int32_t) has become state.n.now (int32_t)"),
    Change("a struct to a number", "struct { int32_t now; } n;", "s->n.now = 7;", "int32_t n;", REFUSED, {"n.now": 7},
           "state.n.now (int32_t) has become state.n (int32_t)"),
    Change("bit-fields moved and wider", "unsigned a : 3; int b : 5;", "s->a = 5; s->b = -7;",
           "int b : 7; unsigned c : 1; unsigned a : 9;", values={"a": 5, "b": -7, "c": 0}),
    Change("a bit-field to an integer", "int b : 5;", "s->b = -7;", "int32_t b;", values={"b": -7}),
    Change("a bit-field narrower", "unsigned a : 5;", "s->a = 9;", "unsigned a : 4;", REFUSED, {"a": 9},
           "state.a narrows from unsigned int (5 bits) to unsigned int (4 bits)"),
    Change("constants added to an enum", "enum mode m;", "s->m = BUSY;", "enum mode m;", KEPT, {"m": "BUSY"}, before_it=MODE,
           before_after="enum mode { IDLE, BUSY, DONE };"),
    Change("a constant that means another number", "enum mode m;", "s->m = BUSY;", "enum mode m;", REFUSED, {"m": "BUSY"},
           "state.m was written when BUSY was 1, which is 2 now", before_it=MODE,
           before_after="enum mode { IDLE, WAITING, BUSY };"),
    Change("a union moved", "union { float f; int32_t i; } u;", "s->u.f = 1;", "int64_t n; union { float f; int32_t i; } u;",
           values={"u": "0x0000803f", "n": 0}),
    Change("a member added to a union", "union { float f; int32_t i; } u;", "s->u.f = 1;",
           "union { float f; int32_t i; double d; } u;", values={"u": "0x0000803f00000000"}),
    Change("another union", "union { float f; int32_t i; } u;", "s->u.f = 1;", "union { float f; int16_t i; } u;", REFUSED,
           {"u": "0x0000803f"}, "state.u is a union that has changed"),
    Change("a complex number wider", "_Complex float z;", "s->z = 1.5f;", "_Complex double z;", values={"z": [1.5, 0]}),
    Change("half precision to single", "_Float16 h;", "s->h = 1.5;", "float h;", values={"h": 1.5}, only="c"),
    Change("128 bits", "int64_t n;", "s->n = -2;", "__int128 n;", values={"n": "0x" + "f" * 31 + "e"}),
    Change("several that can't be kept", "int64_t a, b; double c;", "s->a = 7;", "int32_t a; float b; int64_t c;", REFUSED,
           {"a": 7}, "state.a narrows from int64_t to int32_t, state.b changes from int64_t to float, state.c changes"),
    Change("an integer narrower, with a migrate_from", "int64_t n, m;", "s->n = 7; s->m = 8;", "int32_t n; int64_t m;", MIGRATED,
           {"n": 7, "m": 8}, migrate="s->n = (int32_t)*(const int64_t *)((const char *)old + "
           "devserve_state_member(layout, \"n\")->offset);"),
    Change("a new version with a migrate_from", "int64_t seconds;", "s->seconds = 7;", "int64_t seconds;", MIGRATED,
           {"seconds": 7000}, migrate="s->seconds *= 1000;", version=2),
    Change("a new version without one", "int64_t seconds;", "s->seconds = 7;", "int64_t seconds;", REFUSED, {"seconds": 7},
           "version 1, and this image's has 8 bytes, version 2", version=2),
    Change("a member added, beside a migrate_from that isn't needed", "int64_t n;", "s->n = 7;", "int32_t m; int64_t n;",
           values={"n": 7}, migrate="s->n = -1;"),
    Change("members moved into a base class", "int32_t a; int64_t n;", "s->a = 1; s->n = 7;", "int64_t n;",
           values={"a": 1, "n": 7}, before_it="struct base {};", before_after="struct base { int8_t fresh; int32_t a; };",
           only="cc"),
    Change("a scoped enum with more room", "enum class mode : uint8_t; mode m;", "s->m = mode(1);", "mode m;",
           values={"m": "BUSY"}, before_it="enum class mode : uint8_t { IDLE, BUSY };",
           before_after="enum class mode : uint16_t { IDLE, BUSY };", only="cc"),
    Change("a std::array longer", "std::array<int32_t, 2> a;", "s->a[1] = 7;", "std::array<int32_t, 3> a;",
           values={"a._M_elems": [0, 7, 0]}, only="cc"),
    Change("a number to one with members", "int32_t n;", "s->n = 7;", "std::chrono::seconds n;", REFUSED, {"n": 7},
           "state.n (int32_t) has become state.n.__r", only="cc"),
]


def source(change, language, second):
    members = change.after if second else change.before
    before = change.before_after if second and change.before_after is not None else change.before_it
    base = " : base" if "struct base" in before else ""
    includes = "#include <array>\n#include <chrono>\n" if language == "cc" and "std::" in change.after else ""
    migrate = ""
    if second and change.migrate:
        migrate = f"""static int migrate_from(const void *old, const struct devserve_state_layout *layout, void *ret)
{{
	struct state *s = (struct state *)ret;
	(void)old, (void)layout;
	{change.migrate}
	return 0;
}}
"""
    if "enum class" in members:
        members = members.partition(";")[2]
    return f"""#include <devserve/ext/state.h>
#include <stdbool.h>
{includes}{before}
struct state{base} {{ {members} }};
{migrate}
DEVSERVE_STATE(struct state, .version = {change.version if second else 1}{", .migrate_from = migrate_from" if migrate else ""})
static int infer(const struct devserve_call *call)
{{
	struct state *s = devserve_state(call);
	(void)s;
	{"" if second else change.fill}
	*(int64_t *)call->out[0].data = 0;
	return 0;
}}
DEVSERVE_DEPLOYMENT(.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT64, {{ 1 }} }}), .infer = infer,
	.extensions = {{ DEVSERVE_STATE_EXTENSION }})
"""


CASES = {f"{number:02}-{language}": (change, language)
         for number, change in enumerate(CHANGES) for language in ("c", "cc") if change.only in ("", language)}


def values(root, name):
    shown = devserve("state", name, "--root", str(root.path), "--json")
    assert shown.returncode == 0, shown
    return json.loads(shown.stdout)["values"]


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """All of them at once, on one server: of each its save.done, its notices, and the values afterwards."""
    place = tmp_path_factory.mktemp("changes")
    root, found = Root(place / "plugins"), {}
    for name, (change, language) in CASES.items():
        root.write(f"{name}/state.{language}", source(change, language, False))
    server = Server(root, log=place / "stderr")
    try:
        server.wait_listening()
        server.wait_ready()
        for name, (change, language) in CASES.items():
            assert server.infer(name, {"inputs": []}).status == 200, name
            mark = server.mark()
            done = server.save(f"{name}/state.{language}", source(change, language, True), deployment=name)
            notices = [e["reason"] for e in server.seen("notice", mark, deployment=name)]
            if done["outcome"] == "swapped":
                assert server.infer(name, {"inputs": []}).status == 200, name
            found[name] = (done, notices, values(root, name))
    finally:
        server.stop()
    return found


@pytest.mark.parametrize("name", CASES, ids=[f"{change.name} in {'C' if language == 'c' else 'C++'}"
                                             for change, language in CASES.values()])
def test_change(changed, name):
    change, _ = CASES[name]
    done, notices, left = changed[name]
    if change.outcome == REFUSED:
        assert done["outcome"] == "refused" and change.said in done["reason"], done
    else:
        assert done["outcome"] == "swapped", done
        told = {KEPT: [], COPIED: ["copied by name"], MIGRATED: ["made anew by its migrate()"]}[change.outcome]
        assert len(notices) == len(told) and all(a in b for a, b in zip(told, notices)), notices
        assert change.said in " ".join(notices)
        assert done.get("state", "") == " ".join(notices)
    assert {member: left.get(member) for member in change.values} == change.values
