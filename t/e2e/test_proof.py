# SPDX-License-Identifier: MIT
"""Every save proves itself: what clients asked lately is asked again before the new code serves.

Each test saves a change as people make them, and a client goes on being answered by what was right."""

import os
import resource
import signal

import numpy as np
import pytest

from devserve import constant, deployment, devserve, x
from kernels import accept, request, unary


MATMUL = """\
#include <devserve/deployment.h>

enum { TILE = 16 };

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int infer(const struct devserve_call *call)
{
	const float *a = (const float *)call->in[0].data, *b = (const float *)call->in[1].data;
	int64_t m = devserve_dim(&call->in[0], 0), k = devserve_dim(&call->in[0], 1), n = devserve_dim(&call->in[1], 1);
	float *c = (float *)devserve_make(call, 0, m, n);

	if (!c)
		return -12;
	for (int64_t i = 0; i < m * n; i++)
		c[i] = 0;
	for (int64_t t = 0; t < k; t += TILE)
		for (int64_t i = 0; i < m; i++)
			for (int64_t l = t; l < least(t + TILE, k); l++)
				for (int64_t j = 0; j < n; j++)
					c[i * n + j] += a[i * k + l] * b[l * n + j];
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "A", DEVSERVE_FP32, { -1, -1 } }, { "B", DEVSERVE_FP32, { -1, -1 } }),
	.outputs = DEVSERVE_TENSORS({ "C", DEVSERVE_FP32, { -1, -1 } }),
	.infer = infer,
)
"""

SUM = """\
	float sum[16] = { 0 };
	float all = 0;

	for (size_t i = 0; i < n; i++)
		sum[i % 16] += x[i];
	for (int i = 0; i < 16; i++)
		all += sum[i];
	for (size_t i = 0; i < n; i++)
		y[i] = all;
"""
SUM_IN_ORDER = """\
	float all = 0;

	for (size_t i = 0; i < n; i++)
		all += x[i];
	for (size_t i = 0; i < n; i++)
		y[i] = all;
"""
SUM_IN_HALVES = """\
	_Float16 all = 0;

	for (size_t i = 0; i < n; i++)
		all += (_Float16)x[i];
	for (size_t i = 0; i < n; i++)
		y[i] = all;
"""
SUM_REFERENCE = """\
#include <devserve/ext/reference.h>
static int reference(const struct devserve_call *call)
{
	const float *x = (const float *)call->in[0].data;
	double *y = (double *)call->out[0].data, sum = 0;
	size_t n = devserve_count(&call->in[0]);

	for (size_t i = 0; i < n; i++)
		sum += x[i];
	for (size_t i = 0; i < n; i++)
		y[i] = sum;
	return 0;
}

DEVSERVE_REFERENCE(reference)
"""
HAS_REFERENCE = ".extensions = { DEVSERVE_REFERENCE_EXTENSION },"

SOFTMAX = """\
	float most = x[0], sum = 0;

	for (size_t i = 0; i < n; i++)
		most = x[i] > most ? x[i] : most;
	for (size_t i = 0; i < n; i++)
		sum += y[i] = expf(x[i] - most);
	for (size_t i = 0; i < n; i++)
		y[i] /= sum;
"""


@pytest.fixture
def proved(serve, root):
    """A server with the default gate, and a `k.c` that has answered some requests."""

    def start(source, *requests, args=()):
        root.write("k/k.c", source)
        server = serve("--gate", "replay", *args)
        server.answers = [server.infer("k", r).json["outputs"] for r in requests]
        server.requests = requests
        return server

    return start


def refuse(server, source):
    """Save what must not come to serve; the trial.failed."""
    mark = server.mark()
    done = server.save("k/k.c", source)
    assert done["outcome"] == "trial-failed", done
    for request, answer in zip(server.requests, server.answers):
        again = server.infer("k", request)
        assert (again.generation, again.json["outputs"]) == (1, answer)
        assert again.stale == "trial-failed"
    return server.wait("trial.failed", mark)


def take(server, source):
    """Save what must come to serve; its save.done."""
    done = server.save("k/k.c", source)
    assert (done["outcome"], done["generation"]) == ("swapped", 2), done
    return done


def squares(*sizes):
    rng = np.random.default_rng(1)
    return [request(A=rng.random((m, k)), B=rng.random((k, n))) for m, k, n in sizes]


def test_a_tile_that_ends_one_too_early_is_stopped_and_its_element_named(proved):
    server = proved(MATMUL, *squares((3, 8, 5), (4, 16, 4), (5, 40, 7)))

    told = refuse(server, MATMUL.replace("least(t + TILE, k)", "least(t + TILE - (t > 0), k)"))
    fault = told["proof"]["fault"]
    assert (fault["outcome"], fault["output"]) == ("differs", "C")
    assert fault["inputs"] == "A FP32[5,40], B FP32[40,7]"
    assert told["proof"]["faults"] == 1 and told["proof"]["requests"] == 3
    place = [int(i) for i in fault["place"][1:-1].split(",")]
    expected = np.reshape(server.answers[2][0]["data"], (5, 7))[tuple(place)]
    assert float(fault["expected"]) == pytest.approx(expected, rel=1e-6)
    assert float(fault["got"]) < expected
    assert f"C{fault['place']} is {fault['got']} and was {fault['expected']}" in told["reason"]


def test_a_softmax_that_overflows_is_stopped_by_the_request_that_shows_it(proved):
    server = proved(unary(SOFTMAX), request(X=[1, 2, 3]), request(X=[1, 200, 3, 4]))

    told = refuse(server, unary(SOFTMAX.replace("x[i] - most", "x[i]")))
    assert told["proof"]["fault"]["outcome"] == "nan"
    assert told["proof"]["fault"]["inputs"] == "X FP32[4]"


def test_a_sum_in_another_order_passes(proved):
    rng = np.random.default_rng(2)
    server = proved(unary(SUM), *[request(X=rng.random(n)) for n in (301, 302, 303, 304)])

    done = take(server, unary(SUM_IN_ORDER))
    assert done["proof"]["requests"] == 4
    assert 0 < done["proof"]["max_rel"] < 1.3e-6


def test_a_long_sum_in_another_order_passes_by_its_reference_alone(proved):
    long = request(X=np.random.default_rng(8).random(20000) * 100 - 50)
    server = proved(unary(SUM_IN_ORDER, SUM_REFERENCE, HAS_REFERENCE), long)

    assert take(server, unary(SUM, SUM_REFERENCE, HAS_REFERENCE))["proof"]["by_reference"] > 0


def test_without_its_reference_the_same_sum_is_stopped(proved):
    long = request(X=np.random.default_rng(8).random(20000) * 100 - 50)
    server = proved(unary(SUM_IN_ORDER), long)

    assert refuse(server, unary(SUM))["proof"]["fault"]["acceptable"]


def test_a_sum_in_half_precision_is_stopped_with_and_without_a_reference(proved):
    server = proved(unary(SUM, SUM_REFERENCE, HAS_REFERENCE), request(X=np.random.default_rng(4).random(64)))

    told = refuse(server, unary(SUM_IN_HALVES, SUM_REFERENCE, HAS_REFERENCE))
    fault = told["proof"]["fault"]
    assert fault["outcome"] == "differs"
    assert fault["error_after"] > 10 * fault["error_before"]
    assert "against the reference the error grew" in told["reason"]
    assert refuse(server, unary(SUM_IN_HALVES))["proof"]["fault"]["outcome"] == "differs"


def test_an_element_that_is_never_written_is_stopped(proved):
    server = proved(unary("	for (size_t i = 0; i < n; i++)\n		y[i] = 0;"), request(X=[1, 2, 3, 4, 5]))

    told = refuse(server, unary("	for (size_t i = 0; i < n / 4 * 4; i++)\n		y[i] = 0;"))
    assert told["proof"]["fault"]["place"] == "[4]"
    assert "infer() left it unwritten" in told["reason"]


TOP = """\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	const float *x = (const float *)call->in[0].data;
	float *most = (float *)call->out[0].data;
	int32_t *at = (int32_t *)call->out[1].data;

	*at = 0;
	for (int32_t i = 1; i < devserve_dim(&call->in[0], 0); i++)
		if (x[i] > x[*at])
			*at = i;
	*most = x[*at];
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "MOST", DEVSERVE_FP32, { 1 } }, { "AT", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
)
"""


def test_another_one_of_two_equal_values_is_another_answer_which_may_be_accepted(proved):
    server = proved(TOP, request(X=[1, 2, 3]), request(X=[1, 7, 2, 7]))

    fault = refuse(server, TOP.replace("x[i] > x[*at]", "x[i] >= x[*at]"))["proof"]["fault"]
    assert (fault["inputs"], fault["output"], fault["expected"], fault["got"]) == ("X FP32[4]", "AT", "1", "3")
    assert fault["acceptable"] and accept(server)[1]["outcome"] == "swapped"


def test_a_stride_that_is_wrong_for_odd_shapes_is_stopped_by_an_odd_shape(proved):
    source = MATMUL
    server = proved(source, *squares((4, 4, 4), (2, 6, 8), (3, 5, 7), (8, 8, 8)))

    told = refuse(server, source.replace("a[i * k + l]", "a[i * (k & ~(int64_t)1) + l]"))
    assert told["proof"]["fault"]["inputs"] == "A FP32[3,5], B FP32[5,7]"
    assert told["proof"]["faults"] == 1


RACE = """\
#include <pthread.h>
#include <unistd.h>
static float shared;
static pthread_barrier_t start;
struct part { const float *x; size_t n; };
static void *add(void *context)
{
	const struct part *p = (const struct part *)context;

	pthread_barrier_wait(&start);
	for (size_t i = 0; i < p->n; i++) {
		float sum = *(volatile float *)&shared + p->x[i];

		if (__builtin_ia32_rdtsc() % 2048 < 2)
			usleep(1); /* the other one has its turn, just here */
		*(volatile float *)&shared = sum;
	}
	return NULL;
}
"""


def test_a_race_is_stopped_and_called_one(proved):
    """Two threads add to one variable."""
    ones = request(X=np.ones(50000))
    server = proved(unary(SUM_IN_ORDER), ones)

    told = refuse(server, unary("""\
	struct part parts[2] = { { x, n / 2 }, { x + n / 2, n - n / 2 } };
	pthread_t threads[2];

	shared = 0;
	pthread_barrier_init(&start, NULL, 2);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, add, &parts[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < n; i++)
		y[i] = shared;
""", RACE))
    assert told["proof"]["fault"]["outcome"] == "varies"
    assert "a race" in told["reason"] and not told["proof"]["fault"]["acceptable"]


THREADS = """\
#include <pthread.h>
#include <unistd.h>
static float total;
struct part { const float *x; size_t n; float sum; };
static void *add(void *context)
{
	struct part *p = (struct part *)context;
	volatile float *sum = %s;

	for (size_t i = 0; i < p->n; i++)
		*sum = *sum + p->x[i];
	return NULL;
}
"""
IN_THREADS = """\
	struct part parts[4];
	pthread_t threads[4];

	total = 0;
	for (int i = 0; i < 4; i++) {
		parts[i] = (struct part){ x + n / 4 * i, n / 4, 0 };
		pthread_create(&threads[i], NULL, add, &parts[i]);
	}
	%s
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		total += parts[i].sum;
	}
	for (size_t i = 0; i < n; i++)
		y[i] = total;
"""


def threaded(sum, meanwhile=""):
    return unary(IN_THREADS % meanwhile, THREADS % sum)


def test_a_race_that_mostly_goes_well_is_stopped_for_its_threads_are_held_up(proved):
    """By themselves the first has mostly ended when the second begins; the proof is by chance, so it has some."""
    server = proved(unary(SUM_IN_ORDER), request(X=np.ones(60000)))
    for i in range(20):
        mark = server.mark()
        if server.save("k/k.c", threaded("&total") + f"/* {i} */")["outcome"] == "trial-failed":
            break
    told = server.wait("trial.failed", mark)
    assert told["proof"]["fault"]["outcome"] == "varies" and not told["proof"]["fault"]["acceptable"], told
    assert "a race" in told["reason"]


@pytest.mark.parametrize("meanwhile", ["", 'if (usleep(200) < 0)\n\t\treturn devserve_fail(call, "woken up");'],
                         ids=["by itself", "in a system call that can be interrupted"])
def test_threads_that_keep_apart_pass_however_they_are_held_up(proved, meanwhile):
    server = proved(unary(SUM_IN_ORDER), request(X=np.ones(6000)), request(X=np.ones(60000)))
    for i in range(5):
        done = server.save("k/k.c", threaded("&p->sum", meanwhile) + f"/* {i} */")
        assert (done["outcome"], done["proof"]["faults"]) == ("swapped", 0), done


def test_what_cannot_be_proved_for_want_of_memory_does_not_serve(proved, gate):
    """The server may open nothing more just when the image is loaded."""
    server = proved(unary("	for (size_t i = 0; i < n; i++)\n		y[i] = 1;"), request(X=[1, 2]))
    mark = server.mark()
    server.root.write("k/k.c", unary("	for (size_t i = 0; i < n; i++)\n		y[i] = 2;", f"""\
{gate.shut().source}
static int create(const struct devserve_host *host, void **self)
{{
	(void)self;
	devserve_log(host, DEVSERVE_INFO, "creating");
	pass_gate();
	return 0;
}}
""", ".create = create,"))
    server.wait("log", after=mark)
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        gate.open()
        done = server.wait("save.done", after=mark)
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
    assert done["outcome"] == "trial-failed", done
    assert "no memory to prove it in (Too many open files)" in done["reason"]
    assert server.infer("k", server.requests[0]).generation == 1


def two_outputs(value, n_more):
    """X FP32[n] → Y FP32[n], MORE FP32[.]: `n_more` is how many MORE has."""
    return f"""\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{{
	static int n_calls;
	int64_t n = devserve_dim(&call->in[0], 0), n_more = {n_more};
	float *y = (float *)devserve_make(call, 0, n), *more = (float *)devserve_make(call, 1, n_more);

	(void)n_calls;
	if (!y || !more)
		return -12;
	for (int64_t i = 0; i < n; i++)
		y[i] = {value};
	for (int64_t i = 0; i < n_more; i++)
		more[i] = 1;
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_FP32, {{ -1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_FP32, {{ -1 }} }}, {{ "MORE", DEVSERVE_FP32, {{ -1 }} }}),
	.infer = infer,
)
"""


def test_an_output_that_grows_when_it_is_asked_again_varies(proved):
    """Far more than what was kept of the first answer, so that to read as much of that is to crash."""
    server = proved(two_outputs("1", "1"), request(X=[1, 2]))

    told = refuse(server, two_outputs("2", "n_calls++ ? 16 << 20 : 1"))
    assert told["proof"]["fault"]["outcome"] == "varies", told
    assert "asked again" in told["reason"] and "it answers otherwise" in told["reason"], told  # perhaps in the disturbed one


def test_a_nan_at_one_input_is_stopped(proved):
    source = unary("	for (size_t i = 0; i < n; i++)\n		y[i] = x[i] == 0 ? 1 : sinf(x[i]) / x[i];")
    server = proved(source, request(X=[1, 2]), request(X=[3, 0, 1]))

    told = refuse(server, unary("	for (size_t i = 0; i < n; i++)\n		y[i] = sinf(x[i]) / x[i];"))
    fault = told["proof"]["fault"]
    assert (fault["outcome"], fault["place"], fault["expected"]) == ("nan", "[1]", "1")
    assert (fault["nan"], fault["elements"]) == (1, 3)


def test_a_crash_behind_one_shape_of_ten_is_stopped_and_the_request_named(proved):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), *[request(X=np.arange(n)) for n in range(1, 11)])

    mark = server.mark()
    told = refuse(server, unary(twice + "\n	if (n == 7)\n		*(volatile int *)8 = 0;"))
    assert told["proof"]["fault"]["outcome"] == "died"
    assert told["proof"]["fault"]["inputs"] == "X FP32[7]"
    assert told["reason"].startswith(f"request {told['proof']['fault']['request']} (X FP32[7]): the worker was killed")
    report = server.wait("crash.report", mark)
    assert report["call"] == "X FP32[7]"
    assert report["frames"][0]["function"] == "infer"


def test_a_write_past_an_output_is_told_where_the_save_is_refused(proved):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))

    told = refuse(server, unary(twice.replace("i < n", "i < n + 1")))
    assert told["reason"].endswith("the worker was killed by signal 6 (Aborted): it wrote 4 bytes past Y FP32[3]")


def test_a_call_that_does_not_return_is_stopped(proved):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))

    told = refuse(server, unary(twice + "\n	while (*(volatile const float *)x == 1)\n		;"))
    assert "infer() did not return within 2 s" in told["reason"]


def test_an_error_where_there_was_an_answer_is_stopped(proved):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))

    told = refuse(server, unary("	if (n > 2)\n		return devserve_refuse(call, \"too many\");\n" + twice))
    assert told["proof"]["fault"]["outcome"] == "refused"
    assert "infer() returned EINVAL: too many; it answered before" in told["reason"]


def test_a_changed_signature_is_allowed_and_told(proved):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))

    done = take(server, unary(twice).replace('"X", DEVSERVE_FP32, { -1 }', '"X", DEVSERVE_FP32, { 4 }')
                .replace('"Y", DEVSERVE_FP32, { -1 }', '"Y", DEVSERVE_FP32, { 4 }'))
    assert done["signature"] == "input X is FP32[4], was FP32[-1]; output Y is FP32[4], was FP32[-1]"
    assert "signature" not in server.save("k/k.c", server.root.read("k/k.c") + "/* */\n")


def test_the_same_answers_are_said_to_be_the_same(proved):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))

    proof = take(server, unary("	for (size_t i = n; i-- > 0;)\n		y[i] = x[i] + x[i];"))["proof"]
    assert (proof["requests"], proof["faults"], proof["max_abs"], proof["max_ulp"]) == (1, 0, 0, 0)


def test_a_newer_save_doesnt_wait_for_one_that_hangs_in_its_proof(proved):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))
    mark = server.mark()
    server.root.rename_over("k/k.c", unary(twice + "\n	while (*(volatile const float *)x == 1)\n		;"))
    server.wait("build.started", mark)
    mark = server.mark()
    done = server.save("k/k.c", unary(twice + "\n	y[0] += 0;"))
    assert server.wait("save.done", mark, outcome="superseded")
    assert server.wait("save.done", mark, outcome="swapped")["took_ms"] < 2000, done


def test_a_worker_that_is_killed_in_a_proof_says_nothing_of_the_image(proved, gate):
    """From outside; another one begins anew."""
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))
    gate.shut()
    mark = server.mark()
    server.root.rename_over("k/k.c", unary(twice + "\n	pass_gate();", gate.source))
    while not (there := gate.visitors(server)):
        assert not server.seen("save.done", mark), "it is in its proof"
    os.kill(there[0], signal.SIGKILL)
    while not (next_one := set(gate.visitors(server)) - set(there)):
        assert not server.seen("save.done", mark), "it is proved once more"
    assert next_one
    gate.open()
    assert server.wait("save.done", mark)["outcome"] == "swapped"
    assert server.infer("k", request(X=[1])).generation == 2


# Plugins that ship


def test_a_tile_too_few_in_the_matmul_that_ships_is_stopped(serve, root):
    root.copy("matmul")
    server = serve("--gate", "replay")
    rng = np.random.default_rng(5)

    def ask(m, k, n):
        a, b = rng.random((1, m, k), np.float32), rng.random((1, k, n), np.float32)
        answer = server.infer("matmul", request(INPUT0=a, INPUT1=b))
        return answer.json["outputs"][0]["shape"]

    assert [ask(2, 3, 4), ask(8, 512, 512), ask(5, 7, 3)] == [[1, 2, 4], [1, 8, 512], [1, 5, 3]]
    text = root.read("matmul/matmul.c")
    wrong = text.replace("for (int i = 0, rows; i < m; i += rows)", "for (int i = 0, rows; i < m - (m > 4 && m % 2 == 0); i += rows)")
    wrong = wrong.replace("rows = m - i < stripe ? m - i : (int)stripe;",
                          "rows = m - i < stripe ? m - i : (int)stripe;\n		if (m == 8 && i + rows == m)\n			rows--;")
    assert wrong != text
    assert server.save("matmul/matmul.c", wrong)["outcome"] == "trial-failed"
    fault = server.seen("trial.failed")[-1]["proof"]["fault"]
    assert fault["inputs"] == "INPUT0 FP32[1,8,512], INPUT1 FP32[1,512,512]"
    assert fault["place"].startswith("[0,7,")
    # Products that cancel out: their sums differ by more than a tolerance, and are as right as before.
    a, b = rng.standard_normal((1, 8, 1024), np.float32) * 100, rng.standard_normal((1, 1024, 200), np.float32)
    server.infer("matmul", request(INPUT0=np.concatenate([a, a], 2), INPUT1=np.concatenate([b, -b], 1)))
    reordered = text.replace("if (stripe == 0 || m > FEW_ROWS)", "if (1)")
    assert reordered != text
    done = server.save("matmul/matmul.c", reordered)
    assert done["outcome"] == "swapped"
    assert done["proof"]["by_reference"] > 0


def test_the_softmax_that_ships_isnt_served_without_its_maximum(serve, root):
    root.copy("softmax")
    server = serve("--gate", "replay")
    server.infer("softmax", request(INPUT0=np.zeros((2, 40))))
    server.infer("softmax", request(INPUT0=np.linspace(60, 100, 33)[None]))
    text = root.read("softmax/softmax.cc")
    wrong = text.replace("powers(x, maximum(x), y)", "powers(x, 0, y)")
    assert wrong != text
    assert server.save("softmax/softmax.cc", wrong)["outcome"] == "trial-failed"
    assert server.seen("trial.failed")[-1]["proof"]["fault"]["inputs"] == "INPUT0 FP32[1,33]"
    assert server.infer("softmax", request(INPUT0=np.zeros((1, 4)))).output("OUTPUT0") == [0.25] * 4


# Gates


@pytest.mark.parametrize("gate", ["golden", "load", "off"])
def test_a_lower_gate_lets_other_answers_through(serve, root, gate):
    root.write("k.c", constant(1))
    server = serve("--gate", gate)
    assert server.infer("k").value == 1
    assert server.save("k.c", constant(2))["outcome"] == "swapped"
    assert server.infer("k").value == 2


def test_a_deployment_has_a_gate_of_its_own(serve, root):
    root.write("k/k.c", constant(1))
    root.write("k/deployment.yaml", "gate: load\n")
    server = serve("--gate", "replay")
    assert server.infer("k").value == 1
    assert server.save("k/k.c", constant(2))["outcome"] == "swapped"
    assert server.save("k/deployment.yaml", "gate: loud\n")["outcome"] == "build-failed"
    assert "gate must be one of: replay golden load off" in server.seen("build.failed")[0]["reason"]
    assert server.infer("k").value == 2
    assert server.save("k/deployment.yaml", "gate: replay\n")["outcome"] == "swapped"
    assert server.save("k/k.c", constant(3))["outcome"] == "trial-failed"


def test_a_deployment_has_a_tolerance_of_its_own(serve, root):
    thrice = "	for (size_t i = 0; i < n; i++)\n		y[i] = {} * x[i];"
    root.write("k/k.c", unary(thrice.format("3")))
    root.write("k/deployment.yaml", "tolerance: {rtol: 0.01}\n")
    server = serve("--gate", "replay")
    server.infer("k", request(X=[1, 2]))
    assert server.save("k/k.c", unary(thrice.format("3.02f")))["outcome"] == "swapped"
    assert server.save("k/k.c", unary(thrice.format("3.04f")))["outcome"] == "trial-failed"
    assert "allowed is 1e-05 + 0.01 × |expected|" in server.seen("trial.failed")[-1]["reason"]


# State


def test_with_a_state_requests_run_on_a_copy_and_are_not_compared(proved):
    counting = """\
#include <devserve/ext/state.h>
struct counter { int64_t n; };
DEVSERVE_STATE(struct counter, .version = 1)
"""
    has_state = ".extensions = { DEVSERVE_STATE_EXTENSION },"
    count = "	devserve_state(call)->n++;\n	for (size_t i = 0; i < n; i++)\n		y[i] = devserve_state(call)->n;"
    server = proved(unary(count, counting, has_state), request(X=[1]), request(X=[1]))

    proof = take(server, unary(count + " /* */\n	y[0] += 0;", counting, has_state))["proof"]
    assert proof["stateful"] and proof["faults"] == 0 and proof["requests"] == 2
    assert server.infer("k", request(X=[1])).output() == [3], "what was rehearsed didn't count"
    mark = server.mark()
    done = server.save("k/k.c", unary(count.replace("= devserve_state(call)->n;", "= NAN;"), counting, has_state))
    assert done["outcome"] == "trial-failed"
    assert "no element was NaN before" in server.wait("trial.failed", mark)["reason"]


# Acceptance


def test_a_difference_that_is_meant_is_accepted_and_asked_for_no_more(proved):
    server = proved(unary("	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"), request(X=[1, 2, 3]))
    assert accept(server)[0].status == 409
    thrice = unary("	for (size_t i = 0; i < n; i++)\n		y[i] = 3 * x[i];")
    assert refuse(server, thrice)["proof"]["fault"]["acceptable"]
    answer, done = accept(server)
    assert (done["outcome"], done["generation"]) == ("swapped", 2)
    assert done["cached"], "nothing was compiled again"
    assert done["proof"]["accepted"] >= 1
    assert devserve("history", "k", "--root", str(server.root.path)).stdout.splitlines()[-1].endswith("accepted")
    assert server.infer("k", request(X=[1])).output() == [3]
    assert server.save("k/k.c", thrice + "/* */\n")["outcome"] == "swapped"


def test_of_several_accepted_changes_only_what_the_last_one_answered_counts(proved):
    times = "	for (size_t i = 0; i < n; i++)\n		y[i] = {} * x[i];"
    server = proved(unary(times.format("2")), request(X=[1, 2, 3]))
    for factor, length in ((3, 3), (4, 2), (5, 1)):
        mark = server.mark()
        assert server.save("k/k.c", unary(times.format(factor)))["outcome"] == "trial-failed"
        proof = server.wait("trial.failed", mark)["proof"]
        assert (proof["faults"], proof["fault"]["inputs"]) == (1, f"X FP32[{length}]"), proof
        assert accept(server)[1]["outcome"] == "swapped"
        server.infer("k", request(X=[1] * (length - 1 or 4)))
    assert server.save("k/k.c", unary(times.format("5.0f")))["proof"]["faults"] == 0
    assert server.save("k/k.c", unary(times.format("2")))["outcome"] == "trial-failed"


def test_what_was_changed_since_is_not_accepted(proved, root):
    server = proved(constant(1), x(0))
    mark = server.mark()
    assert server.save("k/k.c", constant(2))["outcome"] == "trial-failed"
    assert server.save("k/k.c", constant(1, "/* again */"))["outcome"] == "swapped"
    assert accept(server)[0].status == 409


# Rollback


def roll_back(server, root):
    mark = server.mark()
    result = devserve("rollback", "k", "--root", root.path)
    assert result.returncode == 0, result
    return server.wait("deployment.rolled-back", mark)["generation"]


def test_after_a_rollback_what_that_generation_answered_counts_again(proved, root):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))
    take(server, unary(twice + "/* */"))
    assert roll_back(server, root) == 1
    fault = refuse(server, unary(twice.replace("2 *", "9 *")))["proof"]["fault"]
    assert (fault["outcome"], fault["inputs"]) == ("differs", "X FP32[3]")
    assert server.save("k/k.c", unary(twice.replace("2 *", "2.0f *")))["outcome"] == "swapped"


def test_after_a_rollback_what_an_accepted_generation_answered_counts_no_more(proved, root):
    twice = "	for (size_t i = 0; i < n; i++)\n		y[i] = 2 * x[i];"
    server = proved(unary(twice), request(X=[1, 2, 3]))
    refuse(server, unary(twice.replace("2 *", "3 *")))
    assert accept(server)[1]["generation"] == 2
    assert server.infer("k", request(X=[1, 2])).output() == [3, 6]
    assert roll_back(server, root) == 1
    refuse(server, unary(twice.replace("2 *", "9 *")))
    assert server.save("k/k.c", unary(twice.replace("2 *", "2.0f *")))["outcome"] == "swapped"


# Time


def test_recordings_that_would_take_too_long_are_left_out(serve, root):
    slow = deployment("	for (volatile long i = 0; i < 100000000L * (x > 0); i++)\n		;\n	*y = x;")
    root.write("k.c", slow)
    server = serve("--gate", "replay", "--proof-ms", "10")
    for value in range(4):
        assert server.infer("k", x(value)).value == value
    done = server.save("k.c", slow + "/* */\n")
    assert done["outcome"] == "swapped"
    assert (done["proof"]["requests"], done["proof"]["left_out"]) == (1, 3)
    assert done["proof"]["took_ms"] < 1000


def test_a_state_that_would_take_too_long_to_copy_is_not(serve, root):
    large = unary("	devserve_state(call)->n[0]++;\n	y[0] = 1;",
                  "#include <devserve/ext/state.h>\nstruct large { int64_t n[8 << 20]; };\nDEVSERVE_STATE(struct large, .version = 1)\n",
                  ".extensions = { DEVSERVE_STATE_EXTENSION },")
    root.write("k.c", large)
    server = serve("--gate", "replay", "--proof-ms", "10")
    server.infer("k", request(X=[1]))
    proof = server.save("k.c", large + "/* */\n")["proof"]
    assert (proof["requests"], proof["left_out"]) == (0, 1)
