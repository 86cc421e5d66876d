// SPDX-License-Identifier: MIT
#include "cli/json_reader.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <string>

using namespace simdjson;

struct json_reader {
	dom::parser parser; // owns what root points to
	dom::element root;
};

int json_reader_new(const char *text, size_t size, struct json_reader **ret)
{
	json_reader *r = new json_reader;

	if (r->parser.parse(text, size).get(r->root) != SUCCESS) {
		delete r;
		return -EBADMSG;
	}
	*ret = r;
	return 0;
}

struct json_reader *json_reader_free(struct json_reader *r)
{
	delete r;
	return nullptr;
}

__attribute__((format(printf, 2, 0)))
static simdjson_result<dom::element> find(const json_reader *r, const char *pointer, va_list args)
{
	char text[256];
	int n = vsnprintf(text, sizeof(text), pointer, args);

	if (n < 0 || static_cast<size_t>(n) >= sizeof(text))
		return INVALID_JSON_POINTER;
	return r->root.at_pointer(std::string_view(text, static_cast<size_t>(n)));
}

const char *json_reader_string(const struct json_reader *r, const char *pointer, ...)
{
	const char *s = nullptr;
	va_list args;

	va_start(args, pointer);
	auto found = find(r, pointer, args);
	va_end(args);
	return found.get_c_str().get(s) == SUCCESS ? s : nullptr;
}

bool json_reader_number(const struct json_reader *r, double *ret, const char *pointer, ...)
{
	va_list args;

	va_start(args, pointer);
	auto found = find(r, pointer, args);
	va_end(args);
	return found.get_double().get(*ret) == SUCCESS;
}

bool json_reader_bool(const struct json_reader *r, const char *pointer, ...)
{
	bool value = false;
	va_list args;

	va_start(args, pointer);
	auto found = find(r, pointer, args);
	va_end(args);
	return found.get_bool().get(value) == SUCCESS && value;
}

size_t json_reader_count(const struct json_reader *r, const char *pointer, ...)
{
	dom::array array;
	va_list args;

	va_start(args, pointer);
	auto found = find(r, pointer, args);
	va_end(args);
	return found.get_array().get(array) == SUCCESS ? array.size() : 0;
}

char *json_reader_text(const struct json_reader *r, const char *pointer, ...)
{
	dom::element element;
	va_list args;

	va_start(args, pointer);
	auto found = find(r, pointer, args);
	va_end(args);
	return found.get(element) == SUCCESS ? strdup(std::string(minify(element)).c_str()) : nullptr;
}
