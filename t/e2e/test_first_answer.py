# SPDX-License-Identifier: MIT
"""The first thing that a new user does: start it, ask it."""

import json
import subprocess

import numpy
import pytest
import tritonclient.http as triton

A = list(range(16))
B = [1] * 16
SIMPLE = {
    "id": "first",
    "inputs": [
        {"name": "INPUT0", "datatype": "INT32", "shape": [1, 16], "data": A},
        {"name": "INPUT1", "datatype": "INT32", "shape": [1, 16], "data": B},
    ],
}


@pytest.fixture
def server(root, serve):
    root.copy("simple")
    return serve()


def curl(*args):
    return subprocess.run(["curl", "-sS", "-m", "20", *args], check=True, capture_output=True,
                          text=True).stdout


def test_curl_gets_sum_and_difference(server):
    answer = json.loads(curl("-d", json.dumps(SIMPLE), f"{server.url}/v2/models/simple/infer"))
    outputs = {o["name"]: o for o in answer["outputs"]}
    assert (answer["model_name"], answer["id"]) == ("simple", "first")
    assert outputs["OUTPUT0"] == {"name": "OUTPUT0", "datatype": "INT32", "shape": [1, 16],
                                  "data": [a + b for a, b in zip(A, B)]}
    assert outputs["OUTPUT1"]["data"] == [a - b for a, b in zip(A, B)]


def test_every_answer_names_its_generation(server):
    answer = server.infer("simple", SIMPLE)
    assert (answer.status, answer.generation, answer.stale) == (200, 1, None)
    wrong = server.infer("simple", {"inputs": SIMPLE["inputs"][:1]})
    assert (wrong.status, wrong.generation) == (400, 1)
    assert "INPUT1" in wrong.json["error"]


def test_tritonclient_in_binary(server):
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    a = numpy.arange(32, dtype=numpy.int32).reshape(2, 16)
    b = numpy.full((2, 16), 3, dtype=numpy.int32)
    inputs = [triton.InferInput("INPUT0", a.shape, "INT32"), triton.InferInput("INPUT1", b.shape, "INT32")]
    for tensor, data in zip(inputs, (a, b)):
        tensor.set_data_from_numpy(data, binary_data=True)
    outputs = [triton.InferRequestedOutput("OUTPUT0", binary_data=True),
               triton.InferRequestedOutput("OUTPUT1", binary_data=False)]
    result = client.infer("simple", inputs, outputs=outputs, request_id="7")
    assert (result.as_numpy("OUTPUT0") == a + b).all()
    assert (result.as_numpy("OUTPUT1") == a - b).all()
    assert result.get_response()["id"] == "7"
    client.close()


def test_tritonclient_sees_health_and_metadata(server):
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("simple") and not client.is_model_ready("absent")
    assert client.get_server_metadata()["name"]
    metadata = client.get_model_metadata("simple")
    assert (metadata["name"], metadata["versions"]) == ("simple", ["1"])
    assert metadata["inputs"] == [{"name": f"INPUT{i}", "datatype": "INT32", "shape": [-1, 16]}
                                  for i in (0, 1)]
    client.close()


def test_what_is_not_there_is_404_with_a_sentence(server):
    answer = server.infer("absent", SIMPLE)
    assert answer.status == 404
    assert answer.json["error"].startswith("Request for unknown model")
    assert server.client.call("GET", "/v2/nothing").status == 404


def test_the_port_opens_before_the_first_build_has_ended(root, serve, compiler):
    root.copy("simple")
    compiler.hold()
    server = serve(ready=False, env=compiler.env)
    assert server.client.call("GET", "/v2/health/live").status == 200
    ready = server.client.call("GET", "/v2/health/ready")
    assert ready.status == 503 and ready.json
    loading = server.infer("simple", SIMPLE)
    assert loading.status == 503 and int(loading.headers["Retry-After"]) > 0 and loading.json["error"]
    compiler.go()
    server.wait_ready()
    assert server.infer("simple", SIMPLE).status == 200


def test_one_that_does_not_build_does_not_hinder_the_others(root, serve):
    root.write("broken/broken.c", "#error never\n")
    root.copy("simple")
    server = serve()
    assert server.infer("simple", SIMPLE).status == 200
    answer = server.infer("broken", SIMPLE)
    assert answer.status == 503 and "broken.c:1" in answer.json["error"]
    assert server.client.call("GET", "/v2/models/broken/ready").status != 200


@pytest.mark.parametrize("family", ["127.0.0.1", "[::1]"])
def test_it_listens_on_both_loopbacks(server, family):
    port = server.url.rsplit(":", 1)[1]
    assert curl("-o", "/dev/null", "-w", "%{http_code}", f"http://{family}:{port}/v2/health/live") == "200"
