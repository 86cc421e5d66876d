# SPDX-License-Identifier: MIT
"""The examples compile as anybody would compile them, and answer what numpy answers.

Their READMEs are done step by step by test_docs.py.
"""

import shutil
import subprocess

import numpy as np
import pytest
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from devserve import TREE

EXAMPLES = TREE / "examples"
SOURCES = sorted(path for path in EXAMPLES.rglob("*.c*") if path.suffix in (".c", ".cc"))
STRICT = "-Wall -Wextra -Wpedantic -Wshadow -Werror -O2 -fsyntax-only".split()
COMPILERS = {".c": [("gcc", "-std=c11"), ("clang", "-std=c11")], ".cc": [("g++", "-std=c++20"), ("clang++", "-std=c++20")]}


@pytest.mark.parametrize("source, compiler, standard", [
    (source, *each) for source in SOURCES for each in COMPILERS[source.suffix]],
    ids=lambda value: getattr(value, "name", value))
def test_it_compiles_without_a_warning(source, compiler, standard):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    run = subprocess.run([compiler, standard, "-D_GNU_SOURCE", *STRICT, f"-I{TREE / 'include'}", source],
                         capture_output=True, text=True)
    assert run.returncode == 0 and not run.stderr, run.stderr


@pytest.mark.parametrize("folder", sorted(path for path in [*EXAMPLES.iterdir(), *EXAMPLES.glob("_clients/*")] if path.is_dir()),
                         ids=lambda path: path.name)
def test_every_folder_has_a_README_that_the_list_above_it_names(folder):
    assert (folder / "README.md").exists()
    above = (folder.parent / "README.md").read_text()
    assert f"]({folder.relative_to(folder.parent)})" in above or folder.name == "_clients"


class Models:
    def __init__(self, server):
        self.client = tritonclient.http.InferenceServerClient(server.url.removeprefix("http://"))

    def ask(self, model, *names, **arrays):
        inputs = []
        for name, array in arrays.items():
            inputs.append(tritonclient.http.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        answer = self.client.infer(model, inputs)
        return tuple(answer.as_numpy(name) for name in names)


@pytest.fixture
def models(root, serve):
    shutil.copytree(EXAMPLES, root.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".devserve"))
    return Models(serve())


def test_they_answer_what_numpy_answers(models):
    random = np.random.default_rng(5)

    for n in (0, 1, 7, 1000):
        x = random.standard_normal(n, np.float32)
        np.testing.assert_array_equal(models.ask("hello", "Y", X=x)[0], 2 * x)

    sent = []
    for n in (1, 5, 100):
        sent.extend(x := random.standard_normal(n))
        count, mean = models.ask("stateful", "COUNT", "MEAN", X=x)
        assert count[0] == len(sent)
        np.testing.assert_allclose(mean[0], np.mean(sent), rtol=1e-12)

    x = random.standard_normal((4, 4), np.float32)
    sums, batch = models.ask("batching", "SUM", "BATCH", X=x)
    np.testing.assert_allclose(sums[:, 0], x.sum(1), rtol=1e-5, atol=1e-6)
    assert (batch == 4).all()

    x = random.standard_normal((16, 3), np.float32)
    y, = models.ask("weights", "Y", X=x)
    np.testing.assert_allclose(y, x @ np.array([[1, 2, 3], [4, 5, 6]], np.float32).T + [0.5, -0.5], rtol=1e-5, atol=1e-5)

    for k in (0, 1, 10, 100):
        x = random.permutation(100).astype(np.float32)
        values, indices = models.ask("cpp", "VALUES", "INDICES", X=x, K=np.array([k], np.int32))
        np.testing.assert_array_equal(indices, np.argsort(-x, kind="stable")[:k])
        np.testing.assert_array_equal(values, x[indices])
    with pytest.raises(InferenceServerException, match="K must be from 0"):
        models.ask("cpp", X=np.zeros(2, np.float32), K=np.array([3], np.int32))


def test_the_clients_folder_is_no_deployment(models):
    with pytest.raises(InferenceServerException):
        models.client.get_model_metadata("_clients")


def test_the_weights_are_what_the_script_writes(tmp_path):
    copy = tmp_path / "make_model.py"
    shutil.copy(EXAMPLES / "weights/make_model.py", copy)
    subprocess.run(["python3", copy], check=True)
    assert (tmp_path / "model.safetensors").read_bytes() == (EXAMPLES / "weights/model.safetensors").read_bytes()
