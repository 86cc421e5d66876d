/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <devserve/deployment.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "infer/json_parse.h"
#include "weights/header.h"

/* A header, in ' instead of ", before @data bytes; what is read, or the sentence. */

static struct header header;
static struct buffer why;
static bool as_it_is; /* else filled up to a multiple of eight */

static void finish(void)
{
	header_fini(&header);
	buffer_fini(&why);
}

TestSuite(header, .fini = finish);

static int parse(const char *json, uint64_t data)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	finish();
	buffer_puts(&text, json);
	for (size_t i = 0; i < text.size; i++)
		text.data[i] = text.data[i] == '\'' ? '"' : text.data[i];
	while (!as_it_is && text.size && text.size % 8)
		buffer_putc(&text, ' ');
	buffer_reserve(&text, JSON_PADDING);
	return header_parse(text.data, text.size, 8 + text.size + data, &header, &why);
}

static void refuses(const char *json, uint64_t data, const char *words)
{
	cr_expect_eq(parse(json, data), HEADER_REFUSED, "%s", json);
	cr_expect(strstr(buffer_text(&why), words), "%s: \"%s\", not \"%s\"", json, buffer_text(&why), words);
	cr_expect_eq(header.n, 0);
}

#define A "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}"
#define B "'b':{'dtype':'U8','shape':[3,1],'data_offsets':[8,11]}"

static int length(const unsigned char first[8], uint64_t file_size, uint64_t *ret)
{
	finish();
	return header_size(first, file_size, ret, &why);
}

Test(header, its_length_is_little_endian)
{
	uint64_t size;

	cr_assert_eq(length((const unsigned char[8]){ 2, 1 }, 1000, &size), 0);
	cr_assert_eq(size, 258);
	cr_assert_eq(length((const unsigned char[8]){ 2 }, 10, &size), 0);
}

Test(header, a_length_beyond_the_file_or_the_limit_is_refused)
{
	uint64_t size = 7;

	cr_expect_eq(length((const unsigned char[8]){ 3 }, 10, &size), HEADER_REFUSED);
	cr_expect(strstr(buffer_text(&why), "cut off"));
	for (uint64_t n = 0; n < 8; n++)
		cr_expect_eq(length((const unsigned char[8]){ 0 }, n, &size), HEADER_REFUSED);
	cr_expect_eq(length((const unsigned char[8]){ 1, 0, 0, 1 }, UINT64_MAX, &size), HEADER_REFUSED);
	memset(&size, 0xff, sizeof(size));
	cr_expect_eq(length((const unsigned char *)&size, UINT64_MAX, &size), HEADER_REFUSED);
	cr_expect(strstr(buffer_text(&why), "is it a safetensors file?"));
}

Test(header, tensors_are_read_in_order_of_their_place)
{
	cr_assert_eq(parse("{'__metadata__':{'x':'y'}," B "," A "}", 11), 0, "%s", buffer_text(&why));
	cr_assert_eq(header.n, 2);
	cr_expect_str_eq(header.tensors[0].name, "a");
	cr_expect_eq(header.tensors[0].dtype, DEVSERVE_FP32);
	cr_expect_eq(header.tensors[0].rank, 1);
	cr_expect_eq(header.tensors[0].shape[0], 2);
	cr_expect_eq(header.tensors[0].size, 8);
	cr_expect_str_eq(header.tensors[1].name, "b");
	cr_expect_eq(header.tensors[1].dtype, DEVSERVE_UINT8);
	cr_expect_eq(header.tensors[1].rank, 2);
	cr_expect_eq(header.tensors[1].offset, header.tensors[0].offset + 8);
	cr_expect_eq(header.tensors[1].size, 3);
}

Test(header, nothing_is_a_header_too)
{
	cr_expect_eq(parse("{}", 0), 0);
	cr_expect_eq(parse("{}      ", 0), 0);
	cr_expect_eq(parse("{'__metadata__':{}}", 0), 0);
}

Test(header, scalars_and_empty_tensors_are_fine)
{
	cr_assert_eq(parse("{'s':{'dtype':'I64','shape':[],'data_offsets':[0,8]},'e':{'dtype':'F64','shape':"
			   "[9223372036854775807,0,9223372036854775807],'data_offsets':[8,8]}}  ", 8),
		     0, "%s", buffer_text(&why));
	cr_expect_eq(header.tensors[0].rank, 0);
	cr_expect_eq(header.tensors[1].size, 0);
}

Test(header, every_datatype_has_its_size)
{
	static const struct {
		const char *name;
		uint32_t dtype;
		unsigned size;
	} types[] = {
		{ "F32", DEVSERVE_FP32, 4 }, { "F16", DEVSERVE_FP16, 2 },   { "BF16", DEVSERVE_BF16, 2 },
		{ "F64", DEVSERVE_FP64, 8 }, { "I8", DEVSERVE_INT8, 1 },    { "I16", DEVSERVE_INT16, 2 },
		{ "I32", DEVSERVE_INT32, 4 }, { "I64", DEVSERVE_INT64, 8 }, { "U8", DEVSERVE_UINT8, 1 },
		{ "U16", DEVSERVE_UINT16, 2 }, { "U32", DEVSERVE_UINT32, 4 }, { "U64", DEVSERVE_UINT64, 8 },
		{ "BOOL", DEVSERVE_BOOL, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_free_ char *json = xasprintf("{'t':{'dtype':'%s','shape':[3],'data_offsets':[0,%u]}}",
						      types[i].name, 3 * types[i].size);

		cr_assert_eq(parse(json, 3 * types[i].size), 0, "%s: %s", json, buffer_text(&why));
		cr_expect_eq(header.tensors[0].dtype, types[i].dtype);
	}
}

Test(header, what_is_no_json_object_is_refused)
{
	refuses("", 0, "JSON");
	refuses("{", 0, "JSON");
	refuses("{} x", 0, "JSON");
	refuses("[]", 0, "no JSON object");
	refuses("{'a':1}", 0, "\"a\" is no object");
}

Test(header, deep_nesting_is_refused)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	buffer_puts(&text, "{'a':");
	for (int i = 0; i < 100000; i++)
		buffer_putc(&text, '[');
	refuses(text.data, 0, "JSON");
}

Test(header, a_member_that_is_missing_or_of_another_kind_is_refused)
{
	refuses("{'a':{'shape':[2],'data_offsets':[0,8]}}", 8, "\"a\" has no \"dtype\"");
	refuses("{'a':{'dtype':7,'shape':[2],'data_offsets':[0,8]}}", 8, "no \"dtype\"");
	refuses("{'a':{'dtype':'F32','data_offsets':[0,8]}}", 8, "no \"shape\"");
	refuses("{'a':{'dtype':'F32','shape':2,'data_offsets':[0,8]}}", 8, "no \"shape\"");
	refuses("{'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}}", 8, "no count");
	refuses("{'a':{'dtype':'F32','shape':['2'],'data_offsets':[0,8]}}", 8, "no count");
	refuses("{'a':{'dtype':'F32','shape':[18446744073709551615],'data_offsets':[0,8]}}", 8, "no count");
	refuses("{'a':{'dtype':'F32','shape':[1,1,1,1,1,1,1,1,2],'data_offsets':[0,8]}}", 8, "eight extents");
	refuses("{'a':{'dtype':'F32','shape':[2]}}", 8, "\"data_offsets\"");
	refuses("{'a':{'dtype':'F32','shape':[2],'data_offsets':[0]}}", 8, "\"data_offsets\"");
	refuses("{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8,16]}}", 8, "\"data_offsets\"");
	refuses("{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}}", 8, "\"data_offsets\"");
	refuses("{'a':{'dtype':'F32','shape':[2],'data_offsets':[-8,0]}}", 8, "\"data_offsets\"");
	refuses("{'a':{'dtype':'F32','dtype':'F32','shape':[2],'data_offsets':[0,8]}}", 8, "twice");
}

Test(header, a_datatype_without_a_name_here_is_refused)
{
	refuses("{'a':{'dtype':'F8_E4M3','shape':[2],'data_offsets':[0,2]}}", 2, "\"F8_E4M3\"");
	refuses("{'a':{'dtype':'F3','shape':[2],'data_offsets':[0,2]}}", 2, "\"F3\"");
	refuses("{'a':{'dtype':'F32\\u0000','shape':[2],'data_offsets':[0,8]}}", 8, "dtype");
}

Test(header, places_are_within_the_data_without_gap_or_overlap)
{
	refuses("{" A "}", 7, "cut off: \"a\" ends at byte 8");
	refuses("{" A "}", 0, "cut off");
	refuses("{" A "}", 9, "1 byte at its end");
	refuses("{}", 1, "1 byte at its end");
	refuses("{" A ",'b':{'dtype':'U8','shape':[8],'data_offsets':[4,12]}}", 12, "share bytes");
	refuses("{" A ",'b':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}", 8, "share bytes");
	refuses("{" A ",'b':{'dtype':'U8','shape':[1],'data_offsets':[9,10]}}", 10, "1 byte before \"b\"");
	refuses("{'a':{'dtype':'U8','shape':[9223372036854775807],'data_offsets':[0,9223372036854775807]}}", 8, "cut off");
	refuses("{'a':{'dtype':'U8','shape':[1],'data_offsets':[18446744073709551615,18446744073709551615]}}", 8,
		"cut off");
}

Test(header, the_shape_says_how_many_bytes_there_are)
{
	refuses("{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}}", 8, "\"a\" has 8 bytes of data, and its shape");
	refuses("{'a':{'dtype':'F32','shape':[0],'data_offsets':[0,8]}}", 8, "want 0");
	refuses("{'a':{'dtype':'F32','shape':[4611686018427387904,4],'data_offsets':[0,0]}}", 0, "more than there are");
	refuses("{'a':{'dtype':'U8','shape':[4294967296,4294967296],'data_offsets':[0,0]}}", 0, "more than there are");
}

Test(header, an_element_lies_at_a_multiple_of_its_size)
{
	as_it_is = true;
	cr_expect_eq(parse("{" A "}", 8), HEADER_REFUSED);
	cr_expect(strstr(buffer_text(&why), "\"a\" lies at byte 62, no multiple of its element's 4 bytes"));
	cr_expect_eq(parse("{" A "}  ", 8), 0);
}

Test(header, a_name_is_there_once_and_can_be_written)
{
	_cleanup_free_ char *name = xasprintf("%0*d", HEADER_MAX_NAME + 1, 0);
	_cleanup_free_ char *json = xasprintf("{'%s':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}", name);

	refuses("{" A ",'a':{'dtype':'U8','shape':[1],'data_offsets':[8,9]}}", 9, "\"a\" is there twice");
	refuses("{'a\\u0000b':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}", 1, "NUL");
	refuses(json, 1, "too long");
}
