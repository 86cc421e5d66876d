# SPDX-License-Identifier: MIT
"""Train the network that digits.c runs, and write model.safetensors.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scikit-learn
    /tmp/venv/bin/python plugins/digits/train.py

Wants scikit-learn for its handwritten digits (the test part of the UCI "Optical Recognition of
Handwritten Digits", 1797 images of 8 by 8, values 0 to 16) and for nothing else: the network is
numpy. Every fifth image, 360 in all, is held out, stratified, by the seed below; they are
written for the tests to t/lib/digits_heldout.csv, one image a line: the label, then 64 values.

Adam, cross-entropy, weight decay, some images moved by a pixel; sizes and rates were chosen on a
part of the images trained on, not on those held out. Prints the accuracy on the
held-out part, and fails below 97 %.
"""

import json
import pathlib
import struct

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20
SIZES = (64, 128, 64, 10)
EPOCHS, BATCH, RATE, DECAY, MOVED = 100, 64, 3e-3, 1e-3, 0.3
HERE = pathlib.Path(__file__).resolve().parent
HELD_OUT = HERE.parents[1] / "t/lib/digits_heldout.csv"


def split():
    digits = load_digits()
    return train_test_split(digits.data.astype(np.float32), digits.target, test_size=360,
                            stratify=digits.target, random_state=SEED)


def forward(parameters, x):
    """Every layer's input, and the logits: values are 0 to 1, hidden layers are cut off at 0."""
    inputs = [x / 16]
    for i in range(0, len(parameters), 2):
        y = inputs[-1] @ parameters[i] + parameters[i + 1]
        inputs.append(y if i == len(parameters) - 2 else np.maximum(y, 0))
    return inputs


def gradients(parameters, x, labels):
    *inputs, logits = forward(parameters, x)
    p = np.exp(logits - logits.max(1, keepdims=True))
    d = p / p.sum(1, keepdims=True)
    d[np.arange(len(x)), labels] -= 1
    d /= len(x)
    found = []
    for i in reversed(range(len(inputs))):
        found[:0] = [inputs[i].T @ d + DECAY * parameters[2 * i], d.sum(0)]
        d = (d @ parameters[2 * i].T) * (inputs[i] > 0)
    return found


def moved(x, random):
    """A part of the images by -1, 0 or 1 pixels in both directions."""
    padded = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    to = np.where(random.random((len(x), 1)) < MOVED, random.integers(0, 3, (len(x), 2)), 1)
    return np.stack([p[r:r + 8, c:c + 8] for p, (r, c) in zip(padded, to)]).reshape(-1, 64)


def train(x, labels):
    random = np.random.default_rng(SEED)
    parameters = []
    for n_in, n_out in zip(SIZES, SIZES[1:]):
        parameters += [random.normal(0, np.sqrt(2 / n_in), (n_in, n_out)).astype(np.float32),
                       np.zeros(n_out, np.float32)]
    m, v = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    step, steps = 0, EPOCHS * (len(x) // BATCH)
    for _ in range(EPOCHS):
        order = random.permutation(len(x))
        for i in range(0, len(x) - BATCH + 1, BATCH):
            batch, step = order[i:i + BATCH], step + 1
            for k, g in enumerate(gradients(parameters, moved(x[batch], random), labels[batch])):
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.999 * v[k] + 0.001 * g * g
                parameters[k] -= ((1 - step / steps) * RATE * (m[k] / (1 - 0.9 ** step))
                                  / (np.sqrt(v[k] / (1 - 0.999 ** step)) + 1e-8)).astype(np.float32)
    return parameters


def write_safetensors(path, tensors):
    """Eight bytes of length, a JSON header filled up so that the data begins at a multiple of 64, the data."""
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    data = b"".join(np.ascontiguousarray(t, "<f4").tobytes() for t in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    x, held_out, labels, truth = split()
    parameters = train(x, labels)
    accuracy = (forward(parameters, held_out)[-1].argmax(1) == truth).mean()
    print(f"{accuracy:.4f} of {len(truth)} held-out images ({len(x)} trained on, seed {SEED})")
    assert accuracy >= 0.97
    names = [f"fc{i // 2 + 1}.{'bias' if i % 2 else 'weight'}" for i in range(len(parameters))]
    write_safetensors(HERE / "model.safetensors", dict(zip(names, parameters)))
    lines = [",".join(map(str, [label, *image.astype(int)])) for label, image in zip(truth, held_out)]
    HELD_OUT.write_text("\n".join(lines) + "\n")


main()
