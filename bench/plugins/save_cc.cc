// SPDX-License-Identifier: MIT

/*
 * The nearest neighbours of a query among a fixed set of vectors, in the C++ that people
 * write: containers, algorithms, a lambda or two. bench/run saves it again and again with
 * another SHIFT, and g++ compiles the same file beside it.
 */

#include <devserve/deployment.h>

#include <algorithm>
#include <vector>

#define SHIFT 0.0f // each save changes this

extern "C" void cblas_sgemv(int order, int trans, int rows, int columns, float alpha,
			    const float *a, int lda, const float *x, int x_step, float beta,
			    float *y, int y_step);

namespace {

constexpr int row_major = 101, as_it_lies = 111; // of CBLAS
constexpr int dimension = 64, n_vectors = 1000, n_nearest = 8;

struct Neighbour {
	int index;
	float score;

	bool operator<(const Neighbour &other) const
	{
		return score != other.score ? score > other.score : index < other.index;
	}
};

class Index {
public:
	Index() : vectors_(n_vectors * dimension), scores_(n_vectors), order_(n_vectors)
	{
		uint32_t seed = 1;

		std::generate(vectors_.begin(), vectors_.end(), [&seed] {
			seed = seed * 1664525u + 1013904223u;
			return static_cast<float>(seed >> 8) / (1 << 24) - 0.5f;
		});
	}

	void search(const float *query, int32_t *indices, float *scores)
	{
		cblas_sgemv(row_major, as_it_lies, n_vectors, dimension, 1, vectors_.data(), dimension,
			    query, 1, 0, scores_.data(), 1);
		for (int i = 0; i < n_vectors; i++)
			order_[i] = { i, scores_[i] + SHIFT };
		std::partial_sort(order_.begin(), order_.begin() + n_nearest, order_.end());
		std::transform(order_.begin(), order_.begin() + n_nearest, indices,
			       [](const Neighbour &n) { return n.index; });
		std::transform(order_.begin(), order_.begin() + n_nearest, scores,
			       [](const Neighbour &n) { return n.score; });
	}

private:
	std::vector<float> vectors_, scores_;
	std::vector<Neighbour> order_;
};

int create(const devserve_host *, void **self)
{
	*self = new Index;
	return 0;
}

void destroy(void *self)
{
	delete static_cast<Index *>(self);
}

int infer(const devserve_call *call)
{
	auto *index = static_cast<Index *>(call->self);
	const auto *query = static_cast<const float *>(call->in[0].data);
	auto *indices = static_cast<int32_t *>(call->out[0].data);
	auto *scores = static_cast<float *>(call->out[1].data);

	for (uint32_t row = 0; row < call->batch; row++)
		index->search(query + row * dimension, indices + row * n_nearest,
			      scores + row * n_nearest);
	return 0;
}

} // namespace

DEVSERVE_DEPLOYMENT(
	.description = "The 8 nearest of 1000 vectors.",
	.inputs = DEVSERVE_TENSORS({ "QUERY", DEVSERVE_FP32, { dimension } }),
	.outputs = DEVSERVE_TENSORS({ "INDEX", DEVSERVE_INT32, { n_nearest } },
				    { "SCORE", DEVSERVE_FP32, { n_nearest } }),
	.max_batch_size = 8,
	.create = create,
	.destroy = destroy,
	.infer = infer,
)
