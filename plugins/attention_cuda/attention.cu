/* SPDX-License-Identifier: MIT */

/*
 * softmax(Q Kᵀ / √64) V, and the matrix of scores is never written down. A block has 64 queries of
 * one head and goes over the keys, 32 at a time. For each query it keeps the largest score so far,
 * the sum of exp(score - largest), and the answer that goes with these two; a larger score that
 * comes later scales both down.
 *
 * Eight neighbours in a warp share four queries. In the first product each of them has four keys of
 * the tile, in the second eight of the 64 values. What crosses from one to the other stays in their
 * warp: only the tiles make the whole block wait. Rows in shared memory are as long as keeps
 * neighbours out of each other's banks.
 */

namespace {

constexpr int quads = 64 / 4;           /* of a row of Q, K and V */
constexpr int queries = 64, keys = 32;  /* of a tile */
constexpr int neighbours = 8;           /* that share their queries */
constexpr int threads = 128, groups = threads / neighbours;
constexpr int own_queries = queries / groups, own_keys = keys / neighbours, own_quads = quads / neighbours;
constexpr float scale = 1.4426950408889634f / 8; /* log2(e) / √64: exp() as exp2() */

using Row = float4[quads + 1];
using Weights = float4[keys / 4 + 2];

__device__ float infinity()
{
	return __int_as_float(0x7f800000);
}

__device__ float dot(float4 a, float4 b, float sum)
{
	return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

__device__ float4 times(float4 v, float by)
{
	return float4{ v.x * by, v.y * by, v.z * by, v.w * by };
}

__device__ void add(float4 &sum, float weight, float4 v)
{
	sum = float4{ fmaf(weight, v.x, sum.x), fmaf(weight, v.y, sum.y), fmaf(weight, v.z, sum.z),
		      fmaf(weight, v.w, sum.w) };
}

/* Of the neighbours; every one gets it. */
__device__ float largest(float x)
{
	for (int step = neighbours / 2; step; step /= 2)
		x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
	return x;
}

__device__ float total(float x)
{
	for (int step = neighbours / 2; step; step /= 2)
		x += __shfl_xor_sync(~0u, x, step);
	return x;
}

/* Rows from @first on, zeros past the last; by the whole block. */
template <int rows> __device__ void load(Row *to, const float *head, int first, int sequence, float factor)
{
	const auto *from = reinterpret_cast<const float4 *>(head);

	for (int i = threadIdx.x; i < rows * quads; i += threads) {
		const int row = first + i / quads;

		to[i / quads][i % quads] = row < sequence ? times(from[size_t(row) * quads + i % quads], factor) : float4{};
	}
}

/* What a thread has of its queries: rows group, group + 16 … of the tile. */
struct Answer {
	float top[own_queries], sum[own_queries]; /* the sum of its own keys alone */
	float4 value[own_queries][own_quads];
};

__device__ void score(float (&ret)[own_queries][own_keys], const Row *q, const Row *k, int group, int neighbour)
{
#pragma unroll 2
	for (int d = 0; d < quads; d++) {
		float4 key[own_keys];

		for (int j = 0; j < own_keys; j++)
			key[j] = k[neighbour + j * neighbours][d];
		for (int i = 0; i < own_queries; i++) {
			const float4 query = q[group + i * groups][d];

			for (int j = 0; j < own_keys; j++)
				ret[i][j] = dot(query, key[j], ret[i][j]);
		}
	}
}

/* Scores become weights, and what was answered so far is made to go with them. */
__device__ void weigh(Answer &a, const float (&score)[own_queries][own_keys], Weights *weights, int group, int neighbour)
{
	for (int i = 0; i < own_queries; i++) {
		auto *row = reinterpret_cast<float *>(weights[group + i * groups]);
		float top = a.top[i];

		for (float s : score[i])
			top = fmaxf(top, s);
		top = largest(top);

		const float shrink = exp2f(a.top[i] - top);

		a.top[i] = top;
		a.sum[i] *= shrink;
		for (float4 &v : a.value[i])
			v = times(v, shrink);
		for (int j = 0; j < own_keys; j++) {
			const float weight = exp2f(score[i][j] - top);

			a.sum[i] += weight;
			row[neighbour + j * neighbours] = weight;
		}
	}
}

__device__ void gather(Answer &a, const Weights *weights, const Row *v, int group, int neighbour)
{
#pragma unroll 2
	for (int k = 0; k < keys / 4; k++)
		for (int h = 0; h < own_quads; h++) {
			float4 value[4];

			for (int n = 0; n < 4; n++)
				value[n] = v[4 * k + n][neighbour + h * neighbours];
			for (int i = 0; i < own_queries; i++) {
				const float4 weight = weights[group + i * groups][k];

				add(a.value[i][h], weight.x, value[0]);
				add(a.value[i][h], weight.y, value[1]);
				add(a.value[i][h], weight.z, value[2]);
				add(a.value[i][h], weight.w, value[3]);
			}
		}
}

} // namespace

/* Tensors are [heads, sequence, 64]; a block for each 64 queries, the last first: with a mask they have most to do. */
extern "C" __global__ void __launch_bounds__(threads)
attention(float *out, const float *q, const float *k, const float *v, int sequence, int is_causal)
{
	__shared__ Row q_tile[queries], k_tile[keys], v_tile[keys];
	__shared__ Weights weights[queries];
	const int group = threadIdx.x / neighbours, neighbour = threadIdx.x % neighbours;
	const int tiles = (sequence + queries - 1) / queries, tile = tiles - 1 - int(blockIdx.x % tiles);
	const size_t head = size_t(blockIdx.x / tiles) * sequence * quads * 4;
	const int first = tile * queries, end = is_causal ? min(sequence, first + queries) : sequence;
	Answer a = {};

	for (float &top : a.top)
		top = -infinity();
	load<queries>(q_tile, q + head, first, sequence, scale);
	for (int at = 0; at < end; at += keys) {
		float scores[own_queries][own_keys] = {};

		__syncthreads(); /* nobody reads the tile before any more */
		load<keys>(k_tile, k + head, at, sequence, 1);
		load<keys>(v_tile, v + head, at, sequence, 1);
		__syncthreads();
		score(scores, q_tile, k_tile, group, neighbour);
		for (int i = 0; i < own_queries; i++)
			for (int j = 0; j < own_keys; j++) {
				const int query = first + group + i * groups, key = at + neighbour + j * neighbours;

				if (key >= sequence || (is_causal && key > query))
					scores[i][j] = -infinity();
			}
		weigh(a, scores, weights, group, neighbour);
		__syncwarp();
		gather(a, weights, v_tile, group, neighbour);
	}
	for (int i = 0; i < own_queries; i++) {
		const int query = first + group + i * groups;
		const float by = 1 / total(a.sum[i]);
		auto *row = reinterpret_cast<float4 *>(out + head) + size_t(query) * quads;

		for (int h = 0; h < own_quads && query < sequence; h++)
			row[neighbour + h * neighbours] = times(a.value[i][h], by);
	}
}
