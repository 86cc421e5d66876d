# SPDX-License-Identifier: MIT
"""What the documentation says is so: every block of README.md, docs/ and examples/ is run.

t/lib/markdown.py says how a block is marked, t/lib/walkthrough.py does what it says.
"""

import json
import re
import subprocess

import pytest

from devserve import BUILD, TREE, devserve
from markdown import blocks, indented_blocks, spans
from walkthrough import Walkthrough

PAGES = {str(path.relative_to(TREE)): path.read_text() for path in sorted(
    [*TREE.glob("*.md"), *TREE.glob("docs/**/*.md"), *TREE.glob("examples/**/*.md"), *TREE.glob("plugins/**/*.md")])}
UNRUN = {"ARCHITECTURE.md", "CONTRIBUTING.md"}  # for those who work on devserve: drawings, and make
BLOCKS = {page: blocks(page, text) for page, text in PAGES.items() if page not in UNRUN}


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The page that is being read; the server of the one before ends."""
    walks = {}

    def on(page):
        if page not in walks:
            for other in walks.values():
                other.close()
            walks[page] = Walkthrough(PAGES[page], BLOCKS[page], tmp_path_factory.mktemp("page"))
        return walks[page]

    yield on
    for each in walks.values():
        each.close()


@pytest.mark.parametrize("block", [block for page in BLOCKS.values() for block in page], ids=str)
def test_it_does_what_it_shows(block, walk):
    if "skip" in block.marks:
        pytest.skip(block.marks["skip"])
    walk(block.page).run(block)


@pytest.mark.parametrize("page", BLOCKS)
def test_every_block_has_a_fence(page):
    assert not indented_blocks(PAGES[page])


def test_no_roff_is_left_in_what_comes_of_the_manual_page():
    assert not re.search(r"\\\(|\\f[BIR]|\\&", PAGES["docs/commands.md"])


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (TREE / page).parent / path if path else TREE / page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}, target


TOKEN = re.compile(r""""((?:[^"\\\n]|\\.)*)"|(\w+)|('(?:[^'\\]|\\.)+'|\S)""")


def literals():
    """The strings of src/, adjacent ones and the macros between them joined."""
    texts = [re.sub(r"^#include[^\n]*$|/\*.*?\*/", "", path.read_text(), flags=re.M | re.S)
             for path in TREE.glob("src/**/*") if path.suffix in (".c", ".cc", ".h")]
    macro = re.compile(r'^#define (\w+) "(.*)"$', re.M)
    everywhere, found = dict(macro.findall("\n".join(texts))), []
    for text in texts:
        macros = everywhere | dict(macro.findall(text))
        found.append("")
        for string, word, other in TOKEN.findall(text):
            if other:
                found.append("")
            elif not word or word in macros:
                found[-1] += macros.get(word, string)
    return "\n".join(found).replace('\\"', '"')


def test_every_message_of_the_troubleshooting_page_is_one_of_the_programs():
    said = literals()
    titles = re.findall(r"^### `(.*)`$", PAGES["docs/troubleshooting.md"], re.M)
    assert len(titles) > 40
    wrong = [(title, part) for title in titles for part in (each.strip(" ';,") for each in title.split("…"))
             if len(part) > 2 and part not in said]
    assert not wrong


def test_every_key_of_deployment_yaml_is_told_of_with_its_bounds():
    schema = json.loads(devserve("schema").stdout)["properties"]
    rows = dict(re.findall(r"^\| \[`(\w+)`\][^|]*\| (.*) \|$", PAGES["docs/deployment-yaml.md"], re.M))
    assert sorted(rows) == sorted(schema)
    for name, key in schema.items():
        for part in (key, *key.get("properties", {}).values()):
            for bound in ("minimum", "maximum", "default"):
                assert bound not in part or json.dumps(part[bound]) in rows[name], (name, bound)


def test_every_option_in_the_prose_is_there():
    shown = devserve("--help").stdout
    commands = re.findall(r"^  ([a-z]+) ", shown.split("Commands:")[1], re.M)
    known = {"--cflags", "--model-control-mode", "--shared-memory", "--tool"}  # pkg-config's, Triton's, compute-sanitizer's
    known |= set(re.findall(r"--[a-z][a-z-]+", shown + "".join(devserve(c, "--help").stdout for c in commands)))
    assert len(known) > 20
    wrong = [(page, number, option) for page, text in PAGES.items() if page not in UNRUN
             for number, span in spans(text) if not span.startswith(("make", "curl", "git", "serve ", "bench/"))
             for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span) if option not in known]
    assert not wrong


def test_every_test_that_is_named_is_there():
    names = {path.stem for path in TREE.glob("t/*.t")}
    names |= {f"50-e2e-{path.stem.removeprefix('test_')}" for path in TREE.glob("t/e2e/test_*.py")}
    names |= {f"10-{path.parts[-3]}-{path.parts[-2]}-{path.stem}" for path in TREE.glob("t/unit/*/*.c")}
    named = [(page, test) for page, text in PAGES.items() for _, span in spans(text)
             for test in re.findall(r"(?<![\w-])(?:00|10|20|30|40|50|90)-[a-z][\w-]*", span)]
    assert named
    assert not [each for each in named if not any(name.startswith(each[1]) for name in names)]


def test_the_figures_of_the_README_are_those_of_the_newest_run():
    runs = [json.loads(path.read_text())["rows"] for path in sorted(TREE.glob("bench/results/*.json"))]
    rows = [{row["name"]: row for row in run} for run in runs if isinstance(run[0], dict)][-1]  # others: on a GPU
    table = re.findall(r"^\|[^|]*\|[^|]*\| ([^|]*) \| `([\w-]+)` \|$", PAGES["README.md"], re.M)
    assert len(table) >= 10
    gpu = max(TREE.glob("bench/results/*nvidia*.txt")).read_text()
    ours, alone = re.search(r"^save → first answer +([\d.]+) ms .*NVRTC alone \(([\d.]+) ms\)", gpu, re.M).groups()
    assert f"{float(ours):.0f} ms" in PAGES["README.md"] and f"{alone} ms" in PAGES["README.md"]
    for shown, name in table:
        figure = float(re.search(r"[\d.]+", shown)[0])
        assert figure == pytest.approx(rows[name]["value"], rel=0.01), name


def test_the_page_of_commands_is_the_programs_manual():
    written = subprocess.run([TREE / "t/lib/manual_as_markdown", BUILD / "devserve"], capture_output=True, text=True, check=True).stdout
    assert PAGES["docs/commands.md"] == written, "run make docs"
    assert written.startswith("# Commands and options\n\n"), "a title of its own"


def test_every_event_is_told_of():
    names = re.findall(r'^\tX\([A-Z_]+, "([a-z.-]+)"\)', (TREE / "src/serve/event.h").read_text(), re.M)
    table = PAGES["docs/http.md"].split("## Events")[1]
    assert len(names) > 10
    assert not [name for name in names if f"`{name}`" not in table]


# What the headers need among themselves.
INTERNAL = {"devserve_weights", "devserve_cuda", "devserve_argument", "devserve_argument_bits", "devserve_argument_same"}


def test_every_function_of_the_interface_is_in_its_list():
    names = set()
    for header in TREE.glob("include/devserve/**/*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S).replace("\\\n", " ")
        names |= set(re.findall(r"static inline [\w ]+?[ *]+(devserve_\w+)\(", text))
        names |= set(re.findall(r"^#define (devserve_\w+)\(", text, re.M))
    listed = PAGES["docs/api.md"].split("## All of it")[1]
    assert len(names) > 20
    assert not {name for name in names - INTERNAL if f"{name}(" not in listed and "##" not in name}


def test_every_key_of_the_terminal_is_told_of():
    keys = re.findall(r'"  ([a-z])  ([^"]*)"', (TREE / "src/serve/console.c").read_text())
    assert len(keys) > 4
    assert re.findall(r"^\| `([a-z])` \| (.*) \|$", PAGES["docs/terminal.md"], re.M) == keys


def test_the_limits_are_those_of_the_options():
    default = dict(re.findall(r"^- `(--[a-z-]+) [A-Z]+`:\n(?:  .*\n)*?  Default: (\w+)\.", PAGES["docs/commands.md"], re.M))
    rows = re.findall(r"`(--[a-z-]+)`, ([^|;]*)", PAGES["docs/http.md"].split("## Limits")[1])
    assert len(rows) >= 8
    for option, shown in rows:
        number = default[option]
        ways = {number, f"{int(number) // 1024} KiB" if number.isdigit() else "",
                number.replace("M", " MiB").replace("G", " GiB")} - {""}
        assert any(re.match(rf"{way}\b", shown) for way in ways), (option, shown)


def test_every_path_is_told_of():
    routes = re.findall(r'\{ "([A-Z]+)", "(/[^"]*)",', (TREE / "src/serve/control.c").read_text())
    table = PAGES["docs/http.md"].split("## Paths")[1].split("##")[0]
    assert len(routes) >= 4
    assert not [route for route in routes if not re.search(r"`{} {}[`?]".format(*map(re.escape, route)), table)]
