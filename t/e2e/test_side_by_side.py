# SPDX-License-Identifier: MIT
"""Canaries and shadows come and go, saves swap, workers are killed, clients leave: all at once."""

import json
import os
import random
import signal
import threading
import time

from devserve import LONG, Client, deployment, x

STEPS = 2000 if LONG else 60


def source(value):
    return deployment(f"\tif (x == 9) usleep(3000);\n\t*y = {value};", "#include <unistd.h>")


def load(server, seed, stop, wrong):
    chance, client = random.Random(seed), server.new_client()
    while not stop.is_set():
        answer = client.infer("one", x(chance.choice([0, 1, 9])))
        if answer.status != 200 or answer.value != answer.generation:
            wrong.append(answer)


def leave_early(server, stop):
    while not stop.wait(0.02):
        client = server.new_client()
        client.connection.request("POST", "/v2/models/one/infer", json.dumps(x(9)).encode())
        client.close()


class Author:
    """One step after the other, drawn by chance."""

    def __init__(self, server, seed):
        self.server, self.chance, self.generation = server, random.Random(seed), 1
        self.client = Client(server.url, server.run_json()["token"])

    def post(self, kind, query):
        answer = self.client.call("POST", f"/-/{kind}?deployment=one&{query}", b"")
        assert answer.status in (200, 409), answer

    def bring(self):
        generation = self.chance.randint(max(1, self.generation - 3), self.generation)
        self.post(self.chance.choice(["canary", "shadow"]),
                  f"generation={generation}&share={self.chance.choice([0.1, 0.5, 1])}")

    def end(self):
        self.post(self.chance.choice(["canary", "shadow"]), "generation=off")

    def save(self):
        done = self.server.save("one/one.c", source(self.generation + 1))
        assert done["outcome"] == "swapped", done
        self.generation = done["generation"]

    def kill(self):
        one = self.client.call("GET", "/-/status").json["deployments"][0]
        pids = [w["pid"] for w in one["workers"]] + one.get("companion", {}).get("pids", [])
        if pids:
            try:
                os.kill(self.chance.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def change_ones_mind(self):
        client = Client(self.server.url, self.server.run_json()["token"])
        client.connection.request("POST", f"/-/canary?deployment=one&generation={max(1, self.generation - 1)}&share=1", b"")
        client.close()

    def think(self):
        time.sleep(self.chance.random() / 10)

    def step(self):
        self.chance.choice([self.bring, self.bring, self.end, self.save, self.kill, self.change_ones_mind, self.think])()


def test_no_request_is_lost_and_every_answer_is_of_the_generation_it_names(root, serve):
    root.write("one/one.c", source(1))
    root.write("one/deployment.yaml", "num_replicas: 3\n")
    server, stop, wrong, seed = serve("--gate", "load"), threading.Event(), [], random.randrange(1000)
    threads = [threading.Thread(target=load, args=(server, i, stop, wrong)) for i in range(3)]
    threads.append(threading.Thread(target=leave_early, args=(server, stop)))
    for t in threads:
        t.start()
    author = Author(server, seed)
    try:
        for _ in range(STEPS):
            author.step()
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong, (seed, len(wrong), wrong[:3])
    assert server.seen("canary.started") or server.seen("shadow.started"), seed
