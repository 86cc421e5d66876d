# SPDX-License-Identifier: MIT
"""Kernels that deployment.yaml names by an expression. Compiling is real; where no GPU is, the fake driver
(t/fake/libcuda.c) shows which kernel is launched by that name, not what it computes."""

import pytest

from devserve import x
from gpu import fake, needs_toolkit, with_gpu, without_gpu  # noqa: F401: `fake` is a fixture
from test_cuda import host

pytestmark = needs_toolkit

TEMPLATES = """\
template <typename T, int N> __global__ void times(T *y, const T *x, int n)
{
	if (threadIdx.x < n)
		y[threadIdx.x] = N * x[threadIdx.x];
}

namespace plain {
__global__ void twice(int *y, const int *x, int n)
{
	if (threadIdx.x < n)
		y[threadIdx.x] = 2 * x[threadIdx.x];
}
}

template <typename T> __device__ T helper(T x) { return x + 1; }
__constant__ int table[4];
"""

TIMES_4 = "_Z5timesIiLi4EEvPT_PKS0_i"
TIMES_8 = "_Z5timesIiLi8EEvPT_PKS0_i"


def launch(name):
    return f'	return devserve_launch(call->host, "{name}", devserve_xyz(1, 1, 1), devserve_xyz(64, 1, 1), 0,\n' \
           "			       call->out[0].data, call->in[0].data, n);"


def kernels(*names):
    return "kernels:\n" + "".join(f"  - '{n}'\n" for n in names)


def write(root, *names, call="times<int, 4>"):
    root.write("one/kernel.cu", TEMPLATES)
    root.write("one/one.c", host(launch(call)))
    root.write("one/deployment.yaml", kernels(*(names or ("times<int, 4>",))))


def launched(server, name="one"):
    """The symbol that the last call's kernel has in the cubin."""
    (pid,) = server.worker_pids(name)
    return [c.split()[1] for c in server.calls(pid) if c.startswith("launch")][-1]


@without_gpu
@pytest.mark.parametrize("spelt", ["times<int, 4>", "times<int,4>", " times < int , 4 > ", TIMES_4])
def test_a_template_is_launched_by_its_expression_however_it_is_spaced(root, fake, spelt):
    write(root, call=spelt)
    server = fake()
    assert server.infer("one", x(5)).status == 200
    assert launched(server) == TIMES_4


@without_gpu
def test_a_name_of_a_namespace_is_launched_as_it_stands(root, fake):
    write(root, "plain::twice", call="plain::twice")
    server = fake()
    assert server.infer("one", x(5)).status == 200
    assert launched(server) == "_ZN5plain5twiceEPiPKii"


@without_gpu
def test_the_report_calls_kernels_as_the_author_does(root, fake):
    write(root, "times<int, 4>", "times<int, 8>")
    done = fake().seen("save.done", deployment="one")[0]
    assert {k["name"] for k in done["kernels"]} == {"times<int, 4>", "times<int, 8>", "plain::twice(int*, int const*, int)"}, done


@without_gpu
def test_arguments_that_do_not_fit_are_told_of_the_expression(root, fake):
    write(root)
    root.write("one/one.c", host(launch("times<int,4>").replace(", n)", ", n, 1)")))
    answer = fake().infer("one", x(1))
    assert "kernel times<int, 4> has 3 parameters and was given 4" in answer.json["error"], answer


@without_gpu
def test_what_deployment_yaml_does_not_name_is_not_there(root, fake):
    write(root, call="times<int, 5>")
    answer = fake().infer("one", x(1))
    assert answer.status == 500 and 'no kernel "times<int, 5>"' in answer.json["error"], answer
    assert "'kernels' of deployment.yaml" in answer.json["error"], answer


@without_gpu
def test_another_expression_compiles_the_device_part_only(root, fake):
    write(root, call="times<int, 4>")
    server = fake()
    (pid,) = server.worker_pids("one")
    done = server.save("one/deployment.yaml", kernels("times<int, 4>", "times<int, 8>"))
    assert (done["outcome"], done["generation"]) == ("swapped", 2), done
    names = {s["name"] for s in done["stages"]}
    assert "nvrtc" in names and not names & {"gcc", "link"}, done
    assert server.worker_pids("one") == [pid] and server.calls(pid).count("allocate 12345") == 1, "create() isn't run again"
    server.save("one/one.c", host(launch("times<int, 8>")))
    assert server.infer("one", x(1)).status == 200
    assert launched(server) == TIMES_8


@without_gpu
def test_a_comment_in_deployment_yaml_compiles_nothing(root, fake):
    write(root)
    server = fake()
    done = server.save("one/deployment.yaml", "# lines move\n" + kernels("times<int, 4>"))
    assert not {"nvrtc", "gcc", "link"} & {s["name"] for s in done["stages"]}, done


@without_gpu
def test_an_unknown_name_is_a_mistake_at_its_line_and_what_served_goes_on(root, fake):
    write(root)
    server = fake()
    for name, why in {"tims<int, 4>": 'identifier "tims" is undefined',
                      "times<int>": "cannot determine which instance of function template",
                      "times<int, 4": 'expected a ">"',
                      "helper<int>": "non-__global__ function",
                      "3 + 4": "must form address of a __global__ function"}.items():
        done = server.save("one/deployment.yaml", kernels("times<int, 4>", name))
        assert done["outcome"] == "build-failed" and "deployment.yaml:3" in done["reason"], done
        assert name in done["reason"] and why in done["reason"], done
    done = server.save("one/deployment.yaml", kernels("times<int, 4>", "table"))
    assert done["outcome"] == "build-failed" and "deployment.yaml:3" in done["reason"] and "'table' is no kernel" in done["reason"], done
    assert server.infer("one", x(1)).stale == "build-failed"
    assert server.save("one/deployment.yaml", kernels("times<int, 4>"))["outcome"] in ("swapped", "unchanged")


@without_gpu
def test_a_mistake_inside_a_template_is_told_at_its_own_line(root, fake):
    write(root)
    server = fake()
    done = server.save("one/kernel.cu", TEMPLATES.replace("N * x", "N * nothing * x"))
    assert done["outcome"] == "build-failed" and "kernel.cu:4" in done["reason"], done


@without_gpu
def test_of_several_sources_each_gives_what_it_knows(root, fake):
    write(root, "times<int, 4>", "other<int>", call="other<int>")
    root.write("one/other.cu", "template <typename T> __global__ void other(T *y, const T *x, int n) { *y = *x; }\n")
    server = fake()
    assert server.infer("one", x(1)).status == 200
    assert launched(server) == "_Z5otherIiEvPT_PKS0_i"
    server.save("one/one.c", host(launch("times<int, 4>")))
    assert server.infer("one", x(1)).status == 200
    assert launched(server) == TIMES_4
    done = server.save("one/deployment.yaml", kernels("times<int, 4>", "other<int, 3>"))
    assert done["outcome"] == "build-failed" and "deployment.yaml:3" in done["reason"], done
    assert "undefined" not in done["reason"], "the source that has heard of it says why: " + done["reason"]


@without_gpu
def test_names_without_device_code_have_nowhere_to_be(root, fake):
    write(root)
    server = fake()
    mark = server.mark()
    (root.path / "one/kernel.cu").unlink()
    done = server.wait("save.done", mark, deployment="one")
    assert done["outcome"] == "build-failed" and "must be in a .cu without host code" in done["reason"], done


@without_gpu
def test_names_come_back_with_their_generation_by_a_rollback_and_a_restart(root, fake):
    write(root, "times<int, 4>")
    server = fake()
    server.save("one/deployment.yaml", kernels("times<int, 8>"))
    assert server.infer("one", x(1)).status == 500, "the host code launches times<int, 4>"
    client = server.new_client()
    client.token = server.run_json()["token"]
    assert client.call("POST", "/-/rollback?deployment=one", b"").status == 200
    assert server.infer("one", x(1)).status == 200
    assert launched(server) == TIMES_4
    server.stop()
    root.write("one/kernel.cu", "no code\n")
    server = fake(ready=False)
    server.wait("server.ready")
    assert server.infer("one", x(1)).status == 200
    assert launched(server) == TIMES_4


@with_gpu
def test_instances_of_a_template_answer_each_as_its_arguments_say(root, serve):
    write(root, "times<int, 4>", "times<int, 8>", "plain::twice")
    server = serve("--create-timeout=60")
    assert server.infer("one", x(21)).value == 84
    for name, factor in {"times<int,8>": 8, "plain::twice": 2, "times<int, 4>": 4}.items():
        assert server.save("one/one.c", host(launch(name)) + f"\nint n{factor};\n")["outcome"] == "swapped"
        assert server.infer("one", x(21)).value == 21 * factor
    server.save("one/deployment.yaml", kernels("times<int, 4>", "times<int, 16>"))
    assert server.infer("one", x(21)).value == 84
