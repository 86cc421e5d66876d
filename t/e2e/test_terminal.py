# SPDX-License-Identifier: MIT
"""What a person sees who runs devserve in a terminal, and what its keys do."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from devserve import BUILD, PATIENCE, TREE, Client, constant, deployment, devserve, x
from gpu import without_gpu

pytest.importorskip("pyte")
from terminal import Terminal  # noqa: E402

SERVER = BUILD / "devserve"


@pytest.fixture
def open_terminal(request, root, tmp_path):
    """devserve on `root` in a terminal; `argv` for another program in it."""
    request.node.servers = terminals = []

    def start(*args, argv=None, wait="ready", cwd=tmp_path, **rest):
        t = Terminal(argv or [SERVER, root.path, "--port", "0", *args], cwd=cwd, **rest)
        terminals.append(t)
        if wait:
            t.wait_line(wait)
        return t

    yield start
    for t in terminals:
        t.stop()


def url_of(t):
    return re.search(r"http://[0-9.:]+", t.text)[0]


def without_escapes(text):
    return re.sub(r"\033(\[[0-9;]*[A-Za-z]|\]8;[^\033\a]*(\033\\|\a))", "", text)


# What is printed

def test_a_save_that_there_is_no_time_to_prove_says_how_many_requests_were_not_run(root, open_terminal):
    slow = deployment("	usleep(20000);\n	*y = x;", "#include <unistd.h>")
    root.write("one/one.c", slow)
    t = open_terminal("--gate", "replay", "--proof-ms", "10")
    for value in (1, 2):
        assert Client(url_of(t)).infer("one", x(value)).value == value
    root.rename_over("one/one.c", slow.replace("= x", "= 8 * x"))
    assert t.wait_line("gen 1→2").endswith("  not proved, for want of time (2 requests not run)")


def test_a_save_is_one_line_and_the_screen_shows_each_once(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal()
    assert "1 of 1 serve" in t.wait_line("ready")
    root.rename_over("one/one.c", constant(2))
    line = t.wait_line("gen 1→2")
    assert re.fullmatch(r"\d\d:\d\d:\d\d one  gen 1→2  saved→serving \d+ ms \(settle \d.*swap [0-9.]+\)", line), line
    t.wait(lambda: not any("building" in line for line in t.lines), "no live line")
    assert [line.split()[0] for line in t.lines if "gen" not in line] == ["devserve", "ready", "h"], t.lines
    assert sum("gen 1 " in line for line in t.lines) == 1


@without_gpu
def test_unavailable_is_a_deployment_that_nothing_serves_and_not_a_save(root, open_terminal):
    """Both saves need a GPU: their trials fail. One deployment goes on serving what it served."""
    needs_gpu = constant(1, "#include <devserve/ext/cuda.h>\nDEVSERVE_CUDA()\n")
    needs_gpu = needs_gpu.replace(".infer = infer,", ".infer = infer, .extensions = { DEVSERVE_CUDA_EXTENSION },")
    root.write("one/one.c", constant(1))
    root.write("two/two.c", needs_gpu)
    t = open_terminal()
    assert "two  unavailable: this deployment needs CUDA" in t.wait_line("two ")
    assert "trial failed" not in t.text and "nothing serves yet" in t.text.replace("\r\n    ", " "), t.text
    root.rename_over("one/one.c", needs_gpu)
    assert "one  trial failed: this deployment needs CUDA" in t.wait_line("one  trial")
    status = devserve("status", root.path).stdout
    rows = [line.split() for line in status.splitlines() if line.startswith(("NAME", "one ", "two "))]
    titles = {title: i for i, title in enumerate(rows[0])}
    one, two = ([row[titles[title]] for title in ("STATE", "GEN", "STALE")] for row in rows[1:3])
    assert (one, two) == (["ready", "1", "trial-failed"], ["unavailable", "0", "-"]), status


def test_an_error_is_as_the_compiler_wrote_it_with_a_summary(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal()
    root.rename_over("one/one.c", constant("nowhere") + "int f( {\n")
    t.wait_line("build failed")
    lines = "\n".join(t.lines)
    assert re.search(r"^plugins/one/one\.c:\d+:\d+: error: ‘nowhere’ undeclared", lines, re.M), lines
    assert re.search(r"^ +\d+ \| int f\( \{$", lines, re.M), lines
    assert re.search(r"one  build failed, 2 errors, the first at plugins/one/one\.c:\d+:\d+; generation 1\s+still",
                     lines), lines
    assert lines.count("‘nowhere’ undeclared") == 1


def test_places_are_links_where_the_terminal_knows_them(root, open_terminal):
    root.write("one/one.c", constant("nowhere"))
    t = open_terminal(env={"VTE_VERSION": "7200"})
    links = re.findall(r"\033\]8;;([^\033\a]*)\033\\", t.text)
    assert links and len(links) % 2 == 0 and set(links[1::2]) == {""}, links
    assert set(links[::2]) == {f"file://{os.uname().nodename}{root.path}/one/one.c"}, links
    assert t.text.count("\033]8;") == len(links)


@pytest.mark.parametrize("env", [{}, {"VTE_VERSION": "7200", "TERM_URLS": "no"}, {"VTE_VERSION": "4000"},
                                 {"VTE_VERSION": "7200", "NO_COLOR": "1"}])
def test_there_are_no_links_elsewhere(root, open_terminal, env):
    root.write("one/one.c", constant("nowhere"))
    t = open_terminal(env=env)
    assert "one.c:" in t.text and "\033]8" not in t.text


@pytest.mark.parametrize("env,args", [({"NO_COLOR": "1"}, ()), ({"TERM": "dumb"}, ()), ({"TERM": ""}, ()),
                                      ({}, ("--no-color",))])
def test_without_colour_there_are_plain_lines_and_nothing_moves(root, open_terminal, env, args):
    root.write("one/one.c", constant(1))
    root.write("two/two.c", constant("nowhere"))
    t = open_terminal(*args, env=env)
    root.rename_over("one/one.c", constant(2))
    t.wait_line("gen 1→2")
    assert "\033" not in t.text and "\r" not in t.text.replace("\r\n", ""), t.text
    assert "building" not in t.text


def test_without_a_terminal_there_are_plain_lines(root, tmp_path):
    root.write("one/one.c", constant("nowhere"))
    process = subprocess.Popen([SERVER, root.path, "--port", "0"], stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm", "VTE_VERSION": "7200"})
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("ready"):
            break
    process.terminate()
    said += process.stdout.read()
    assert process.wait(PATIENCE) == 0
    assert "\033" not in said and "keys" not in said and "0 of 1 serve" in said, said


def test_what_a_plugin_prints_cannot_touch_the_terminal(root, open_terminal):
    evil = r"\033[2J\033[5;5H\033]0;title\a\033]8;;http://evil/\a\033Pq\033\\\r\b\233""2J\302\233""2J"
    root.write("one/one.c", deployment(f'\tputs("before{evil}after"); fflush(stdout); *y = 1;', "#include <stdio.h>\n"))
    t = open_terminal()
    mark = len(t.text)
    assert Client(url_of(t)).infer("one").status == 200
    t.wait_text("after", mark)
    told = without_escapes(t.text[mark:])
    assert not re.search("[\033\a\b\x7f-\x9f]|\r(?!\n)", told) and "evil" not in told, repr(told)
    assert t.wait_line("before").startswith("one │ before")


def test_what_a_source_makes_the_compiler_print_cannot_touch_the_terminal(root, open_terminal):
    root.write("one/one.c", constant(1) + "#error \033[2J\033]0;title\a\033[9;9Hx\n")
    t = open_terminal()
    assert not re.search(r"\033\[2J|\033\]0|\033\[9;9H|\a", t.text), repr(t.text)


def test_first_builds_are_counted_on_a_line_that_is_written_over(root, open_terminal):
    for i in range(6):
        root.write(f"p{i}/p.c", constant(i))
    t = open_terminal("--jobs", "2")
    counts = [int(n) for n in re.findall(r"building (\d)/6  p", t.text)]
    assert counts == sorted(counts) and {0, 3, 5} <= set(counts), counts
    assert not any("building" in line for line in t.lines)


def test_the_live_line_fits_the_terminal_also_after_it_has_changed(root, compiler, open_terminal):
    names = [f"a-rather-long-name-{i}" for i in range(4)]
    for name in names:
        root.write(f"{name}/p.c", constant(1))
    compiler.hold()
    t = open_terminal(wait="building 0/4", columns=60, env=compiler.env)
    t.wait(lambda: any(line.startswith("building 0/4") and len(line) > 50 for line in t.lines), "a full line")
    for columns in (40, 70):
        t.resize(columns)
        t.wait(lambda: (line := t.lines[-1]).startswith("building 0/4") and columns - 12 < len(line) < columns,
               f"a line for {columns} columns")
    compiler.go()
    t.wait_line("4 of 4 serve")


def test_sentences_are_broken_at_blanks_where_they_are_too_long(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(columns=50)
    root.rename_over("one/one.c", constant(2))
    t.wait_line("saved→serving")
    t.wait(lambda: any("swap" in line for line in t.lines), "the end of the line")
    at = next(i for i, line in enumerate(t.lines) if "gen 1→2" in line)
    assert t.lines[at + 1].startswith("    ") and all(len(line) <= 50 for line in t.lines), t.lines


CRASH = deployment("\tif (x)\n\t\t*y = deep(x);\n\telse\n\t\t*y = 1;", """\
static __attribute__((noinline)) int deep(int n)
{
	volatile char page[4096];

	page[0] = (char)n;
	return n < 0 ? 0 : deep(n + 1) + page[0];
}
""")


def story_of_a_crash(t, name="one"):
    Client(url_of(t)).infer(name, x(1))
    t.wait_line("took over")
    told = [line for line in t.lines if re.match(r"\d\d:\d\d:\d\d", line)]
    return [next((w for w in ("crashed in", "serves again", "took over", "gen ", " of generation ") if w in line), line)
            for line in told]


def test_a_crash_is_told_in_the_same_order_each_time_and_frames_are_folded(root, open_terminal):
    root.write("one/one.c", CRASH)
    for i in range(3):
        t = open_terminal()
        assert story_of_a_crash(t) == ["gen ", " of generation ", "crashed in", "took over"], t.lines
        frames = [line for line in t.lines if re.match(r" +#\d", line)]
        assert len(frames) <= 4 and any("deep" in f for f in frames), t.lines
        assert any(re.fullmatch(r" +… \d\d times", line) for line in t.lines), t.lines
        t.press("q")
        t.wait_end()


def test_what_serves_again_is_told_after_the_report(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal()
    root.rename_over("one/one.c", CRASH)
    t.wait_line("gen 1→2")
    Client(url_of(t)).infer("one", x(1))
    t.wait(lambda: any("took over" in line and "generation 1" in line for line in t.lines), "the end of the story")
    told = [next((w for w in ("crashed in", "serves again", "took over", " of generation ") if w in line), None) for line in t.lines]
    told = [w for w in told if w]
    assert told[:2] == [" of generation ", "crashed in"] and told[-2:] == ["serves again", "took over"], t.lines
    assert told.count("crashed in") == 1 and told.count("serves again") == 1, t.lines


# Keys

def test_h_lists_the_keys_and_q_quits(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    assert t.is_raw
    t.press("h")
    for key in "hrcloqay":
        t.wait_line(f"  {key}  ")
    t.press("q")
    assert t.wait_end() == 0
    assert "stopped" in t.lines[-1] and t.modes == t.before


def test_r_rebuilds_the_only_deployment_at_once(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    t.press("r")
    line = t.wait_line("gen 1→2")
    assert "gcc" in line and "no compile" not in line


def test_y_lets_the_save_serve_that_was_refused_for_its_answers(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal("--gate", "replay", wait="h lists the keys")
    client = Client(url_of(t))
    assert client.infer("one", x(1)).value == 1
    t.press("y")
    t.wait_line("none was refused for its answers")
    root.rename_over("one/one.c", constant(2))
    t.wait_line("y  or devserve accept one  if it is meant to answer so")
    assert client.infer("one", x(1)).value == 1
    t.press("y")
    assert "accepted" in t.wait_line("gen 1→2")
    assert client.infer("one", x(1)).value == 2


def test_y_asks_which_where_more_than_one_waits_and_says_what_it_accepts(root, open_terminal):
    for name in ("alpha", "beta", "gamma"):
        root.write(f"{name}/x.c", constant(1))
    t = open_terminal("--gate", "replay", wait="h lists the keys")
    client = Client(url_of(t))
    for name in ("alpha", "beta"):
        assert client.infer(name, x(1)).value == 1
        root.rename_over(f"{name}/x.c", constant(2))
        t.wait_line(f"y  or devserve accept {name}  if it is meant to answer so")
    t.press("y")
    assert t.wait_line("accept which?").endswith("(Enter: all 2, Esc: none)")
    t.press("al\n")
    t.wait_line("alpha: what it answers now is accepted")
    t.wait_line("alpha  gen 1→2")
    assert client.infer("beta", x(1)).value == 1
    t.press("y")
    t.wait_line("beta: what it answers now is accepted")
    t.wait_line("beta  gen 1→2")


def test_r_loads_again_what_crashed_and_is_not_loaded_otherwise(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal()
    root.rename_over("one/one.c", CRASH)
    t.wait_line("gen 1→2")
    client = Client(url_of(t))
    client.infer("one", x(1))
    t.wait(lambda: any("took over" in line and "generation 1" in line for line in t.lines), "the end of the story")
    assert client.infer("one").generation == 1
    t.press("r")
    t.wait_line("gen 1→3")
    assert client.infer("one", x(0)).generation == 3


def test_r_asks_which_and_takes_the_start_of_a_name(root, open_terminal):
    for name in ("alpha", "beta", "gamma"):
        root.write(f"{name}/x.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    t.press("r")
    assert t.wait_line("rebuild which?").endswith("(Enter: all 3, Esc: none)")
    t.press("be")
    assert t.wait_line("be  → beta")
    t.press("\n")
    t.wait_line("beta  gen 1→2")
    assert not any("which?" in line for line in t.lines)
    t.press("r\n")
    for name, generations in (("alpha", "1→2"), ("beta", "2→3"), ("gamma", "1→2")):
        t.wait_line(f"{name}  gen {generations}")


def test_the_question_can_be_edited_and_left_and_stays_below_other_lines(root, open_terminal):
    for name in ("alpha", "beta"):
        root.write(f"{name}/x.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    t.press("rxy\x7f\x7fal\t")
    t.wait(lambda: t.lines[-1].endswith("none) alpha"), "a completed name")
    root.rename_over("beta/x.c", constant(2))
    t.wait_line("beta  gen 1→2")
    assert "none) alpha" in t.lines[-1], t.lines
    t.press("\033")
    t.wait(lambda: "which?" not in t.lines[-1], "no question")
    t.press("r")
    t.wait(lambda: "which?" in t.lines[-1], "a question")
    t.press("zzz\n")
    t.wait_line("there is no deployment 'zzz'")
    assert not any("alpha  gen 1→2" in line for line in t.lines)


TOO_FAR = deployment("""	volatile int *block = malloc(40);
	*y = block[9 + x] * 0;
	free((void *)block);""", "#include <stdlib.h>")


def test_a_serves_under_addresssanitizer_and_not_any_more(root, open_terminal):
    root.write("one/one.c", TOO_FAR)
    t = open_terminal(wait="h lists the keys")
    t.press("a")
    assert "under AddressSanitizer" in t.wait_line("gen 1→2")
    assert Client(url_of(t)).infer("one", x(1)).status == 500
    t.wait_line("AddressSanitizer in generation 2: heap-buffer-overflow: read 4 bytes, 0 bytes after 40-byte")
    t.wait_line("*y = block[9 + x] * 0;")
    t.wait_line("one.c:8: allocated here")
    t.wait_line("took over")
    t.press("a")
    assert "under AddressSanitizer" not in t.wait_line("gen 2→3")
    assert Client(url_of(t)).infer("one", x(1)).value == 0


def test_a_asks_which(root, open_terminal):
    for name in ("alpha", "beta"):
        root.write(f"{name}/x.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    t.press("a")
    t.wait_line("a sanitizer for which?")
    t.press("be\n")
    assert "under AddressSanitizer" in t.wait_line("beta  gen 1→2")
    assert not any("alpha  gen 1→2" in line for line in t.lines)


def test_c_clears_the_screen_and_keeps_where_the_server_is(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    t.press("c")
    t.wait(lambda: len(t.lines) == 1, "one line")
    assert url_of(t) in t.lines[0]


def test_l_hides_log_lines_and_shows_them_again(root, open_terminal):
    root.write("one/one.c", deployment('\tprintf("call %d\\n", x); fflush(stdout); *y = 1;', "#include <stdio.h>\n"))
    t = open_terminal(wait="h lists the keys")
    client = Client(url_of(t))
    client.infer("one", x(1))
    t.wait_line("one │ call 1")
    t.press("l")
    t.wait_line("log lines are hidden")
    client.infer("one", x(2))
    log = root.path / ".devserve/logs/one.log"
    deadline = time.monotonic() + PATIENCE
    while "call 2" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    t.press("l")
    t.wait_line("1 were hidden")
    client.infer("one", x(3))
    t.wait_line("one │ call 3")
    assert "call 2" not in t.text


def test_o_opens_the_servers_address(root, open_terminal, tmp_path):
    opener = tmp_path / "bin/xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$1" >"{tmp_path}/opened.new"\nmv "{tmp_path}/opened.new" "{tmp_path}/opened"\n')
    opener.chmod(0o755)
    root.write("one/one.c", constant(1))
    t = open_terminal(wait="h lists the keys", env={"PATH": f"{opener.parent}:{os.environ['PATH']}"})
    t.press("o")
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "opened").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (tmp_path / "opened").read_text().strip() == url_of(t)


def test_o_says_where_the_server_is_when_nothing_can_open_it(root, open_terminal, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("gcc", "as", "ld.gold", "ld", "setsid"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    t = open_terminal(wait="h lists the keys", env={"PATH": str(tools)})
    t.press("o")
    assert url_of(t) in t.wait_line("xdg-open")


def test_cursor_keys_and_others_do_nothing(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    before = len(t.text)
    t.press("\033[A\033OPxwz")
    t.press("h")
    t.wait_text("  q  quit", before)
    assert without_escapes(t.text[before:]).strip().startswith("h  this list"), t.text[before:]


# The terminal gets its mode back

@pytest.mark.parametrize("ending,status", [("\x03", 130), ("q", 0), (signal.SIGTERM, 0), (signal.SIGHUP, 0),
                                           ("\x1c", -signal.SIGQUIT), (signal.SIGSEGV, -signal.SIGSEGV),
                                           (signal.SIGABRT, -signal.SIGABRT)])
def test_however_it_ends_the_terminal_is_as_it_was(root, open_terminal, ending, status):
    root.write("one/one.c", constant(1))
    if os.environ.get("DEVSERVE_SANITIZE") and ending == signal.SIGSEGV:
        pytest.skip("the sanitizer takes that signal for itself")
    t = open_terminal(wait="h lists the keys")
    assert t.is_raw
    assert not t.flags & os.O_NONBLOCK, "other programs have the same terminal"
    if isinstance(ending, str):
        t.press(ending)
    else:
        t.process.send_signal(ending)
    assert t.wait_end() == status
    assert t.modes == t.before and not t.flags & os.O_NONBLOCK


def test_a_second_q_ends_at_once(root, open_terminal):
    root.write("one/one.c", deployment("\tsleep(60); *y = 1;", "#include <unistd.h>\n"))
    t = open_terminal(wait="h lists the keys")
    client = Client(url_of(t))
    client.connection.request("POST", "/v2/models/one/infer",
                              '{"inputs": [{"name": "X", "datatype": "INT32", "shape": [1], "data": [0]}]}')
    t.wait(lambda: Client(url_of(t)).call("GET", "/v2/health/live").status == 200, "an answer")
    t.press("q")
    t.wait_line("requests are under way")
    t.press("q")
    assert t.wait_end() == 0 and t.modes == t.before


# bash mends a terminal that a job left in disorder, dash doesn't
@pytest.mark.parametrize("shell", [["bash", "--norc", "--noprofile", "-i"], ["dash", "-i"]])
def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(root, open_terminal, shell):
    root.write("one/one.c", constant(1))
    t = open_terminal(argv=shell, env={"PS1": "shell> "}, wait="shell>")
    t.press(f"{SERVER} {root.path} --port 0\n")
    t.wait_line("h lists the keys")
    t.wait_mode(raw=True)
    t.press("\x1a")
    t.wait_line("Stopped")
    t.press("stty -a; echo ov''er\n")
    end = t.wait_text("\r\nover")
    assert " icanon" in t.text[:end] and " echo " in t.text[:end]
    t.press("fg\n")
    t.wait_mode(raw=True)
    mark = len(t.text)
    t.press("h")
    t.wait_text("  q  quit", mark)
    t.press("q")
    t.wait_text("stopped", mark)
    t.press("exit\n")
    assert t.wait_end() == 0


def test_in_the_background_it_leaves_the_terminal_alone(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(argv=["bash", "--norc", "--noprofile", "-i"], env={"PS1": "shell> "}, wait="shell>")
    t.press(f"{SERVER} {root.path} --port 0 &\n")
    t.wait_line("ready")
    t.press("stty -a; echo ov''er\n")
    end = t.wait_text("\r\nover")
    assert "h lists the keys" not in t.text
    assert " icanon" in t.text[:end] and " echo " in t.text[:end]
    t.press("fg\n")
    t.wait_mode(raw=True)
    t.press("q")
    t.wait_line("stopped")
    t.press("exit\n")
    assert t.wait_end() == 0


def test_where_stdin_is_no_terminal_there_are_no_keys(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(stdin=subprocess.DEVNULL)
    root.rename_over("one/one.c", constant(2))
    t.wait_line("gen 1→2")
    assert not t.is_raw and "h lists the keys" not in t.text


def test_a_dumb_terminal_stays_in_its_mode(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(env={"TERM": "dumb"})
    root.rename_over("one/one.c", constant(2))
    t.wait_line("gen 1→2")
    assert not t.is_raw and "h lists the keys" not in t.text


def test_a_terminal_that_is_closed_ends_it(root, open_terminal):
    root.write("one/one.c", constant(1))
    t = open_terminal(wait="h lists the keys")
    t.hang_up()
    assert t.wait_end() == 0


def test_make_serve_has_keys_too(open_terminal, tmp_path):
    t = open_terminal(argv=["make", "serve", "MAKE=true", "PORT=0", f"BUILD={BUILD}",
                            f"ARGS=--state-dir {tmp_path}/state"], wait="h lists the keys", cwd=TREE)
    t.press("q")
    t.wait_line("stopped")
    assert t.wait_end() == 0


def test_status_watched_on_a_low_terminal_keeps_its_head(root, serve, open_terminal):
    for i in range(12):
        root.write(f"p{i:02}/p.c", constant(i))
    serve()
    t = open_terminal(argv=[SERVER, "status", "--watch", root.path], wait="more lines", columns=200, rows=10)
    assert t.lines[0].startswith("devserve "), t.lines
    left_out = int(re.fullmatch(r"… (\d+) more lines", t.wait_line("more lines"))[1])
    assert sum(line.startswith("p") for line in t.lines) + left_out == 12, t.lines
    t.resize(200, 40)
    t.wait_line("p11")
    assert t.lines[0].startswith("devserve ")
    t.resize(40, 9)  # the head takes several lines
    t.wait_line("more lines")
    assert t.lines[0].startswith("devserve "), t.lines


@pytest.mark.parametrize("words", [["infer", "--help"], ["doctor"]])
def test_a_narrow_terminal_gets_lines_of_several_words(root, open_terminal, words):
    t = open_terminal(argv=[SERVER, *words], columns=36, rows=200, wait=None)
    t.wait_end()
    texts = [line for line in t.lines if line.startswith("    ")]
    assert sum(" " in line.strip() for line in texts) * 2 > len(texts), t.lines


def test_the_head_of_a_status_is_broken_between_words(root, serve, open_terminal):
    root.write("one/one.c", constant(1))
    serve()
    t = open_terminal(argv=[SERVER, "status", root.path], columns=36, wait=None)
    t.wait_end()
    assert any(re.fullmatch(r"    pid \d+  up \d+ s", line) for line in t.lines), t.lines
    assert "\033[33m" not in t.text, "what is no warning has no colour of one"


def test_the_history_has_a_sign_where_a_line_is_longer_than_the_terminal(root, serve, open_terminal):
    root.write("one/one.c", constant(0))
    server = serve()
    server.save("one/one.c", "this is no C\n")
    server.stop()
    t = open_terminal(argv=[SERVER, "history", "one", "--root", root.path], columns=60, wait=None)
    t.wait_end()
    told = next(line for line in t.lines if "build-failed" in line).rstrip()
    assert len(told) == 60 and told.endswith("…"), told
