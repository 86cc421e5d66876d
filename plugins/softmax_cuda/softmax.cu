/* SPDX-License-Identifier: MIT */

/*
 * One block a row. Save this file, and the next request runs what it says: the host's side, its
 * memory and the context stay as they are.
 */

namespace {

__device__ float infinity()
{
	return __int_as_float(0x7f800000);
}

struct Largest {
	static __device__ float none() { return -infinity(); }
	__device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

struct Sum {
	static __device__ float none() { return 0; }
	__device__ float operator()(float a, float b) const { return a + b; }
};

/* Of all threads of the block; every one gets it. */
template <typename Combine> __device__ float reduce(float x, Combine combine)
{
	__shared__ float of_warps[32];
	const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;

	for (int step = 16; step; step /= 2)
		x = combine(x, __shfl_xor_sync(~0u, x, step));
	if (blockDim.x == 32)
		return x;
	if (lane == 0)
		of_warps[warp] = x;
	__syncthreads();
	x = lane < blockDim.x / 32 ? of_warps[lane] : Combine::none();
	for (int step = 16; step; step /= 2)
		x = combine(x, __shfl_xor_sync(~0u, x, step));
	__syncthreads();
	return x;
}

constexpr int quads = 4; /* of values that a thread holds */

} // namespace

/* Rows of a multiple of 4 that the block holds in its registers. */
extern "C" __global__ void __launch_bounds__(512) softmax_short(float *y, const float *x, int columns)
{
	const auto *from = reinterpret_cast<const float4 *>(x + size_t(blockIdx.x) * columns);
	auto *to = reinterpret_cast<float4 *>(y + size_t(blockIdx.x) * columns);
	const int n = columns / 4;
	float4 value[quads];
	float top = -infinity(), sum = 0;

	for (int i = 0; i < quads; i++) {
		const int at = threadIdx.x + i * blockDim.x;

		value[i] = at < n ? __ldcs(from + at) : float4{ -infinity(), -infinity(), -infinity(), -infinity() };
	}
	for (const float4 &v : value)
		top = fmaxf(top, fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
	top = reduce(top, Largest());
	for (float4 &v : value) {
		v = float4{ expf(v.x - top), expf(v.y - top), expf(v.z - top), expf(v.w - top) };
		sum += v.x + v.y + v.z + v.w;
	}
	const float scale = 1 / reduce(sum, Sum());

	for (int i = 0; i < quads; i++) {
		const int at = threadIdx.x + i * blockDim.x;
		const float4 v = value[i];

		if (at < n)
			__stcs(to + at, float4{ v.x * scale, v.y * scale, v.z * scale, v.w * scale });
	}
}

/* Any row. */
extern "C" __global__ void __launch_bounds__(256) softmax_long(float *y, const float *x, int columns)
{
	const float *from = x + size_t(blockIdx.x) * columns;
	float *to = y + size_t(blockIdx.x) * columns;
	float top = -infinity(), sum = 0;

	for (int i = threadIdx.x; i < columns; i += blockDim.x)
		top = fmaxf(top, from[i]);
	top = reduce(top, Largest());
	for (int i = threadIdx.x; i < columns; i += blockDim.x)
		sum += expf(from[i] - top);
	const float scale = 1 / reduce(sum, Sum());

	for (int i = threadIdx.x; i < columns; i += blockDim.x)
		to[i] = expf(from[i] - top) * scale;
}
