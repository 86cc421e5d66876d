# SPDX-License-Identifier: MIT
"""Workers that end, or don't, when something else is under way in their deployment."""

import http.client
import json
import os
import shutil
import threading

from devserve import constant, deployment, x

from test_replicas import SLOW_ON_NEGATIVE, until, workers_of

CRASH = deployment("\tif (x == 5)\n\t\tabort();\n\t*y = 0;", "#include <stdlib.h>")


def refuses_late(gate):
    """create() says no when it has passed the gate."""
    return constant(3, f"""\
{gate.source}
static int create(const struct devserve_host *host, void **self)
{{
	(void)self;
	devserve_log(host, DEVSERVE_INFO, "creating");
	pass_gate();
	return -EIO;
}}
""").replace(".infer = infer,", ".infer = infer,\n\t.create = create,")


def test_deaths_during_a_trial_that_fails_leave_a_worker(root, serve, gate):
    root.write("one/one.c", constant(1))
    server = serve()
    server.save("one/one.c", CRASH, "one")
    mark = server.mark()
    root.write("one/one.c", refuses_late(gate.shut()))
    server.wait("log", after=mark)
    client = server.new_client()
    for _ in range(3):
        assert client.infer("one", x(5)).status == 500
    gate.open()
    server.wait("save.done", after=mark, outcome="trial-failed")
    until(lambda s: len(workers_of(s, "one")) == 1, server)
    assert client.infer("one", x(0)).value == 0


def test_a_call_that_hangs_in_a_retired_worker_ends_that_one_alone(root, serve):
    root.write("one/one.c", SLOW_ON_NEGATIVE)
    root.write("one/deployment.yaml", "request_timeout_s: 3\n")
    server = serve()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(-1))))
    thread.start()
    until(lambda s: sum(d["in_flight"] for d in s["deployments"]) == 1, server)
    hanging = server.worker_pids("one")[0]
    mark = server.mark()
    server.save("one/deployment.yaml", "request_timeout_s: 3\nldlibs: [-lm]\n", "one")
    fresh = server.worker_pids("one")
    assert fresh != [hanging]
    thread.join()
    assert answers[0].status == 504
    for _ in range(20000):
        if not os.path.exists(f"/proc/{hanging}"):
            break
        server.status()
    assert not os.path.exists(f"/proc/{hanging}")
    assert server.worker_pids("one") == fresh
    assert not server.seen("worker.died", after=mark, pid=fresh[0])


def test_a_removal_while_a_call_is_run_once_more_and_its_client_is_gone(root, serve):
    root.write("one/one.c", deployment(
        '\tif (x == 5)\n\t\tfor (fprintf(stderr, "again\\n"); getppid();)\n\t\t\tsleep(1);\n\t*y = 1;',
        "#include <stdio.h>\n#include <unistd.h>"))
    server = serve()
    server.save("one/one.c", CRASH, "one")
    mark = server.mark()
    gone = http.client.HTTPConnection(server.new_client().connection.host, server.new_client().connection.port)
    gone.request("POST", "/v2/models/one/infer", json.dumps(x(5)))
    server.wait("log", after=mark)
    gone.close()
    shutil.rmtree(root.path / "one")
    server.wait("deployment.removed", after=mark)
    assert server.stop() == 0
