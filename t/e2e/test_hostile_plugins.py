# SPDX-License-Identifier: MIT
"""Plugins that do what they must not. Whatever it is: the server lives, the deployment beside
is answered all the time, the author is told, and a save mends it."""

import os
import pathlib
import threading
import time

import pytest

from devserve import constant, deployment, devserve, wait_until_gone

INCLUDES = "".join(f"#include <{h}>\n" for h in (
    "errno.h", "fcntl.h", "pthread.h", "setjmp.h", "signal.h", "stdint.h", "stdio.h", "stdlib.h",
    "string.h", "sys/mman.h", "sys/prctl.h", "sys/resource.h", "sys/wait.h", "unistd.h"))

MAPPINGS = r"""
/* Call `visit` for each mapping of a memfd that is shared and writable. */
static void each_mapping(void (*visit)(char *start, size_t size, const char *line))
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], found[8][512];
	unsigned long start, end;
	int n = 0;

	while (n < 8 && fgets(line, sizeof(line), maps))
		if (strstr(line, "rw-s") && strstr(line, "/memfd:"))
			strcpy(found[n++], line);
	fclose(maps);
	for (int i = 0; i < n; i++)
		if (sscanf(found[i], "%lx-%lx", &start, &end) == 2)
			visit((char *)start, end - start, found[i]);
}
enum { LINK_MOST = 1 << 20 }; /* a link is smaller, an arena larger */
"""


def hostile(infer="", extra="", create="", destroy="", value=7):
    """A deployment that answers `value` after it has done `infer`."""
    source = deployment(f"\t{infer}\n\t*y = {value};", INCLUDES + extra + f"""
static int create(const struct devserve_host *host, void **self)
{{
	(void)host, (void)self;
	{create}
	return 0;
}}
static void destroy(void *self)
{{
	(void)self;
	{destroy}
}}
""")
    source = source.replace('{ "Y", DEVSERVE_INT32, { 1 } }',
                            '{ "Y", DEVSERVE_INT32, { 1 } }, { "Z", DEVSERVE_BYTES, { 0 } }' if "append" in infer
                            else '{ "Y", DEVSERVE_INT32, { 1 } }')
    return source.replace(
        "\t.infer", "\t.create = create,\n\t.destroy = destroy,\n\t.infer")


class Bystander:
    """Calls the deployment beside, all the time; every answer must be right."""

    def __init__(self, server):
        self.client, self.wrong, self.n = server.new_client(), [], 0
        self.go_on = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.go_on:
            answer = self.client.infer("beside")
            self.n += 1
            if answer.status != 200 or answer.value != 1:
                self.wrong.append(answer)

    def end(self):
        self.go_on = False
        self.thread.join(30)
        assert not self.thread.is_alive() and not self.wrong, self.wrong[:3]
        assert self.n > 0


@pytest.fixture
def beside(root, serve):
    """Serves what the test gives, beside one that must not notice."""
    bystanders = []

    def start(source, *args, file="hostile.c", ready=True):
        root.write("beside.c", constant(1))
        root.write(file, source)
        server = serve(*args)
        bystanders.append(Bystander(server))
        return server

    yield start
    for bystander in bystanders:
        bystander.end()


def is_sentence(answer):
    return answer.status >= 500 and len(answer.json["error"]) > 10


def mends(server, file="hostile.c"):
    """A save of something decent is served."""
    done = server.save(file, constant(42))
    assert done["outcome"] == "swapped", done
    answer = server.infer("hostile")
    assert answer.value == 42, answer


# What it may do, for it hurts nobody: it is answered.
ANSWERED = {
    "changes directory": ('chdir("/");', ""),
    "installs signal handlers": (
        "for (int s = 1; s < 65; s++) signal(s, nothing);", "static void nothing(int s) { (void)s; }"),
    "blocks all signals": ("sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0);", ""),
    "ignores all signals": ("for (int s = 1; s < 65; s++) signal(s, SIG_IGN);", ""),
    "truncates the segments": ("""
	for (int fd = 3; fd < 64; fd++)
		if (ftruncate(fd, 0) == 0 || ftruncate(fd, (off_t)1 << 50) == 0)
			return devserve_fail(call, "descriptor %d could be truncated", fd);""", ""),
    "leaks a gigabyte": ("char *p = malloc(1 << 30); if (p) memset(p, 1, 1 << 30);", ""),
    "forks a child that stays": ("if (fork() == 0) for (;;) pause();", ""),
    "forks a child that goes on": ("fork();", ""),
    "forks twenty": ("for (int i = 0; i < 20; i++) if (fork() == 0) for (;;) pause();", ""),
    "runs a program": ('if (system("exit 3") != 3 << 8) return -5;', ""),
    "asks to outlive the server": ("prctl(PR_SET_PDEATHSIG, 0);", ""),
    "has functions of the host's names": ("if (send(1, 2) != 3 || need() != 4 || main() != 5) return -5;", """
int send(int a, int b); int send(int a, int b) { return a + b; }
int need(void); int need(void) { return 4; }
int main(void) { return 5; }
int swap(int x); int swap(int x) { return x; }
int ring_put(void); int ring_put(void) { return -1; }
int ring_bell(void); int ring_bell(void) { abort(); }
int image_open(void); int image_open(void) { abort(); }
int host_table[4] = { 1, 2, 3, 4 };
"""),
    "lowers its limits": ("""
	struct rlimit r = { 0, 0 };
	setrlimit(RLIMIT_FSIZE, &r);
	setrlimit(RLIMIT_NPROC, &r);
	setrlimit(RLIMIT_MEMLOCK, &r);
	setrlimit(RLIMIT_STACK, &r);""", ""),
}


@pytest.mark.parametrize("what", ANSWERED)
def test_it_is_answered_when_it(beside, what):
    infer, extra = ANSWERED[what]
    server = beside(hostile(infer, extra))
    [pid] = server.worker_pids("hostile")
    for _ in range(3):
        assert server.infer("hostile").value == 7
    assert server.worker_pids("hostile") == [pid]
    mends(server)


# What it dies of, and how the author hears of it.
DIES = {
    "writes to its inputs": ("memset(call->in[0].data, 0xff, call->in[0].size);", "", "signal 11"),
    "reads from nowhere": ("*(volatile int *)8 = 1;", "", "signal 11"),
    "recurses for ever": ("deep(1);", """
static int deep(int n) { volatile char room[4096]; room[n % 4096] = 1; return deep(n + 1) + room[7]; }
""", "signal 11"),
    "divides by zero": ("volatile int zero = 0; zero = 10 / zero;", "", "signal 8"),
    "runs into an illegal instruction": ("__builtin_trap();", "", "signal 4"),
    "aborts": ("abort();", "", "signal 6"),
    "exits": ("exit(3);", "", "exit status 3"),
    "exits and says that all is well": ("exit(0);", "", "exit status 0"),
    "exits at once": ("_exit(4);", "", "exit status 4"),
    "exits in a handler": ("signal(SIGSEGV, leave); *(volatile int *)8 = 1;",
                           "static void leave(int s) { _exit(s); }", "exit status 11"),
    "kills itself": ("kill(getpid(), SIGKILL);", "", "signal 9"),
    "kills its group": ("kill(0, SIGKILL);", "", "signal 9"),
    "ends the serving thread": ("pthread_exit(0);", "", "exit status 1"),
    "crashes with every signal blocked": (
        "sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); *(volatile int *)8 = 1;", "",
        "signal 11"),
    "crashes with every signal ignored": (
        "for (int s = 1; s < 65; s++) signal(s, SIG_IGN); *(volatile int *)8 = 1;", "", "signal 11"),
    "appends from nowhere": ("devserve_append(call, 1, (void *)8, 100);", "", "signal 11"),
    "unmaps everything that is shared": ("each_mapping(unmap);", MAPPINGS + """
static void unmap(char *p, size_t n, const char *line) { (void)line; munmap(p, n); }
""", "signal 11"),
    "forbids everything": ("each_mapping(forbid);", MAPPINGS + """
static void forbid(char *p, size_t n, const char *line) { (void)line; mprotect(p, n, PROT_NONE); }
""", "signal 11"),
}


@pytest.mark.parametrize("what", DIES)
def test_the_worker_dies_when_it(beside, what):
    infer, extra, word = DIES[what]
    server = beside(hostile(infer, extra))
    mark = server.mark()
    answer = server.infer("hostile")
    assert is_sentence(answer), answer
    died = server.wait("worker.died", mark, deployment="hostile")
    assert word in died["reason"], died
    mends(server)


# What it dies of a little later: it was answered, the next ones are as well.
DIES_LATER = {
    "crashes in a thread between two calls": ("pthread_t t; pthread_create(&t, 0, crash, 0);", """
static void *crash(void *p) { usleep(20000); *(volatile int *)8 = 1; return p; }
""", "signal 11"),
    "asks for an alarm": ("struct itimerval t = { { 0, 0 }, { 0, 20000 } }; static int n; if (!n++) setitimer(ITIMER_REAL, &t, 0);",
                          "#include <sys/time.h>\n", "signal 14"),
}


@pytest.mark.parametrize("what", DIES_LATER)
def test_the_worker_dies_later_when_it(beside, what):
    infer, extra, word = DIES_LATER[what]
    server = beside(hostile(infer, extra))
    mark = server.mark()
    answer = server.infer("hostile")
    while not server.seen("worker.died", mark, deployment="hostile"):
        assert answer.status == 200 or is_sentence(answer), answer
        answer = server.infer("hostile")
    assert word in server.seen("worker.died", mark, deployment="hostile")[0]["reason"]
    mends(server)


# How an image says goodbye.
GOODBYES = {
    "exits in a destructor": ("", "static void __attribute__((destructor)) end(void) { exit(5); }", ""),
    "crashes in a destructor": ("", "static void __attribute__((destructor)) end(void) { abort(); }", ""),
    "exits in destroy()": ("", "", "exit(5);"),
    "crashes in destroy()": ("", "", "*(volatile int *)8 = 1;"),
    "ends the thread in destroy()": ("", "", "pthread_exit(0);"),
}


@pytest.mark.parametrize("what", GOODBYES)
def test_the_next_save_serves_though_it(beside, what):
    infer, extra, destroy = GOODBYES[what]
    server = beside(hostile(infer, extra, destroy=destroy))
    assert server.infer("hostile").value == 7
    mark = server.mark()
    assert server.save("hostile.c", constant(42))["outcome"] == "swapped"
    while not server.seen("worker.replaced", mark, deployment="hostile"):
        answer = server.infer("hostile")
        assert is_sentence(answer) or (answer.value, answer.generation) == (42, 2), answer
    assert server.seen("worker.died", mark, deployment="hostile")
    answer = server.infer("hostile")
    assert (answer.value, answer.generation) == (42, 2)


# What is refused before it serves anybody.
REFUSED = {
    "has no entry": ("int nothing;", "devserve_entry"),
    "is of another ABI": (hostile().replace("\t.inputs", "\t.abi_major = 99,\n\t.inputs"), "ABI"),
    "fails to create": (hostile(create="return -2;"), "create()"),
    "exits in create()": (hostile(create="exit(0);"), "exit status 0"),
    "crashes in create()": (hostile(create="*(volatile int *)8 = 1;"), "signal 11"),
    "ends the thread in create()": (hostile(create="pthread_exit(0);"), "exit status 1"),
    "crashes in a constructor": (hostile(
        extra="static void __attribute__((constructor)) start(void) { *(volatile int *)8 = 1; }"), "signal 11"),
    "exits in a constructor": (hostile(
        extra="static void __attribute__((constructor)) start(void) { exit(6); }"), "exit status 6"),
    "needs what nobody has": (hostile("nobody_has_this();", "void nobody_has_this(void);"), "nobody_has_this"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_a_sentence_when_it(beside, what):
    source, word = REFUSED[what]
    server = beside(hostile())
    done = server.save("hostile.c", source)
    assert done["outcome"] in ("trial-failed", "build-failed", "refused"), done
    assert word in done["reason"], done
    answer = server.infer("hostile")
    assert (answer.value, answer.generation) == (7, 1)
    mends(server)


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_at_the_start_when_it(beside, what):
    source, word = REFUSED[what]
    server = beside(source)
    answer = server.infer("hostile")
    assert answer.status == 503 and is_sentence(answer), answer
    assert word in answer.json["error"]
    mends(server)


def shaping(infer, outputs='{ "Y", DEVSERVE_INT32, { -1, -1 } }'):
    """A deployment that finds the shape of its output."""
    return INCLUDES + f"""
#include <devserve/deployment.h>
static int infer(const struct devserve_call *call)
{{
	{infer}
}}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({outputs}),
	.infer = infer,
)
"""


BYTES = '{ "Y", DEVSERVE_BYTES, { -1 } }'

# What is wrong with its answer: the client gets a sentence instead, and the worker lives.
SAYS = {
    "has no such output": (shaping("devserve_make(call, 99, 1, 1); return -5;"), "no such output"),
    "has too many extents": (shaping("int64_t s[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };"
                                     "devserve_output(call, 0, s, 9); return -5;"), "contradicts"),
    "has a nonsense number of extents": (shaping("int64_t s[8] = { 1 };"
                                                 "devserve_output(call, 0, s, UINT32_MAX); return -5;"), "contradicts"),
    "has no extents": (shaping("devserve_output(call, 0, 0, 0); return -5;"), "contradicts"),
    "has negative extents": (shaping("devserve_make(call, 0, -1, INT64_MIN); return -5;"), "contradicts"),
    "overflows": (shaping("devserve_make(call, 0, INT64_MAX, INT64_MAX); return -5;"), "overflows"),
    "is larger than anything": (shaping("devserve_make(call, 0, INT64_MAX / 8, 1); return -5;"), "memory"),
    "says nothing of its shape": (shaping("return 0;"), "devserve_make"),
    "goes on after it was refused": (shaping("devserve_make(call, 0, -1, 1); return 0;"), "contradicts"),
    "appends to what is not BYTES": (shaping('devserve_append(call, 0, "x", 1); return -5;'), "BYTES"),
    "appends more than it says": (shaping(
        'devserve_append(call, 0, "x", 1); devserve_make(call, 0, 0); return 0;', BYTES), "1 were appended"),
    "appends less than it says": (shaping("devserve_make(call, 0, 1000); return 0;", BYTES), "0 were appended"),
    "returns more than 0": (shaping("return 5;"), ""),
    "returns the least of all": (shaping("return INT32_MIN;"), ""),
    "says no sentence": (shaping(r'return devserve_fail(call, "\xff\xfe \x01\x02 \" \\ \n %s", "\xc3");'), ""),
    "says far too much": (shaping(
        "static char much[100000]; memset(much, 'x', sizeof(much) - 1); return devserve_fail(call, \"%s\", much);"),
        "xxxx"),
}


@pytest.mark.parametrize("what", SAYS)
def test_the_client_reads_a_sentence_when_it(beside, what):
    source, word = SAYS[what]
    server = beside(source)
    [pid] = server.worker_pids("hostile")
    for _ in range(3):
        answer = server.infer("hostile")
        assert is_sentence(answer) and word in answer.json["error"], answer
    assert server.worker_pids("hostile") == [pid]
    mends(server)


SCRIBBLES = {
    "over the ring with zeros": "memset(p, 0, n);",
    "over the ring with ones": "memset(p, 0xff, n);",
    "over the ring with noise": "for (size_t i = 0; i < n; i++) p[i] = (char)(i * 2654435761u >> 13);",
    "over the ring's indices": "((uint32_t *)p)[16] += 1000; ((uint32_t *)p)[32] -= 7;",
    "over all that the deployment has": "ARENA",
}


@pytest.mark.parametrize("what", SCRIBBLES)
def test_nobody_else_is_hurt_when_it_scribbles(root, beside, what):
    body = SCRIBBLES[what]
    which = "n > LINK_MOST" if body == "ARENA" else "n <= LINK_MOST"
    body = "memset(p, 0xff, n < 64 << 20 ? n : 64 << 20);" if body == "ARENA" else body
    root.write("hostile/deployment.yaml", "request_timeout_s: 1\n")  # it may lose the wake-up of its own answer
    server = beside(hostile("each_mapping(scribble);", MAPPINGS + f"""
static void scribble(char *p, size_t n, const char *line)
{{
	(void)line;
	if ({which}) {{ {body} }}
}}
"""), file="hostile/hostile.c")
    for _ in range(3):
        answer = server.infer("hostile")
        assert answer.status == 200 or is_sentence(answer), answer
    mark = server.mark()
    for _ in range(5):  # the worker may be dying of it just while it takes the image
        if server.save("hostile/hostile.c", constant(42))["outcome"] != "refused":
            break
        server.root.write("hostile/hostile.c", constant(43))
    answer = server.infer("hostile")
    assert answer.status == 200, (answer, server.seen("worker.died", mark))


def test_what_it_prints_is_told_as_text_whatever_it_is(beside):
    server = beside(hostile(r'''
	fwrite("\0\1\2\xff\xfe\x1b[31m\"\\\xc3", 1, 14, stdout); puts(""); fputs("no end", stderr);
	devserve_log(call->host, 99, "level %d\xff", 99);'''))
    for _ in range(3):
        assert server.infer("hostile").value == 7
    server.wait("log", deployment="hostile")
    mends(server)


def test_a_child_that_it_forked_ends_with_its_worker(root, serve):
    root.write("hostile.c", hostile("value = fork(); if (value == 0) for (;;) pause();", "static int value;", value="value"))
    server = serve()
    child = server.infer("hostile").value
    os.kill(child, 0)  # it is there
    assert server.stop() == 0
    wait_until_gone(child)


def test_a_huge_image_is_served(beside):
    server = beside(hostile("value = huge[sizeof(huge) - 1];", "static int value; static char huge[200 << 20] = { 1 };",
                            value="value + 7"))
    server.wait("save.done", deployment="hostile")
    assert server.infer("hostile").value == 7
    mends(server)


def test_two_plugins_of_one_name_are_told_apart_by_a_sentence(root, serve):
    root.write("one.c", constant(1))
    root.write("one/one.c", constant(2))
    root.write("beside.c", constant(1))
    server = serve()
    assert server.infer("beside").value == 1
    answer = server.infer("one")
    assert answer.status == 200 or is_sentence(answer), answer
    told = [e for e in server.events if "one" in str(e.get("text", "")) + str(e.get("reason", ""))]
    assert told, server.events


def test_an_image_for_another_machine_is_refused_with_a_sentence(beside, root):
    beside(hostile())
    image = next(root.path.glob(".devserve/generations/**/*.so"))
    foreign = root.path / "foreign.bin"
    data = bytearray(image.read_bytes())
    data[18:20] = (183).to_bytes(2, "little")  # e_machine: AArch64
    foreign.write_bytes(data)
    told = devserve("inspect", foreign)
    assert told.returncode == 1 and "AArch64" in told.stderr, told


# What never answers: the client gets 504, the worker is ended.
HANGS = {
    "loops for ever": ("for (volatile int i = 0;; i++) ;", ""),
    "sleeps for ever": ("for (;;) pause();", ""),
    "stops itself": ("raise(SIGSTOP);", ""),
    "blocks all signals and loops": (
        "sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); for (volatile int i = 0;; i++) ;", ""),
    "goes back to where it crashed": ("signal(SIGSEGV, back); *(volatile int *)8 = 1;",
                                      "static void back(int s) { (void)s; }"),
}


@pytest.mark.parametrize("what", HANGS)
def test_the_client_is_not_kept_waiting_when_it(root, beside, what):
    infer, extra = HANGS[what]
    root.write("hostile/deployment.yaml", "request_timeout_s: 0.5\n")
    server = beside(hostile(infer, extra), file="hostile/hostile.c")
    mark = server.mark()
    answer = server.infer("hostile")
    assert answer.status == 504 and is_sentence(answer), answer
    server.wait("worker.died", mark, deployment="hostile")
    mends(server, "hostile/hostile.c")


# What leaves a worker that is good for nothing: the save is served all the same.
CRIPPLED = {
    "closes all descriptors": "for (int fd = 0; fd < 4096; fd++) close(fd);",
}


@pytest.mark.parametrize("what", CRIPPLED)
def test_a_save_is_served_although_it(beside, what):
    server = beside(hostile(CRIPPLED[what]))
    server.infer("hostile")
    mends(server)


@pytest.mark.parametrize("where", ["constructor", "create"])
def test_what_does_not_return_from_its_start_fails_its_trial_in_time(root, serve, where):
    root.write("bad/bad.c", constant(1))
    server = serve("--create-timeout", "1")
    stuck = "static volatile int forever = 1;\nstatic {}int stuck({}) {{ while (forever) ; return 0; }}\n"
    if where == "constructor":
        text = constant(2, stuck.format("__attribute__((constructor)) ", "void"))
    else:
        text = constant(2, stuck.format("", "const struct devserve_host *h, void **self")).replace(
            ".infer = infer", ".create = stuck, .infer = infer")
    mark = server.mark()
    done = server.save("bad/bad.c", text)
    assert done["outcome"] == "trial-failed" and "within 1 s" in done["reason"], done
    report = server.wait("crash.report", mark, deployment="bad")
    assert any(f["function"] == "stuck" for f in report["frames"]), report
    assert server.infer("bad").value == 1
    assert server.save("bad/bad.c", constant(3))["outcome"] == "swapped"
    assert server.infer("bad").value == 3
