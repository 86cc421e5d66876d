/* SPDX-License-Identifier: MIT */

/*
 * usage: json N SECONDS
 *
 * Requests with one tensor of N floats as JSON, decoded as devserve does (text in memory ->
 * checked request with its tensor filled), and parsed by simdjson's DOM alone, whose parser is
 * kept. In turn, over so many different texts that no branch predictor learns them. Prints
 * {"bytes", "ours_ns", "simdjson_ns"}: medians of one request, processor time.
 */

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include <simdjson.h>

#include <devserve/deployment.h>

extern "C" {
#include "infer/memory.h"
#include "infer/request.h"
#include "infer/signature.h"
}

namespace
{

void *block;

int reserve(struct infer_memory *, size_t, void **ret, uint64_t *ret_block)
{
	*ret = block;
	*ret_block = 1;
	return 0;
}

void release(struct infer_memory *, uint64_t)
{
}

int charge(struct infer_memory *, size_t)
{
	return 0;
}

void discharge(struct infer_memory *, size_t)
{
}

struct infer_memory memory = { reserve, release, charge, discharge };

struct signature *one_tensor()
{
	struct signature *s = signature_new();

	s->n_inputs = s->n_outputs = 1;
	s->inputs[0].name = strdup("X");
	s->outputs[0].name = strdup("Y");
	s->inputs[0].dtype = s->outputs[0].dtype = DEVSERVE_FP32;
	s->inputs[0].rank = s->outputs[0].rank = 1;
	s->inputs[0].shape[0] = s->outputs[0].shape[0] = -1;
	return s;
}

std::string text(int n)
{
	char number[32];
	std::string s = "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[" +
			std::to_string(n) + "],\"data\":[";

	for (int i = 0; i < n; i++) {
		snprintf(number, sizeof(number), "%s%.8g", i ? "," : "", drand48() * 2 - 1);
		s += number;
	}
	return s + "]}]}";
}

double read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What this thread has run: others may compute meanwhile. */
double now()
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* The bytes come from a socket straight to where they are read: that isn't timed. */
double decode(struct infer_request *r, struct signature *s, const std::string &t)
{
	double began;
	size_t room;
	void *to;

	infer_request_init(r, "bench", s, &memory);
	if (infer_request_body(r, t.size(), INFER_BODY_UNKNOWN))
		abort();
	infer_request_room(r, &to, &room);
	if (room != t.size())
		abort();
	memcpy(to, t.data(), t.size());
	began = now();
	if (infer_request_filled(r, t.size()) || infer_request_end(r))
		abort();
	infer_request_fini(r);
	return now() - began;
}

double parse(simdjson::dom::parser &parser, const simdjson::padded_string &t)
{
	double began = now();
	simdjson::dom::element e;

	if (parser.parse(t.data(), t.size(), false).get(e))
		abort();
	return now() - began;
}

double median(std::vector<double> &v)
{
	std::nth_element(v.begin(), v.begin() + (long)v.size() / 2, v.end());
	return v[v.size() / 2];
}

} // namespace

int main(int argc, char **argv)
{
	int n = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 0, until;
	std::vector<double> ours, theirs;
	std::vector<std::string> texts;
	std::vector<simdjson::padded_string> padded;
	struct infer_request *r = (struct infer_request *)calloc(1, sizeof(*r));
	struct signature *s = one_tensor();
	simdjson::dom::parser parser;

	if (n < 1) {
		fprintf(stderr, "usage: json N SECONDS\n");
		return 2;
	}
	block = aligned_alloc(64, (size_t)n * 4 + 64 - (size_t)n * 4 % 64);
	for (int i = 0; i < (n < 100000 ? 100 : 4); i++) {
		texts.push_back(text(n));
		padded.emplace_back(texts.back());
	}
	until = read_clock(CLOCK_MONOTONIC) + seconds * 1e9;
	for (size_t i = 0; read_clock(CLOCK_MONOTONIC) < until || ours.size() < 10; i++) {
		size_t k = i % texts.size();

		if (i & 1)
			ours.push_back(decode(r, s, texts[k]));
		theirs.push_back(parse(parser, padded[k]));
		if (!(i & 1))
			ours.push_back(decode(r, s, texts[k]));
	}
	printf("{\"bytes\":%zu,\"ours_ns\":%.0f,\"simdjson_ns\":%.0f}\n", texts[0].size(),
	       median(ours), median(theirs));
	return 0;
}
