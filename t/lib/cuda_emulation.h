/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * CUDA emulation
 *
 * Device code as C++, so that its arithmetic and its indices can be tried where no GPU is: a .cu
 * that is included after this compiles with any C++20 compiler, its sanitizers included. Blocks run one
 * after the other. Each thread of a block is a fiber, which goes on until it meets a barrier; then
 * another is drawn by lot. So a barrier that is missing shows in the answer, under some seed, and one
 * that not all threads reach ends the program. Shared memory is full of NaN when a block begins (that
 * of templates isn't: the compiler puts it elsewhere).
 *
 *	emulate(seed, grid, block, [&] { softmax_long(y, x, columns); });
 *
 * It knows what the kernels that ship use, and tells nothing of speed, of registers, or of how a GPU
 * rounds what it approximates.
 */

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include <ucontext.h>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("emulated_shared")))

extern char __start_emulated_shared[] __attribute__((weak)), __stop_emulated_shared[] __attribute__((weak));

struct dim {
	unsigned x = 1, y = 1, z = 1;
};

struct alignas(16) float4 {
	float x, y, z, w;
};

namespace emulation {

enum class State { ready, at_block, at_warp, done };

constexpr unsigned warp_size = 32;
constexpr size_t stack_size = 256 << 10;

struct Fiber {
	ucontext_t context;
	std::unique_ptr<char[]> stack{ new char[stack_size] };
	State state = State::ready;
	dim index;
	unsigned number;
	uint32_t offered; /* to the other lanes */
};

inline ucontext_t scheduler;
inline std::vector<Fiber> fibers;
inline Fiber *current;
inline const std::function<void()> *kernel;
inline dim block, grid_of, block_of;

inline void run()
{
	(*kernel)();
	current->state = State::done;
}

inline void wait(State at)
{
	current->state = at;
	swapcontext(&current->context, &scheduler);
}

/* Those of @first … @end go on if all that live have come to @at. */
inline void release(State at, size_t first, size_t end)
{
	bool any = false;

	for (size_t i = first; i < end; i++) {
		if (fibers[i].state != at && fibers[i].state != State::done)
			return;
		any = any || fibers[i].state == at;
	}
	for (size_t i = first; i < end && any; i++)
		if (fibers[i].state == at)
			fibers[i].state = State::ready;
}

inline void run_block(std::mt19937 &random)
{
	std::vector<Fiber *> ready;

	if (__start_emulated_shared)
		std::memset(__start_emulated_shared, 0xff, size_t(__stop_emulated_shared - __start_emulated_shared));
	for (;;) {
		ready.clear();
		for (Fiber &f : fibers)
			if (f.state == State::ready)
				ready.push_back(&f);
		if (ready.empty())
			break;
		current = ready[random() % ready.size()];
		swapcontext(&scheduler, &current->context);
		release(State::at_block, 0, fibers.size());
		for (size_t i = 0; i < fibers.size(); i += warp_size)
			release(State::at_warp, i, std::min(fibers.size(), i + warp_size));
	}
	for (const Fiber &f : fibers)
		if (f.state != State::done) {
			std::fprintf(stderr, "thread %u waits at a barrier for ever\n", f.number);
			std::exit(1);
		}
}

inline void start_block()
{
	fibers.clear();
	fibers.resize(size_t(block_of.x) * block_of.y * block_of.z);
	for (unsigned i = 0; i < fibers.size(); i++) {
		Fiber &f = fibers[i];

		f.number = i;
		f.index = { i % block_of.x, i / block_of.x % block_of.y, i / block_of.x / block_of.y };
		getcontext(&f.context);
		f.context.uc_stack.ss_sp = f.stack.get();
		f.context.uc_stack.ss_size = stack_size;
		f.context.uc_link = &scheduler;
		makecontext(&f.context, run, 0);
	}
}

template <typename T> T exchange(T value, unsigned lane)
{
	static_assert(sizeof(T) == sizeof(uint32_t));
	const size_t warp = current->number / warp_size * warp_size;
	T got;

	std::memcpy(&current->offered, &value, sizeof(value));
	wait(State::at_warp);
	std::memcpy(&got, &fibers.at(warp + lane).offered, sizeof(got));
	wait(State::at_warp);
	return got;
}

} // namespace emulation

/* All of @grid's blocks, in the order that @seed says. */
inline void emulate(unsigned seed, dim grid, dim block, const std::function<void()> &kernel)
{
	std::mt19937 random(seed);

	emulation::kernel = &kernel;
	emulation::grid_of = grid;
	emulation::block_of = block;
	for (unsigned z = 0; z < grid.z; z++)
		for (unsigned y = 0; y < grid.y; y++)
			for (unsigned x = 0; x < grid.x; x++) {
				emulation::block = { x, y, z };
				emulation::start_block();
				emulation::run_block(random);
			}
}

/* What device code finds */

#define threadIdx (emulation::current->index)
#define blockIdx (emulation::block)
#define blockDim (emulation::block_of)
#define gridDim (emulation::grid_of)

using std::max;
using std::min;

inline void __syncthreads()
{
	emulation::wait(emulation::State::at_block);
}

inline void __syncwarp(unsigned = ~0u)
{
	emulation::wait(emulation::State::at_warp);
}

template <typename T> T __shfl_xor_sync(unsigned, T x, int mask)
{
	return emulation::exchange(x, emulation::current->number % emulation::warp_size ^ unsigned(mask));
}

template <typename T> T __ldcs(const T *at)
{
	return *at;
}

template <typename T> void __stcs(T *at, T value)
{
	*at = value;
}

inline float __int_as_float(int bits)
{
	float x;

	std::memcpy(&x, &bits, sizeof(x));
	return x;
}
