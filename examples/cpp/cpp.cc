// SPDX-License-Identifier: MIT
//
// The K largest elements of X, and where they are. How many come out is found in the call, so
// the outputs' memory is asked for there. Nothing may be thrown across infer(): it is C.

#include <devserve/deployment.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace {

std::vector<int64_t> places_of_largest(const float *x, int64_t n, int64_t k)
{
	if (k < 0 || k > n)
		throw std::out_of_range("K must be from 0 to the number of elements");
	std::vector<int64_t> places(static_cast<size_t>(n));

	std::iota(places.begin(), places.end(), 0);
	std::partial_sort(places.begin(), places.begin() + k, places.end(), [x](int64_t a, int64_t b) {
		return x[a] > x[b] || (x[a] == x[b] && a < b);
	});
	places.resize(static_cast<size_t>(k));
	return places;
}

int answer(const devserve_call *call)
{
	const auto *x = static_cast<const float *>(call->in[0].data);
	const auto places = places_of_largest(x, devserve_dim(&call->in[0], 0),
					      *static_cast<const int32_t *>(call->in[1].data));
	auto *values = static_cast<float *>(devserve_make(call, 0, places.size()));
	auto *indices = static_cast<int64_t *>(devserve_make(call, 1, places.size()));

	if (!values || !indices)
		return devserve_fail(call, "no memory for the answer");
	std::copy(places.begin(), places.end(), indices);
	std::transform(places.begin(), places.end(), values, [x](int64_t i) { return x[i]; });
	return 0;
}

int infer(const devserve_call *call)
{
	try {
		return answer(call);
	} catch (const std::out_of_range &e) {
		return devserve_refuse(call, "%s", e.what());
	} catch (const std::exception &e) {
		return devserve_fail(call, "%s", e.what());
	}
}

} // namespace

DEVSERVE_DEPLOYMENT(
	.description = "The K largest elements, and where they are.",
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }, { "K", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "VALUES", DEVSERVE_FP32, { -1 } }, { "INDICES", DEVSERVE_INT64, { -1 } }),
	.infer = infer,
)
