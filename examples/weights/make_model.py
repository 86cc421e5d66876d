# SPDX-License-Identifier: MIT
"""Write model.safetensors: python3 make_model.py [SCALE]

A safetensors file is eight bytes with the length of a JSON header, the header, the data. The
`safetensors` package writes them from numpy and PyTorch; this one needs nothing but Python.
"""

import json
import pathlib
import struct
import sys

scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
tensors = {"weight": ([2, 3], [1, 2, 3, 4, 5, 6]), "bias": ([2], [0.5, -0.5])}

header, data = {}, b""
for name, (shape, values) in tensors.items():
    packed = struct.pack(f"<{len(values)}f", *(scale * v for v in values))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
    data += packed
text = json.dumps(header).encode()
text += b" " * (-(len(text) + 8) % 64)

path = pathlib.Path(__file__).resolve().parent / "model.safetensors"
path.write_bytes(struct.pack("<Q", len(text)) + text + data)
