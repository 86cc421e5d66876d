/* SPDX-License-Identifier: MIT */

/*
 * The DOM's parser (json_parse.cc) doesn't tell where it stopped. That of simdjson which reads on
 * demand does, once everything has been asked for.
 */

#include "infer/json_locate.h"

#include <utility>

#include <simdjson.h>

#include "infer/json_parse.h"

namespace ondemand = simdjson::ondemand;

static simdjson::error_code is_null(simdjson::simdjson_result<bool> answer)
{
	bool null = false;
	simdjson::error_code error = std::move(answer).get(null);

	return error ? error : null ? simdjson::SUCCESS : simdjson::N_ATOM_ERROR;
}

template <typename Value>
static simdjson::error_code read_all(Value value, unsigned depth)
{
	ondemand::json_type type;
	simdjson::error_code error = value.type().get(type);

	if (error || depth > JSON_MAX_DEPTH)
		return error;
	switch (type) {
	case ondemand::json_type::array:
		for (auto element : value.get_array())
			if ((error = element.error()) || (error = read_all(element.value_unsafe(), depth + 1)))
				return error;
		return error;
	case ondemand::json_type::object:
		for (auto member : value.get_object())
			if ((error = member.error()) || (error = member.unescaped_key().error()) ||
			    (error = read_all(member.value().value_unsafe(), depth + 1)))
				return error;
		return error;
	case ondemand::json_type::string:
		return value.get_string().error();
	case ondemand::json_type::number:
		return value.get_double().error();
	case ondemand::json_type::boolean:
		return value.get_bool().error();
	default:
		return is_null(simdjson::simdjson_result<bool>(value.is_null()));
	}
}

size_t json_locate(const char *text, size_t size)
{
	ondemand::parser reader;
	ondemand::document doc;
	const char *at;

	if (reader.iterate(text, size, size + JSON_PADDING).get(doc) || !read_all<ondemand::document &>(doc, 0) ||
	    doc.current_location().get(at) || at <= text || at > text + size)
		return size; /* at the first character: what it opens isn't closed */
	return static_cast<size_t>(at - text);
}
