/* SPDX-License-Identifier: MIT */
#include "infer/json_parse.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <type_traits>

#include <simdjson.h>

#include <devserve/deployment.h>

#include "infer/json_text.h"

extern "C" {
#include "base/buffer.h"
}

namespace dom = simdjson::dom;

static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads past the text");

/* The document */

static const size_t MIN_CAPACITY = 16 * 1024, SMALL = 256 * 1024;

static thread_local std::unique_ptr<dom::parser> parser;
static thread_local const dom::document *document; /* the parser's, without a detour */

/*
 * dom::element and the iterators of dom::array and dom::object are a document and a place in
 * it. A node is the place: it travels in one register, and is never written in halves that
 * are then read as a whole, which costs more than the walk itself.
 */
struct place {
	const dom::document *document;
	size_t at;
};

template <typename T> static T as(struct node n)
{
	return __builtin_bit_cast(T, (place{ document, n.at }));
}

template <typename T> static struct node to_node(const T &t)
{
	return { __builtin_bit_cast(place, t).at };
}

static simdjson::error_code prepare(size_t size)
{
	size_t capacity = MIN_CAPACITY;
	simdjson::error_code error;

	if (parser && parser->capacity() >= size)
		return simdjson::SUCCESS;
	if (size > simdjson::SIMDJSON_MAXSIZE_BYTES)
		return simdjson::CAPACITY;
	while (capacity < size)
		capacity *= 2; /* pages come when they are touched */
	if (capacity > simdjson::SIMDJSON_MAXSIZE_BYTES)
		capacity = simdjson::SIMDJSON_MAXSIZE_BYTES;
	parser.reset(new (std::nothrow) dom::parser);
	if (!parser)
		return simdjson::MEMALLOC;
	error = parser->allocate(capacity, JSON_MAX_DEPTH);
	if (!error)
		error = parser->doc.allocate(capacity);
	if (error)
		parser.reset();
	return error;
}

static int outcome(simdjson::error_code error)
{
	switch (error) {
	case simdjson::SUCCESS:
		return 0;
	case simdjson::DEPTH_ERROR:
		return JSON_E_DEPTH;
	case simdjson::CAPACITY:
		return JSON_E_TOO_LARGE;
	case simdjson::MEMALLOC:
		return JSON_E_MEMORY;
	default:
		return JSON_E_SYNTAX;
	}
}

static simdjson::error_code parse(const char *text, size_t size, dom::element *ret)
{
	simdjson::error_code error = prepare(size);

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* RFC 8259, 8.1; newer ones skip it */
		return simdjson::TAPE_ERROR;
	return error ? error : parser->parse(text, size, false).get(*ret);
}

/*
 * It refuses integers of more than 64 bits, which are numbers of FP32 and FP64 all the same. What
 * it calls them (@error) depends on its version.
 */
static simdjson::error_code parse_respelt(const char *text, size_t size, simdjson::error_code error,
					  dom::element *ret)
{
	struct buffer other = {};

	if (json_respell(text, size, &other))
		error = parse(other.data, other.size, ret);
	buffer_fini(&other);
	return error;
}

int json_parse(const char *text, size_t size, struct node *ret, const char **ret_why)
{
	dom::element root;
	simdjson::error_code error = parse(text, size, &root);

	if (outcome(error) == JSON_E_SYNTAX)
		error = parse_respelt(text, size, error, &root);
	if (error) {
		json_close();
		*ret_why = simdjson::error_message(error);
		return outcome(error);
	}
	document = &parser->doc;
	*ret = to_node(root);
	return 0;
}

static void keep(size_t capacity)
{
	if (parser && parser->capacity() > capacity)
		parser.reset();
}

void json_close(void)
{
	keep(JSON_KEPT);
}

void json_trim(void)
{
	keep(SMALL);
}

/* Nodes */

enum node_type node_type(struct node n)
{
	if (node_is_absent(n))
		return NODE_ABSENT;
	switch (as<dom::element>(n).type()) {
	case dom::element_type::ARRAY:
		return NODE_ARRAY;
	case dom::element_type::OBJECT:
		return NODE_OBJECT;
	case dom::element_type::STRING:
		return NODE_STRING;
	case dom::element_type::BOOL:
		return NODE_BOOL;
	case dom::element_type::NULL_VALUE:
		return NODE_NULL;
	default:
		return NODE_NUMBER;
	}
}

bool node_bool(struct node n, bool *ret)
{
	return !node_is_absent(n) && as<dom::element>(n).get_bool().get(*ret) == simdjson::SUCCESS;
}

bool node_string(struct node n, const char **ret, size_t *ret_size)
{
	std::string_view text;

	if (node_is_absent(n) || as<dom::element>(n).get_string().get(text))
		return false;
	*ret = text.data();
	*ret_size = text.size();
	return true;
}

struct node_cursor node_elements(struct node n)
{
	dom::array array;

	if (node_is_absent(n) || as<dom::element>(n).get_array().get(array))
		return { n, n };
	return { to_node(array.begin()), to_node(array.end()) };
}

struct node_cursor node_members(struct node n)
{
	dom::object object;

	if (node_is_absent(n) || as<dom::element>(n).get_object().get(object))
		return { n, n };
	return { to_node(object.begin()), to_node(object.end()) };
}

bool node_next(struct node_cursor *c, struct node *ret)
{
	dom::array::iterator it = as<dom::array::iterator>(c->next);

	if (c->next.at == c->end.at)
		return false;
	*ret = to_node(*it);
	c->next = to_node(++it);
	return true;
}

bool node_next_member(struct node_cursor *c, const char **ret_key, size_t *ret_size,
		      struct node *ret)
{
	dom::object::iterator it = as<dom::object::iterator>(c->next);
	std::string_view key;

	if (c->next.at == c->end.at)
		return false;
	key = it.key();
	*ret_key = key.data();
	*ret_size = key.size();
	*ret = to_node(it.value());
	c->next = to_node(++it);
	return true;
}

const struct node_key *node_pick(struct node n, const struct node_key *keys, size_t n_keys,
				 struct node *ret)
{
	struct node_cursor c = node_members(n);
	struct node value;
	const char *text;
	size_t size;

	std::memset(ret, 0, n_keys * sizeof(*ret));
	while (node_next_member(&c, &text, &size, &value))
		for (size_t i = 0; i < n_keys; i++) {
			if (!node_is_key(&keys[i], text, size))
				continue;
			if (!node_is_absent(ret[i]))
				return &keys[i];
			ret[i] = value;
		}
	return nullptr;
}

/* Numbers */

/* 2^digits: the first double above the range of T. */
template <typename T> static constexpr double above()
{
	return 2.0 * static_cast<double>(std::numeric_limits<T>::max() / 2 + 1);
}

/* -2^63 may be a longer integer that was rounded: INT64's smallest is no double. */
template <typename T> static int from_double(double d, T *ret)
{
	const double least = static_cast<double>(std::numeric_limits<T>::min());

	if (std::trunc(d) != d)
		return NODE_E_TYPE;
	if (!(d < above<T>()) || d < least || (std::is_same<T, int64_t>::value && d == least))
		return NODE_E_RANGE;
	*ret = static_cast<T>(d);
	return 0;
}

template <typename T> static int get_integer(dom::element e, T *ret)
{
	switch (e.type()) {
	case dom::element_type::INT64: {
		int64_t v = int64_t(e.get_int64().value_unsafe());

		*ret = static_cast<T>(v);
		/* A negative one would pass for a large unsigned one. */
		if (std::is_unsigned<T>::value && v < 0)
			return NODE_E_TYPE;
		return static_cast<int64_t>(*ret) == v ? 0 : NODE_E_RANGE;
	}
	case dom::element_type::UINT64: {
		uint64_t v = uint64_t(e.get_uint64().value_unsafe());

		*ret = static_cast<T>(v);
		return sizeof(T) == 8 && std::is_unsigned<T>::value ? 0 : NODE_E_RANGE;
	}
	case dom::element_type::DOUBLE:
		return from_double(e.get_double().value_unsafe(), ret);
	default:
		return NODE_E_TYPE;
	}
}

template <typename T> static int get_floating(dom::element e, T *ret)
{
	switch (e.type()) {
	case dom::element_type::DOUBLE:
		*ret = static_cast<T>(e.get_double().value_unsafe());
		return std::isinf(*ret) ? NODE_E_RANGE : 0;
	case dom::element_type::INT64:
		*ret = static_cast<T>(e.get_int64().value_unsafe());
		return 0;
	case dom::element_type::UINT64:
		*ret = static_cast<T>(e.get_uint64().value_unsafe());
		return 0;
	default:
		return NODE_E_TYPE;
	}
}

static int get_bool(dom::element e, uint8_t *ret)
{
	bool v;
	int r;

	if (!e.get_bool().get(v)) {
		*ret = v;
		return 0;
	}
	r = get_integer(e, ret);
	return r ? NODE_E_TYPE : *ret <= 1 ? 0 : NODE_E_RANGE;
}

bool node_uint(struct node n, uint64_t *ret)
{
	uint64_t v;

	if (node_is_absent(n) || get_integer(as<dom::element>(n), &v))
		return false;
	*ret = v;
	return true;
}

bool node_number(struct node n, double *ret)
{
	return !node_is_absent(n) && as<dom::element>(n).get_double().get(*ret) == simdjson::SUCCESS;
}

/*
 * Tensors. A leaf takes one element and returns 0 or NODE_E_*. No more elements than the
 * shape has are handed to it.
 */

/* On the way back from a mistake: it lies in element @i of the array at @level. */
static int at(struct node_place *p, uint32_t level, uint64_t i, int mistake)
{
	p->index[level] = i;
	if (p->depth <= level)
		p->depth = level + 1;
	return mistake;
}

template <typename Leaf>
static int walk_flat(dom::array array, uint64_t n, Leaf &leaf, uint32_t level, struct node_place *p)
{
	uint64_t i = 0;

	for (dom::element e : array) {
		int r;

		if (i == n)
			return at(p, level, i, NODE_E_SHAPE);
		r = leaf(e);
		if (r)
			return at(p, level, i, e.is_array() ? NODE_E_SHAPE : r);
		i++;
	}
	return i == n ? 0 : NODE_E_SHAPE;
}

template <typename Leaf>
static int walk_nested(dom::element e, const int64_t *shape, uint32_t rank, Leaf &leaf,
		       uint32_t level, struct node_place *p)
{
	dom::array array;
	int64_t i = 0;

	if (e.get_array().get(array))
		return NODE_E_SHAPE;
	if (level + 1 == rank)
		return walk_flat(array, static_cast<uint64_t>(shape[level]), leaf, level, p);
	for (dom::element inner : array) {
		int r = i == shape[level] ? NODE_E_SHAPE
					  : walk_nested(inner, shape, rank, leaf, level + 1, p);

		if (r)
			return at(p, level, static_cast<uint64_t>(i), r);
		i++;
	}
	return i == shape[level] ? 0 : NODE_E_SHAPE;
}

static bool is_nested(dom::array array)
{
	return array.begin() != array.end() && (*array.begin()).is_array();
}

template <typename Leaf>
static int walk(struct node n, const int64_t *shape, uint32_t rank, Leaf leaf,
		struct node_place *p)
{
	dom::element e = as<dom::element>(n);
	dom::array array;
	uint64_t count = 1;

	p->depth = 0;
	if (e.get_array().get(array))
		return NODE_E_SHAPE;
	if (rank > 1 && is_nested(array))
		return walk_nested(e, shape, rank, leaf, 0, p);
	for (uint32_t i = 0; i < rank; i++)
		count *= static_cast<uint64_t>(shape[i]);
	return walk_flat(array, count, leaf, 0, p);
}

int node_bytes_size(struct node n, const int64_t *shape, uint32_t rank, uint64_t *ret,
		    struct node_place *ret_place)
{
	uint64_t size = 0;
	auto leaf = [&size](dom::element e) -> int {
		std::string_view text;

		if (e.get_string().get(text))
			return NODE_E_TYPE;
		size += 4 + text.size();
		return 0;
	};
	int r = walk(n, shape, rank, leaf, ret_place);

	if (!r)
		*ret = size;
	return r;
}

static int fill_bytes(struct node n, const int64_t *shape, uint32_t rank, char *to,
		      struct node_place *p)
{
	auto leaf = [&to](dom::element e) -> int {
		std::string_view text;
		uint32_t size;

		if (e.get_string().get(text))
			return NODE_E_TYPE;
		size = static_cast<uint32_t>(text.size());
		std::memcpy(to, &size, 4);
		std::memcpy(to + 4, text.data(), size);
		to += 4 + size;
		return 0;
	};

	return walk(n, shape, rank, leaf, p);
}

template <typename T, int (*get)(dom::element, T *)>
static int fill(struct node n, const int64_t *shape, uint32_t rank, void *data,
		struct node_place *p)
{
	T *to = static_cast<T *>(data);

	return walk(n, shape, rank, [&to](dom::element e) { return get(e, to++); }, p);
}

int node_fill(struct node n, uint32_t dtype, const int64_t *shape, uint32_t rank, void *data,
	      struct node_place *ret_place)
{
	switch (dtype) {
	case DEVSERVE_BOOL:
		return fill<uint8_t, get_bool>(n, shape, rank, data, ret_place);
	case DEVSERVE_UINT8:
		return fill<uint8_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_UINT16:
		return fill<uint16_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_UINT32:
		return fill<uint32_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_UINT64:
		return fill<uint64_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_INT8:
		return fill<int8_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_INT16:
		return fill<int16_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_INT32:
		return fill<int32_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_INT64:
		return fill<int64_t, get_integer>(n, shape, rank, data, ret_place);
	case DEVSERVE_FP32:
		return fill<float, get_floating>(n, shape, rank, data, ret_place);
	case DEVSERVE_FP64:
		return fill<double, get_floating>(n, shape, rank, data, ret_place);
	case DEVSERVE_BYTES:
		return fill_bytes(n, shape, rank, static_cast<char *>(data), ret_place);
	default:
		return NODE_E_TYPE;
	}
}

bool json_is_utf8(const char *text, size_t size)
{
	return simdjson::validate_utf8(text, size);
}
