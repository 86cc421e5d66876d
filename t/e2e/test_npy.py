# SPDX-License-Identifier: MIT
"""The .npy files that `devserve infer` reads and writes are numpy's, both ways."""

import random
import struct
import subprocess

import pytest

from devserve import BUILD

numpy = pytest.importorskip("numpy")

TYPES = {"BOOL": "b1", "INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8", "UINT8": "u1", "UINT16": "u2",
         "UINT32": "u4", "UINT64": "u8", "FP16": "f2", "FP32": "f4", "FP64": "f8"}


class Copier:
    """Hands files to our reader, and what it understood to our writer."""

    def __init__(self, place):
        self.place = place
        self.process = subprocess.Popen([BUILD / "t/npy_copy"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def copy(self, source):
        target = self.place / "copy.npy"
        target.unlink(missing_ok=True)
        self.process.stdin.write(f"{source} {target}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n"), target

    def copy_bytes(self, data):
        source = self.place / "made.npy"
        source.write_bytes(data)
        return self.copy(source)

    def copy_array(self, array, **options):
        source = self.place / "saved.npy"
        with open(source, "wb") as file:
            numpy.lib.format.write_array(file, array, **options)
        return self.copy(source)


@pytest.fixture(scope="module")
def copier(tmp_path_factory):
    copier = Copier(tmp_path_factory.mktemp("npy"))
    yield copier
    copier.process.stdin.close()
    assert copier.process.wait() == 0


def random_shape(rng):
    return tuple(rng.choice((0, 1, 1, 2, 3, 5, 17)) for _ in range(rng.randrange(0, 6)))


def random_array(rng, name):
    """Any bytes of the type, so that NaNs and the like are among them; then any order."""
    shape = random_shape(rng)
    dtype = numpy.dtype(rng.choice("<>") + TYPES[name])
    size = int(numpy.prod(shape)) * dtype.itemsize
    array = numpy.frombuffer(rng.randbytes(size), dtype).reshape(shape)
    if name == "BOOL":
        array = numpy.frombuffer(rng.randbytes(size), "u1").reshape(shape) > 127
    return numpy.array(array, order=rng.choice("FC"))


@pytest.mark.parametrize("name", TYPES)
def test_numbers_survive_the_way_there_and_back(copier, name):
    rng = random.Random(name)
    for version in [(1, 0), (2, 0), (3, 0)] * 20:
        array = random_array(rng, name)
        said, target = copier.copy_array(array, version=version)
        assert said == f"{name}[{','.join(map(str, array.shape))}]"
        back = numpy.load(target, allow_pickle=False)
        assert back.dtype == numpy.dtype("<" + TYPES[name]) and back.shape == array.shape
        assert back.flags.c_contiguous
        assert back.tobytes() == numpy.ascontiguousarray(array).astype(back.dtype).tobytes()


def test_strings_become_bytes(copier):
    rng = random.Random(1)
    for _ in range(40):
        shape = random_shape(rng)
        texts = ["".join(rng.choice("aé€😀 \n") for _ in range(rng.randrange(0, 9))) for _ in range(int(numpy.prod(shape)))]
        array = numpy.array(texts, dtype=rng.choice("<>") + "U9").reshape(shape)
        said, target = copier.copy_array(numpy.array(array, order=rng.choice("FC")))
        assert said == f"BYTES[{','.join(map(str, array.shape))}]"
        assert [b.decode() for b in numpy.load(target).reshape(-1)] == texts
        raw = numpy.array([t.encode() for t in texts], dtype="S40").reshape(shape)
        said, target = copier.copy_array(raw)
        assert (numpy.load(target) == raw).all()


def header(text, version=1, length=None):
    text = text.encode("latin1") + b"\n"
    size = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", size) + text


def dictionary(descr="'<f4'", fortran="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


EIGHT = bytes(8)


LIES = [
    (b"", "it is empty"),
    (b"P\x00", "it is no .npy file"),
    (b"\x93NUMPX\x01\x00\x00\x00", "it is no .npy file"),
    (header(dictionary(), version=4) + EIGHT, "its version 4.0 isn't known"),
    (header(dictionary(), length=60000) + EIGHT, "it ends in its header"),
    (header(dictionary(), version=2, length=0xffffffff) + EIGHT, "it ends in its header"),
    (header(dictionary()) + bytes(7), "its header promises 8 bytes of data, but there are 7"),
    (header(dictionary()) + bytes(9), "its header promises 8 bytes of data, but there are 9"),
    (header(dictionary(shape="(99999999999,)")) + EIGHT, "its header promises 399999999996 bytes of data, but there are 8"),
    (header(dictionary(shape="(9223372036854775807, 9223372036854775807)")) + EIGHT,
     "its header promises more than any file could hold"),
    (header(dictionary(shape="(99999999999999999999,)")) + EIGHT, "its header has no 'shape' that can be read"),
    (header(dictionary(shape="(-1,)")) + EIGHT, "its header has no 'shape' that can be read"),
    (header(dictionary(shape="(1 2)")) + EIGHT, "its header has no 'shape' that can be read"),
    (header(dictionary(shape="(1,)*9")) + EIGHT, "its header can't be read"),
    (header(dictionary(shape="(" + "1," * 9 + ")")) + EIGHT, "it has more than 8 dimensions"),
    (header(dictionary(descr="'|O'")) + EIGHT, "it holds Python objects, which no tensor is"),
    (header(dictionary(descr="'<c8'")) + EIGHT, "elements of the type '<c8' can't be sent; convert them with astype()"),
    (header(dictionary(descr="'|S0'")) + EIGHT, "elements of the type '|S0' can't be sent; convert them with astype()"),
    (header(dictionary(descr="'<f3'")) + EIGHT, "elements of the type '<f3' can't be sent; convert them with astype()"),
    (header(dictionary(descr="'<f4x'")) + EIGHT, "elements of the type '<f4x' can't be sent; convert them with astype()"),
    (header(dictionary(descr="[('x', '<f4')]")) + EIGHT, "it holds records; save one of their fields"),
    (header(dictionary(descr="'<f\\x34'")) + EIGHT, "its header has no 'descr' that can be read"),
    (header(dictionary(fortran="1")) + EIGHT, "its header's 'fortran_order' is neither True nor False"),
    (header("{'descr': '<f4', 'fortran_order': False}") + EIGHT, "its header can't be read"),
    (header("{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}") + EIGHT, "its header says something twice"),
    (header("{'descr': '<f4', 'order': False, 'shape': (2,)}") + EIGHT, "its header says something that isn't known"),
    (header(dictionary() + "; import os") + EIGHT, "its header can't be read"),
    (header("__import__('os').system('true')") + EIGHT, "its header can't be read"),
    (header(dictionary(descr="'<U1'")) + struct.pack("<II", 65, 0xd800), "it holds a character that isn't one"),
    (header(dictionary(descr="'<U1'")) + struct.pack("<II", 65, 0x110000), "it holds a character that isn't one"),
]


@pytest.mark.parametrize("data, sentence", LIES, ids=[sentence for _, sentence in LIES])
def test_a_file_that_lies_is_refused_with_a_sentence(copier, data, sentence):
    said, target = copier.copy_bytes(data)
    assert said == f"{copier.place}/made.npy: {sentence}"
    assert not target.exists()


def test_what_is_no_file_is_refused(copier):
    assert copier.copy(copier.place)[0] == f"{copier.place}: it is no file"
    assert copier.copy("/dev/zero")[0] == "/dev/zero: it is no file"
    assert copier.copy("/nowhere.npy")[0] == "/nowhere.npy: No such file or directory"
    large = copier.place / "large.npy"
    with open(large, "wb") as file:
        file.truncate((1 << 30) + 1)
    assert copier.copy(large)[0] == f"{large}: it is too large"


def test_half_of_a_file_is_refused_wherever_it_ends(copier):
    whole = header(dictionary(shape="(2, 1)")) + EIGHT
    for size in range(len(whole)):
        said, _ = copier.copy_bytes(whole[:size])
        assert said.startswith(f"{copier.place}/made.npy: it") and " is wrong" not in said
    assert copier.copy_bytes(whole)[0] == "FP32[2,1]"
