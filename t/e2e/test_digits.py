# SPDX-License-Identifier: MIT
"""The trained network that ships with devserve: what its README says is true over HTTP.

t/lib/digits_heldout.csv is written by plugins/digits/train.py: images it has not trained on.
"""

import re

import pytest

from devserve import TREE

IMAGES = [[int(v) for v in line.split(",")] for line in (TREE / "t/lib/digits_heldout.csv").read_text().split()]


def ask(server, images):
    return server.infer("digits", {"inputs": [{
        "name": "IMAGE", "datatype": "FP32", "shape": [len(images), 64],
        "data": [value for image in images for value in image[1:]]}]})


@pytest.fixture
def server(root, serve):
    root.copy("digits")
    return serve()


@pytest.mark.parametrize("batch", [1, 32])
def test_of_the_held_out_images_97_in_100_are_read(server, batch):
    right = 0
    for i in range(0, len(IMAGES), batch):
        images = IMAGES[i:i + batch]
        answer = ask(server, images)
        probabilities = answer.output("PROBABILITIES")
        for k, digit in enumerate(answer.output("DIGIT")):
            row = probabilities[10 * k:10 * k + 10]
            assert abs(sum(row) - 1) < 1e-5 and row[digit] == max(row)
            right += digit == images[k][0]
    assert len(IMAGES) == 360
    assert right / len(IMAGES) >= 0.97
    told = re.search(r"([\d.]+) % \((\d+) of 360\)", (TREE / "plugins/digits/README.md").read_text())
    assert (round(100 * right / 360, 1), right) == (float(told[1]), int(told[2]))


def test_weights_of_another_network_are_refused(server):
    mark = server.mark()
    model = server.root.path / "digits/model.safetensors"
    content = model.read_bytes().replace(b"fc1.weight", b"fc9.weight")
    new = model.with_name(".new")
    new.write_bytes(content)
    new.rename(model)
    done = server.wait("save.done", mark, deployment="digits")
    assert done["outcome"] == "trial-failed"
    assert 'model.safetensors has no "fc1.weight"; it has fc9.weight, fc1.bias' in done["reason"]
    assert ask(server, IMAGES[:1]).status == 200
