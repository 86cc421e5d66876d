/* SPDX-License-Identifier: MIT */
#include "infer/json_numbers.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <type_traits>

#include <devserve/deployment.h>

namespace
{

struct boolean {
	uint8_t value;
};

template <typename T> char *number(char *to, T v)
{
	if constexpr (std::is_floating_point<T>::value) {
		if (!std::isfinite(v))
			return nullptr;
		/* "-0" is an integer to many readers, and loses its sign. */
		if (v == 0 && std::signbit(v)) {
			std::memcpy(to, "-0.0", 4);
			return to + 4;
		}
	}
	return std::to_chars(to, to + JSON_NUMBER_SIZE, v).ptr;
}

char *number(char *to, boolean v)
{
	const char *text = v.value ? "true" : "false";
	size_t size = v.value ? 4 : 5;

	std::memcpy(to, text, size);
	return to + size;
}

template <typename T> char *numbers(char *to, const void *data, size_t n)
{
	const char *from = static_cast<const char *>(data);

	for (size_t i = 0; i < n && to; i++) {
		T v;

		std::memcpy(&v, from + i * sizeof(v), sizeof(v));
		to = number(to, v);
		if (to)
			*to++ = ',';
	}
	return to;
}

} // namespace

char *json_numbers(char *to, uint32_t dtype, const void *data, size_t n)
{
	switch (dtype) {
	case DEVSERVE_BOOL:
		return numbers<boolean>(to, data, n);
	case DEVSERVE_UINT8:
		return numbers<uint8_t>(to, data, n);
	case DEVSERVE_UINT16:
		return numbers<uint16_t>(to, data, n);
	case DEVSERVE_UINT32:
		return numbers<uint32_t>(to, data, n);
	case DEVSERVE_UINT64:
		return numbers<uint64_t>(to, data, n);
	case DEVSERVE_INT8:
		return numbers<int8_t>(to, data, n);
	case DEVSERVE_INT16:
		return numbers<int16_t>(to, data, n);
	case DEVSERVE_INT32:
		return numbers<int32_t>(to, data, n);
	case DEVSERVE_INT64:
		return numbers<int64_t>(to, data, n);
	case DEVSERVE_FP32:
		return numbers<float>(to, data, n);
	case DEVSERVE_FP64:
		return numbers<double>(to, data, n);
	default:
		return nullptr;
	}
}
