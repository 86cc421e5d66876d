# SPDX-License-Identifier: MIT
"""Weights: safetensors beside the sources, mapped for create(), swapped like code."""

import json
import os
import pathlib
import signal
import struct
import threading

import pytest

from devserve import devserve

DTYPES = {"F32": "f", "I32": "i", "U8": "B", "F64": "d"}


def safetensors(tensors, change=lambda header: None, data=None):
    """A file of {name: (dtype, shape, values)}; `change` lies in its header."""
    header, bytes_ = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        more = struct.pack(f"<{len(values)}{DTYPES[dtype]}", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(bytes_), len(bytes_) + len(more)]}
        bytes_ += more
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + (bytes_ if data is None else data)


def scale(value):
    return safetensors({"scale": ("F32", [1], [value])})


def plugin(create, answer, extra=""):
    """Answers the int that `answer` is, for which `create` finds the floats."""
    return f"""\
#include <devserve/deployment.h>
#include <devserve/ext/weights.h>
{extra}
static const float *w;

static int create(const struct devserve_host *host, void **self)
{{
	(void)self;
	{create}
	return w ? 0 : -1;
}}

static int infer(const struct devserve_call *call)
{{
	((int32_t *)call->out[0].data)[0] = (int32_t)({answer});
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.create = create,
	.infer = infer,
)
"""


SCALE = plugin('w = devserve_weight(host, "scale", DEVSERVE_FP32, 1);', "w[0]")


def put(root, name, content):
    """A weights file, whole: written beside and renamed over."""
    file = root.path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(content)
    new.rename(file)


def save(server, name, content):
    mark = server.mark()
    put(server.root, name, content)
    return server.wait("save.done", mark, deployment=name.split("/")[0])


@pytest.fixture
def server(root, serve):
    root.write("one/one.c", SCALE)
    put(root, "one/model.safetensors", scale(10))
    return serve()


def serves(server, value, generation, name="one"):
    answer = server.infer(name)
    assert (answer.value, answer.generation, answer.stale) == (value, generation, None)


def refused(server, done, *words):
    """The trial failed with a sentence that has `words`; generation 1 goes on."""
    assert done["outcome"] == "trial-failed", done
    failed = server.seen("trial.failed", deployment=done["deployment"])[-1]
    assert failed["reason"] == done["reason"]
    for word in words:
        assert word in done["reason"]
    answer = server.infer(done["deployment"])
    assert (answer.value, answer.generation, answer.stale) == (10, 1, "trial-failed")


def snapshots(server):
    return sorted(p.name for p in (server.root.path / ".devserve/weights").iterdir())


def test_weights_are_there_for_create(server):
    serves(server, 10, 1)


def test_a_changed_file_is_a_new_generation_without_a_compiler(server):
    done = save(server, "one/model.safetensors", scale(11))
    assert (done["outcome"], done["generation"], done.get("cached")) == ("swapped", 2, True)
    assert not {"gcc", "link"} & {stage["name"] for stage in done["stages"]}
    serves(server, 11, 2)


def test_changed_code_keeps_the_weights(server):
    for value in (15, 16):
        done = server.save("one/one.c", SCALE.replace("w[0]", f"w[0] + {value - 10}"))
        assert (done["outcome"], done["generation"]) == ("swapped", value - 13)
        serves(server, value, value - 13)
    assert "weights" not in {stage["name"] for stage in done["stages"]}  # the first may look twice at a young file


def test_the_same_weights_once_more_are_nothing(server):
    save(server, "one/model.safetensors", scale(10))  # the source may be too young to be known for sure
    generation = server.infer("one").generation
    assert save(server, "one/model.safetensors", scale(10))["outcome"] == "unchanged"
    serves(server, 10, generation)


def test_undo_is_a_new_generation(server):
    save(server, "one/model.safetensors", scale(11))
    assert save(server, "one/model.safetensors", scale(10))["outcome"] == "swapped"
    serves(server, 10, 3)


@pytest.mark.parametrize("content, words", [
    (scale(11)[:-2], ["model.safetensors is cut off", '"scale"']),
    (scale(11)[:20], ["model.safetensors is cut off", "header"]),
    (b"", ["model.safetensors has 0 bytes"]),
    (b"not of this format at all", ["is it a safetensors file?"]),
    (scale(11) + b"more", ["4 bytes at its end"]),
    (safetensors({"scale": ("F32", [1], [11])}, lambda h: h["scale"].update(shape=[2])), ['"scale" has 4 bytes', "want 8"]),
    (safetensors({"scale": ("F32", [1], [11])}, lambda h: h["scale"].update(shape=[2**62, 8])), ['"scale"', "more than"]),
    (safetensors({"scale": ("F32", [1], [11])}, lambda h: h["scale"].update(data_offsets=[0, 2**63])), ['cut off', '"scale"']),
    (safetensors({"scale": ("F32", [1], [11])}, lambda h: h["scale"].update(dtype="F8_E4M3")), ['"F8_E4M3"']),
])
def test_a_file_that_lies_is_refused_with_a_sentence(server, content, words):
    refused(server, save(server, "one/model.safetensors", content), *words)
    assert save(server, "one/model.safetensors", scale(12))["outcome"] == "swapped"
    serves(server, 12, 2)


def test_a_missing_name_is_refused_before_the_first_call(server):
    done = save(server, "one/model.safetensors", safetensors({"bias": ("F32", [1], [1]), "other": ("U8", [1], [1])}))
    refused(server, done, 'model.safetensors has no "scale"; it has bias, other')


def test_another_shape_is_refused_before_the_first_call(server):
    done = save(server, "one/model.safetensors", safetensors({"scale": ("F64", [2, 1], [1, 2])}))
    refused(server, done, '"scale" in model.safetensors is FP64[2,1], wanted FP32[1]')


def test_a_removed_file_is_refused(server):
    mark = server.mark()
    (server.root.path / "one/model.safetensors").unlink()
    refused(server, server.wait("save.done", mark, deployment="one"), 'there is no weight "scale"')


def test_a_first_file_that_lies_leaves_nothing_to_serve(root, serve):
    root.write("one/one.c", SCALE)
    put(root, "one/model.safetensors", scale(10)[:-1])
    answer = serve().infer("one")
    assert answer.status == 503 and "cut off" in answer.json["error"]


def test_of_two_files_each_has_its_names(root, serve):
    root.write("one/one.c", plugin('w = devserve_weight(host, "b/scale", DEVSERVE_FP32, 1);'
                                   'v = devserve_weight(host, "sub/a/scale", DEVSERVE_FP32, -1);'
                                   'u = devserve_weight(host, "only", DEVSERVE_FP32, 2, 1);',
                                   "w[0] + 10 * v[0] + 100 * u[1]", "static const float *v, *u;"))
    put(root, "one/sub/a.safetensors", scale(1))
    put(root, "one/b.safetensors", safetensors({"scale": ("F32", [1], [2]), "only": ("F32", [2, 1], [3, 4])}))
    server = serve()
    assert server.infer("one").value == 2 + 10 + 400
    done = server.save("one/one.c", SCALE)
    assert done["outcome"] == "trial-failed"
    assert '"scale" is in b.safetensors and in sub/a.safetensors; write "b/scale"' in done["reason"]


def test_a_tensor_can_be_looked_at(root, serve):
    root.write("one/one.cc", """
#include <devserve/deployment.h>
#include <devserve/ext/weights.h>

static int sum;

static int create(const devserve_host *host, void **)
{
	const devserve_tensor *t;

	for (uint32_t i = 0; (t = devserve_weight_at(host, i)); i++)
		sum += 10 * static_cast<int>(devserve_count(t));
	t = devserve_find_weight(host, "b");
	if (devserve_find_weight(host, "c") || t->dtype != DEVSERVE_INT32 || t->rank != 2)
		return -1;
	const float *a = devserve_weight<float>(host, "a", 1, 3);
	const float *scalar = devserve_weight<float>(host, "scalar");
	sum += static_cast<const int32_t *>(t->data)[devserve_dim(t, 1)] + static_cast<int>(a[2] + *scalar);
	return 0;
}

static int infer(const devserve_call *call)
{
	*static_cast<int32_t *>(call->out[0].data) = sum;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.create = create,
	.infer = infer,
)
""")
    put(root, "one/model.safetensors", safetensors({
        "a": ("F32", [1, 3], [1, 2, 3]), "b": ("I32", [2, 2], [4, 5, 6, 7]), "scalar": ("F32", [], [8]),
        "empty": ("F32", [0, 4], [])}))
    assert serve().infer("one").value == 10 * (3 + 4 + 1) + 6 + 3 + 8


def test_a_file_that_is_overwritten_in_place_changes_answers_only_by_a_swap(server):
    """A mapping of the file itself would show the new value at once, and die of the short file."""
    seen = set()
    for value in range(11, 16):
        mark = server.mark()
        file = server.root.path / "one/model.safetensors"
        with open(file, "r+b") as f:
            f.truncate(0)
            for byte in scale(value):
                f.write(bytes([byte]))
            f.flush()
            answer = server.infer("one")
        seen.add((answer.value, answer.generation))
        server.wait("save.done", mark, deployment="one", outcome="swapped")
        serves(server, value, value - 9)
    assert seen <= {(generation + 9, generation) for generation in range(1, 6)}


def test_requests_go_on_while_weights_change(server):
    """Every answer is of the weights that its generation has."""
    failed, stop = [], threading.Event()

    def ask():
        client = server.new_client()
        while not stop.is_set():
            answer = client.infer("one")
            if answer.status != 200 or answer.value != answer.generation + 9:
                failed.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for value in range(11, 31):
        assert save(server, "one/model.safetensors", scale(value))["outcome"] == "swapped"
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_copies_that_nothing_serves_are_removed(server):
    for value in (11, 12, 13):
        save(server, "one/model.safetensors", scale(value))
    # what a save leaves is tidied up before the next one's is; so do that once more
    for i in range(10):
        if len(snapshots(server)) <= 4:
            break
        server.save("one/one.c", SCALE + f"// once more: {i}\n")
    assert len(snapshots(server)) <= 4
    serves(server, 13, server.infer("one").generation)
    os.kill(server.worker_pids("one")[0], signal.SIGKILL)
    server.wait("worker.replaced", deployment="one")
    assert server.infer("one").value == 13


def test_two_deployments_share_one_copy(root, serve):
    for name in ("one", "two"):
        root.write(f"{name}/{name}.c", SCALE)
        put(root, f"{name}/model.safetensors", scale(10))
    server = serve()
    serves(server, 10, 1, "one")
    serves(server, 10, 1, "two")
    assert len([name for name in snapshots(server) if name.endswith(".safetensors")]) == 1


def test_new_code_finds_the_same_mapping(server):
    def mappings():
        lines = pathlib.Path(f"/proc/{server.worker_pids('one')[0]}/maps").read_text().splitlines()
        return [line for line in lines if ".safetensors" in line]

    before = mappings()
    assert len(before) == 1
    server.save("one/one.c", SCALE + "/* new */\n")
    assert mappings() == before
    save(server, "one/model.safetensors", scale(11))
    server.save("one/one.c", SCALE)  # the old image is closed when this has swapped
    after = mappings()
    assert len(after) == 1 and after != before


def test_it_is_the_same_generation_after_a_restart(root, serve):
    root.write("one/one.c", SCALE)
    put(root, "one/model.safetensors", scale(10))
    first = serve()
    save(first, "one/model.safetensors", scale(11))
    first.stop()
    second = serve()
    serves(second, 11, 2)
    second.stop()
    put(root, "one/model.safetensors", scale(12))
    serves(serve(), 12, 3)


def test_check_tells_what_is_wrong_with_weights(root):
    root.write("one/one.c", SCALE)
    put(root, "one/model.safetensors", scale(10))
    assert devserve("check", root.path).returncode == 0
    put(root, "one/model.safetensors", scale(10)[:-1])
    said = devserve("check", root.path)
    assert said.returncode != 0 and "cut off" in said.stdout


def test_wait_waits_for_weights(server):
    put(server.root, "one/model.safetensors", scale(11))
    said = devserve("wait", "one", cwd=server.root.path.parent)
    assert said.returncode == 0, said
    assert server.infer("one").value == 11
