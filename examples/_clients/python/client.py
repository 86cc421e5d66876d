# SPDX-License-Identifier: MIT
"""Ask `hello` and `cpp` with Triton's own client: python3 client.py HOST:PORT"""

import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException


def tensor(name, datatype, array):
    t = http.InferInput(name, array.shape, datatype)
    t.set_data_from_numpy(array)
    return t


client = http.InferenceServerClient(sys.argv[1] if len(sys.argv) > 1 else "localhost:8000")

x = np.array([3, 9, 4, 9, 1], np.float32)
answer = client.infer("hello", [tensor("X", "FP32", x)])
print("hello:", answer.as_numpy("Y"))

answer = client.infer("cpp", [tensor("X", "FP32", x), tensor("K", "INT32", np.array([3], np.int32))])
print("cpp:", answer.as_numpy("VALUES"), "at", answer.as_numpy("INDICES"))

try:
    client.infer("cpp", [tensor("X", "FP32", x), tensor("K", "INT32", np.array([6], np.int32))])
except InferenceServerException as e:
    print("refused:", e.message())
