# SPDX-License-Identifier: MIT
"""Threads that a deployment starts: one that has ended is no hindrance, one that is left costs
the worker, never the service."""

import os

import pytest

from devserve import constant
from test_abi import images_mapped


def threaded(value, start, stop="", extra="", include="<pthread.h>"):
    """Answers `value`; `start` is the body of create(), `stop` of destroy()."""
    source = constant(value, f"""
#include {include}
#include <stdint.h>
#include <unistd.h>
{extra}
static int create(const struct devserve_host *host, void **self)
{{
	(void)host, (void)self;
	{start}
	return 0;
}}
static void destroy(void *self)
{{
	(void)self;
	{stop}
}}
""")
    return source.replace("\t.infer", "\t.create = create,\n\t.destroy = destroy,\n\t.infer")


WAITS = """
static pthread_t thread;
static volatile int stop;
static void *wait(void *p) { while (!stop) usleep(1000); return p; }
"""
WAITS_IN_A_CHILD = WAITS + """
static void *start(void *p)
{
	pthread_create(&thread, 0, wait, p);
	return p;
}
"""
CXX_WAITS = """
static std::thread *thread;
static std::atomic<bool> stop;
static void wait() { while (!stop) usleep(1000); }
"""
KEYS = """
static pthread_key_t key;
static void wipe(void *p) { usleep(20000); *(volatile int *)p = 0; }
static int wiped;
static void *use(void *p) { pthread_setspecific(key, &wiped); return p; }
"""

ENDS = {
    "joined.c": threaded(0, "pthread_create(&thread, 0, wait, 0);",
                         "stop = 1; pthread_join(thread, 0);", WAITS),
    "at_once.c": threaded(0, "pthread_t t; pthread_create(&t, 0, wipes, 0); pthread_detach(t);", "", """
static void *wipes(void *p) { return p; }
"""),
    "exits.c": threaded(0, "pthread_create(&thread, 0, ends, 0);", "pthread_join(thread, 0);", """
static pthread_t thread;
static void *ends(void *p) { pthread_exit(p); }
"""),
    "cancelled.c": threaded(0, "pthread_create(&thread, 0, wait, 0);",
                            "pthread_cancel(thread); pthread_join(thread, 0);", WAITS),
    "detached.c": threaded(0, "pthread_create(&thread, 0, wait, 0); pthread_detach(thread);",
                           "stop = 1;", WAITS),
    "child.c": threaded(0, "pthread_t t; pthread_create(&t, 0, start, 0); pthread_join(t, 0);",
                        "stop = 1; pthread_join(thread, 0);", WAITS_IN_A_CHILD),
    "keys.c": threaded(0, "pthread_t t; pthread_key_create(&key, wipe); "
                       "pthread_create(&t, 0, use, 0); pthread_detach(t);", "", KEYS),
    "c11.c": threaded(0, "thrd_create(&thread, wait, 0);", "stop = 1; thrd_join(thread, 0);", """
static thrd_t thread;
static volatile int stop;
static int wait(void *p) { while (!stop) usleep(1000); return p != 0; }
""", "<threads.h>"),
    "cxx.cc": threaded(0, "thread = new std::thread(wait);", "stop = true; thread->join(); delete thread;",
                       "#include <atomic>" + CXX_WAITS, "<thread>"),
    "openmp.c": constant("0", """
void GOMP_parallel(void (*run)(void *), void *data, unsigned n_threads, unsigned flags); /* what gcc calls */
static int n;
static void count(void *p) { __atomic_fetch_add(&n, 1, __ATOMIC_SEQ_CST); }
""").replace("\treturn 0;", "\tn = 0;\n\tGOMP_parallel(count, 0, 4, 0);\n\treturn n == 4 ? 0 : -5;"),
}

LEAVES = {
    "left.c": threaded(0, "pthread_create(&thread, 0, wait, 0);", "", WAITS),
    "left_detached.c": threaded(0, "pthread_create(&thread, 0, wait, 0); pthread_detach(thread);", "", WAITS),
    "left_child.c": threaded(0, "pthread_t t; pthread_create(&t, 0, start, 0); pthread_join(t, 0);", "",
                             WAITS_IN_A_CHILD),
    "left_c11.c": threaded(0, "thrd_create(&thread, wait, 0);", "", """
static thrd_t thread;
static int wait(void *p) { for (;;) usleep(1000); return p != 0; }
""", "<threads.h>"),
    "left_cxx.cc": threaded(0, "std::thread(wait).detach();", "", "#include <atomic>" + CXX_WAITS, "<thread>"),
    "left_constructor.cc": threaded(0, "", "", "#include <atomic>" + CXX_WAITS + """
struct Starts { Starts() { std::thread(wait).detach(); } };
static Starts starts;
""", "<thread>"),
    "left_infer.c": constant(0, """
#include <pthread.h>
#include <unistd.h>
static void *wait(void *p) { for (;;) usleep(1000); return p; }
static int start(void) { pthread_t t; return pthread_create(&t, 0, wait, 0); }
""").replace("\treturn 0;", "\treturn start();"),
}


def with_value(source, value):
    return source.replace("*y = 0;", f"*y = {value};")


def test_threads_that_have_ended_let_the_image_go(root, serve):
    for file, source in ENDS.items():
        root.write(file, source)
    server = serve()
    names = {file: file.split(".")[0] for file in ENDS}
    before = {name: server.worker_pids(name) for name in names.values()}
    for value in (1, 2, 3):
        for file, name in names.items():
            assert server.infer(name).value == value - 1
            assert server.save(file, with_value(ENDS[file], value))["outcome"] == "swapped"
            assert server.infer(name).value == value
    assert not server.seen("worker.replaced") and not server.seen("worker.died")
    assert {name: server.worker_pids(name) for name in names.values()} == before
    [openmp] = before["openmp"]
    assert len(os.listdir(f"/proc/{openmp}/task")) >= 2 + 3  # the worker's own, OpenMP's
    for [pid] in before.values():
        assert len(images_mapped(pid)) <= 2  # the one before may just be going


@pytest.mark.parametrize("file", LEAVES)
def test_a_thread_that_is_left_costs_the_worker_not_the_service(root, serve, file):
    root.write(file, LEAVES[file])
    server, name = serve(), file.split(".")[0]
    [before] = server.worker_pids(name)
    assert server.infer(name).value == 0
    mark = server.mark()
    assert server.save(file, with_value(LEAVES[file], 1))["outcome"] == "swapped"
    replaced = server.wait("worker.replaced", mark, deployment=name)
    answer = server.infer(name)
    assert (answer.value, answer.generation) == (1, 2)
    assert server.worker_pids(name) == [replaced["pid"]] != [before]
    assert not server.seen("worker.died", mark)
