/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <devserve/deployment.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/pack.h"
#include "image/identity.h"
#include "image/inspect.h"
#include "infer/signature.h"

/* Every test compiles what it looks at, in a directory of its own. */

static char directory[] = "/tmp/devserve-inspect-XXXXXX";
static char *image; /* in it */

static void make_directory(void)
{
	cr_assert_not_null(mkdtemp(directory));
	image = xasprintf("%s/image.so", directory);
}

static void remove_directory(void)
{
	file_remove_tree(directory);
	free(image);
}

TestSuite(inspect, .init = make_directory, .fini = remove_directory);

/* @arguments of the compiler; %s is the directory. */
static void compile(const char *compiler, const char *arguments, const char *source)
{
	const char *suffix = strstr(compiler, "++") ? "cc" : "c";
	_cleanup_free_ char *path = xasprintf("%s/source.%s", directory, suffix);
	_cleanup_free_ char *command =
		xasprintf("%s -Iinclude -fPIC -fvisibility=hidden -fno-gnu-unique %s -o %s %s 2>%s/said "
			  "|| { cat %s/said >&2; false; }",
			  compiler, arguments, image, path, directory, directory);

	cr_assert_eq(file_write(path, source, strlen(source), 0600), 0);
	cr_assert_eq(system(command), 0, "%s", command);
}

#define PRELUDE                            \
	"#include <devserve/deployment.h>\n" \
	"static int infer(const struct devserve_call *call) { return (int)call->n_in; }\n"
#define INPUT ".inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_FP32, { -1 } }), "
#define OUTPUT ".outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_FP32, { -1 } }), "
#define DEPLOYMENT(fields) PRELUDE "DEVSERVE_DEPLOYMENT(" fields ")\n"
#define PLAIN DEPLOYMENT(INPUT OUTPUT ".infer = infer")

static struct image_info accepted(void)
{
	struct buffer why = BUFFER_NULL;
	struct image_info info;

	cr_assert_eq(image_inspect(image, &info, &why), 0, "%s", buffer_text(&why));
	cr_assert_eq(why.size, 0);
	return info;
}

/* The reason is asserted, and that nothing was written. */
static void refused(int error, const char *sentence)
{
	struct buffer why = BUFFER_NULL;
	struct image_info info, untouched;
	int r;

	memset(&info, 0x5a, sizeof(info));
	memset(&untouched, 0x5a, sizeof(untouched));
	r = image_inspect(image, &info, &why);
	cr_assert_eq(r, error, "%d instead of %d: %s", r, error, buffer_text(&why));
	cr_assert(strstr(buffer_text(&why), sentence), "\"%s\" lacks \"%s\"", buffer_text(&why), sentence);
	cr_assert_arr_eq(&info, &untouched, sizeof(info));
	buffer_fini(&why);
}

static void check_plain(void)
{
	struct image_info info = accepted();

	cr_assert_eq(info.signature->n_inputs, 1);
	cr_assert_str_eq(info.signature->inputs[0].name, "X");
	cr_assert_eq(info.signature->inputs[0].rank, 1);
	cr_assert_eq(info.signature->inputs[0].shape[0], -1);
	cr_assert_str_eq(info.signature->outputs[0].name, "Y");
	image_info_fini(&info);
}

/* What is read */

Test(inspect, everything_declared_is_read)
{
	struct image_info info;
	const struct signature *s;

	compile("cc", "-shared -Wl,--build-id=0xa1b2c3",
		PRELUDE "static int create(const struct devserve_host *h, void **self)"
			"{ (void)h; *self = 0; return 0; }\n"
			"static void destroy(void *self) { (void)self; }\n"
			"static const struct devserve_extension a = { \"devserve.a-b/12\", sizeof(a), 0 };\n"
			"static const struct devserve_extension c = { \"org.example.c/1\", sizeof(c), 0 };\n"
			"DEVSERVE_DEPLOYMENT(.description = \"Größe, mostly\",\n"
			".inputs = DEVSERVE_TENSORS({ \"A\", DEVSERVE_INT64, { 2, -1, 3 } },"
			"{ \"B\", DEVSERVE_BYTES, { 0 } }), .outputs = DEVSERVE_TENSORS("
			"{ \"C\", DEVSERVE_BF16, { 1, 2, 3, 4, 5, 6, 7 } }),"
			".max_batch_size = 8, .max_queue_delay_microseconds = 250,"
			".create = create, .destroy = destroy, .infer = infer,"
			".extensions = { &a, &c })\n");
	info = accepted();
	s = info.signature;
	cr_assert_eq(s->n_refs, 1);
	cr_assert_str_eq(s->description, "Größe, mostly");
	cr_assert_eq(s->n_inputs, 2);
	cr_assert_eq(s->inputs[0].dtype, DEVSERVE_INT64);
	cr_assert_eq(s->inputs[0].rank, 3);
	cr_assert_eq(s->inputs[0].shape[2], 3);
	cr_assert_eq(s->inputs[1].dtype, DEVSERVE_BYTES);
	cr_assert_eq(s->inputs[1].rank, 0);
	cr_assert_eq(s->n_outputs, 1);
	cr_assert_eq(s->outputs[0].rank, 7);
	cr_assert_eq(s->max_batch_size, 8);
	cr_assert_eq(s->max_queue_delay_us, 250);
	cr_assert_eq(s->output_shape, DEVSERVE_OWN_SHAPE);
	cr_assert_eq(info.abi_major, DEVSERVE_ABI_MAJOR);
	cr_assert_eq(info.struct_size, sizeof(struct devserve_deployment));
	cr_assert(info.has_create && info.has_destroy && info.signature->creates);
	cr_assert_str_eq(info.extensions[0], "devserve.a-b/12");
	cr_assert_str_eq(info.extensions[1], "org.example.c/1");
	cr_assert_null(info.extensions[2]);
	cr_assert_str_eq(info.build_id, "a1b2c3");
	cr_assert(!info.nodelete && !info.unique && !info.static_tls);
	image_info_fini(&info);
}

Test(inspect, thirty_two_tensors_are_read)
{
	struct buffer source = BUFFER_NULL;
	struct image_info info;

	buffer_puts(&source, PRELUDE "DEVSERVE_DEPLOYMENT(.inputs = {");
	for (int i = 0; i < DEVSERVE_MAX_TENSORS; i++)
		buffer_printf(&source, "{ \"I%d\", DEVSERVE_FP32, { 1 } },", i);
	buffer_puts(&source, "}, " OUTPUT ".infer = infer)\n");
	compile("cc", "-shared", source.data);
	info = accepted();
	cr_assert_eq(info.signature->n_inputs, 32);
	cr_assert_str_eq(info.signature->inputs[31].name, "I31");
	image_info_fini(&info);
	buffer_fini(&source);
}

Test(inspect, relative_relocations_are_applied)
{
	compile("cc", "-shared -Wl,-z,nopack-relative-relocs", PLAIN);
	check_plain();
}

Test(inspect, packed_relative_relocations_are_applied)
{
	compile("cc", "-shared -Wl,-z,pack-relative-relocs", PLAIN);
	check_plain();
}

Test(inspect, an_infer_that_is_exported_is_found)
{
	compile("cc", "-shared",
		"#include <devserve/deployment.h>\n"
		"__attribute__((visibility(\"default\"))) int infer(const struct devserve_call *call);\n"
		"int infer(const struct devserve_call *call) { return (int)call->n_in; }\n"
		"DEVSERVE_DEPLOYMENT(" INPUT OUTPUT ".infer = infer)\n");
	check_plain();
}

Test(inspect, an_infer_chosen_by_the_cpu_is_accepted)
{
	compile("cc", "-shared",
		"#include <devserve/deployment.h>\n"
		"__attribute__((target_clones(\"avx2\", \"default\")))\n"
		"static int infer(const struct devserve_call *call) { return (int)call->n_in; }\n"
		"DEVSERVE_DEPLOYMENT(" INPUT OUTPUT ".infer = infer)\n");
	check_plain();
}

Test(inspect, an_infer_of_another_library_is_accepted)
{
	compile("cc", "-shared",
		"#include <devserve/deployment.h>\n"
		"int infer(const struct devserve_call *call);\n"
		"DEVSERVE_DEPLOYMENT(" INPUT OUTPUT ".infer = infer)\n");
	check_plain();
}

Test(inspect, a_symbol_table_with_the_old_hash_is_read)
{
	compile("cc", "-shared -Wl,--hash-style=sysv", PLAIN);
	check_plain();
}

Test(inspect, a_stripped_image_is_read)
{
	compile("cc", "-shared -s", PLAIN);
	check_plain();
}

Test(inspect, images_of_other_linkers_are_read)
{
	static const char *const linkers[] = { "gold", "lld" };

	for (size_t i = 0; i < ARRAY_SIZE(linkers); i++) {
		_cleanup_free_ char *probe = xasprintf("ld.%s --version >/dev/null 2>&1", linkers[i]);
		_cleanup_free_ char *arguments = xasprintf("-shared -fuse-ld=%s", linkers[i]);

		if (system(probe) != 0)
			continue;
		compile("cc", arguments, PLAIN);
		check_plain();
	}
}

Test(inspect, an_image_without_write_protection_is_read)
{
	compile("cc", "-shared -Wl,-z,norelro", PLAIN);
	check_plain();
}

Test(inspect, a_cpp_image_is_read)
{
	compile("c++", "-shared -std=c++20", PLAIN);
	check_plain();
}

Test(inspect, needed_libraries_are_listed)
{
	struct image_info info;

	compile("cc", "-shared -Wl,--no-as-needed -lm", PLAIN);
	info = accepted();
	cr_assert_str_eq(info.needed[0], "libm.so.6");
	cr_assert_str_eq(info.needed[1], "libc.so.6");
	cr_assert_null(info.needed[2]);
	image_info_fini(&info);
}

Test(inspect, what_keeps_an_image_mapped_is_seen)
{
	struct image_info info;

	compile("c++", "-shared -std=c++20 -fvisibility=default -fgnu-unique -Wl,-z,nodelete",
		PRELUDE "inline int &counter() { static int n; return n; }\n"
			"int use() { return counter()++; }\n"
			"DEVSERVE_DEPLOYMENT(" INPUT OUTPUT ".infer = infer)\n");
	info = accepted();
	cr_assert(info.unique);
	cr_assert(info.nodelete);
	image_info_fini(&info);
}

Test(inspect, static_tls_is_seen)
{
	struct image_info info;

	compile("cc", "-shared -ftls-model=initial-exec",
		"static __thread int n; int *use(void); int *use(void) { return &n; }\n" PLAIN);
	info = accepted();
	cr_assert(info.static_tls);
	image_info_fini(&info);
}

/* Versions: a struct written by hand, its first fields by numbers. */

#define BY_HAND(numbers, after)                                                                 \
	PRELUDE "struct other { struct devserve_deployment d; long more; };\n"                    \
		"__attribute__((visibility(\"default\"))) extern const struct other entry;\n"     \
		"const struct other entry __asm__(\"devserve_entry\") = { { " numbers ", " INPUT  \
			OUTPUT ".infer = infer, " after " }, 77 };\n"

Test(inspect, a_larger_struct_of_a_newer_minor_is_read)
{
	struct image_info info;

	compile("cc", "-shared", BY_HAND("sizeof(struct other), 1, 9", ""));
	info = accepted();
	cr_assert_eq(info.abi_minor, 9);
	cr_assert_eq(info.struct_size, sizeof(struct devserve_deployment) + 8);
	image_info_fini(&info);
}

Test(inspect, fields_beyond_a_smaller_struct_are_absent)
{
	struct image_info info;

	compile("cc", "-shared",
		BY_HAND("offsetof(struct devserve_deployment, extensions), 1, 0",
			".extensions = { (const struct devserve_extension *)\"no such thing\" }"));
	info = accepted();
	cr_assert_null(info.extensions[0]);
	image_info_fini(&info);
}

Test(inspect, a_struct_that_ends_before_infer_is_refused)
{
	compile("cc", "-shared", BY_HAND("offsetof(struct devserve_deployment, infer), 1, 0", ""));
	refused(IMAGE_E_REFUSED, "write sizeof(struct devserve_deployment)");
}

Test(inspect, a_struct_larger_than_its_symbol_is_refused)
{
	compile("cc", "-shared", BY_HAND("sizeof(struct other) + 8, 1, 0", ""));
	refused(IMAGE_E_REFUSED, "devserve_entry has .struct_size");
}

Test(inspect, another_abi_major_is_incompatible)
{
	compile("cc", "-shared", BY_HAND("sizeof(struct devserve_deployment), 2, 0", ""));
	refused(IMAGE_E_INCOMPATIBLE, "the image has ABI 2, this devserve 1; build it against");
}

/* Files that are no image */

static void patch(size_t offset, const void *bytes, size_t size)
{
	struct buffer content = BUFFER_NULL;

	cr_assert_eq(file_read(image, &content), 0);
	memcpy(content.data + offset, bytes, size);
	cr_assert_eq(file_write(image, content.data, content.size, 0600), 0);
	buffer_fini(&content);
}

Test(inspect, a_missing_file_is_an_errno)
{
	refused(-ENOENT, "");
}

Test(inspect, a_directory_is_invalid)
{
	cr_assert_eq(file_make_directories(image), 0);
	refused(IMAGE_E_INVALID, "this is not a file");
}

Test(inspect, a_pipe_does_not_block)
{
	_cleanup_free_ char *command = xasprintf("mkfifo %s", image);

	cr_assert_eq(system(command), 0);
	refused(IMAGE_E_INVALID, "this is not a file");
}

Test(inspect, a_file_above_the_limit_is_invalid)
{
	compile("cc", "-shared", PLAIN);
	cr_assert_eq(truncate(image, (off_t)1 << 31), 0);
	refused(IMAGE_E_INVALID, "larger than 1 GiB");
}

Test(inspect, a_text_is_invalid)
{
	cr_assert_eq(file_write(image, "#!/bin/sh\necho hello, world\n", 28, 0700), 0);
	refused(IMAGE_E_INVALID, "this is not an ELF file");
}

Test(inspect, an_object_file_is_invalid)
{
	compile("cc", "-c", PLAIN);
	refused(IMAGE_E_INVALID, "this is an object file; link it into a shared object");
}

Test(inspect, a_program_is_invalid)
{
	compile("cc", "-pie", PLAIN "int main(void) { return 0; }\n");
	refused(IMAGE_E_INVALID, "this is a program");
	compile("cc", "-no-pie", PLAIN "int main(void) { return 0; }\n");
	refused(IMAGE_E_INVALID, "this is not a shared object");
}

Test(inspect, another_machine_is_invalid)
{
	Elf64_Half machine = EM_AARCH64;

	compile("cc", "-shared", PLAIN);
	patch(offsetof(Elf64_Ehdr, e_machine), &machine, sizeof(machine));
	refused(IMAGE_E_INVALID, "this image is for AArch64, and devserve runs on x86-64");
}

/* No entry */

Test(inspect, an_image_without_entry_is_told_what_to_write)
{
	compile("cc", "-shared", "int nothing; int *use(void) { return &nothing; }\n");
	refused(IMAGE_E_NO_ENTRY, "end one source with DEVSERVE_DEPLOYMENT(...)");
}

Test(inspect, an_image_without_symbols_has_no_entry)
{
	compile("cc", "-shared -nostdlib", "static int nothing; static int *use(void) { return &nothing; }"
					   "int *(*const x)(void) = use;\n");
	refused(IMAGE_E_NO_ENTRY, "the image has no devserve_entry");
}

Test(inspect, a_hidden_entry_is_named)
{
	compile("cc", "-shared", "const int devserve_entry = 3;\n");
	refused(IMAGE_E_NO_ENTRY, "devserve_entry is not exported");
}

Test(inspect, an_entry_with_a_cpp_name_is_named)
{
	compile("c++", "-shared -fvisibility=default", "namespace mine { extern const int devserve_entry;"
						       "const int devserve_entry = 3; }\n");
	refused(IMAGE_E_NO_ENTRY, "devserve_entry has a C++ name");
}

Test(inspect, a_function_is_no_entry)
{
	compile("cc", "-shared -fvisibility=default", "void devserve_entry(void) {}\n");
	refused(IMAGE_E_NO_ENTRY, "devserve_entry is not a variable");
}

#define RUN_TIME PRELUDE "#include <stdlib.h>\nstatic const char *name() { return getenv(\"HOME\"); }\n"

#define NOT_CONSTANT "make it const and every initialiser constant"

Test(inspect, an_entry_that_cpp_fills_at_run_time_is_refused)
{
	compile("c++", "-shared -std=c++17",
		RUN_TIME "DEVSERVE_DEPLOYMENT(.inputs = { { name(), DEVSERVE_FP32, { -1 } } }, " OUTPUT
			 ".infer = infer)\n");
	refused(IMAGE_E_NO_ENTRY, NOT_CONSTANT);
	compile("c++", "-shared -std=c++17",
		RUN_TIME "DEVSERVE_DEPLOYMENT(" INPUT OUTPUT ".max_batch_size = (uint32_t)random(), "
			 ".infer = infer)\n");
	refused(IMAGE_E_NO_ENTRY, NOT_CONSTANT);
}

Test(inspect, an_entry_in_bss_is_refused)
{
	compile("cc", "-shared",
		PRELUDE "__attribute__((visibility(\"default\"))) struct devserve_deployment e"
			" __asm__(\"devserve_entry\");\nint (*use)(const struct devserve_call *) = infer;\n");
	refused(IMAGE_E_NO_ENTRY, NOT_CONSTANT);
}

Test(inspect, an_empty_entry_is_refused)
{
	compile("cc", "-shared",
		PRELUDE "const struct devserve_deployment devserve_entry = { 0 };\n"
			"int (*use)(const struct devserve_call *) = infer;\n");
	refused(IMAGE_E_NO_ENTRY, "devserve_entry is empty; write DEVSERVE_DEPLOYMENT(...)");
}

/* Declarations that can't be */

#define REFUSED(name, fields, sentence)                           \
	Test(inspect, name)                                       \
	{                                                         \
		compile("cc", "-shared -w", DEPLOYMENT(fields));  \
		refused(IMAGE_E_REFUSED, sentence);               \
	}
#define ONE_INPUT(port) ".inputs = { " port " }, " OUTPUT ".infer = infer"

REFUSED(a_missing_infer_is_refused, INPUT OUTPUT, "the deployment has no .infer; write .infer = FUNCTION")
REFUSED(an_infer_that_is_data_is_refused,
	INPUT OUTPUT ".infer = (int (*)(const struct devserve_call *))&devserve_entry",
	".infer is not a function of the image")
REFUSED(a_create_that_is_a_number_is_refused, INPUT OUTPUT ".create = (void *)64, .infer = infer",
	".create is not a function of the image")
REFUSED(no_outputs_are_refused, INPUT ".infer = infer", "the deployment has no outputs; write .outputs")
REFUSED(a_batch_without_inputs_is_refused, OUTPUT ".max_batch_size = 2, .infer = infer",
	"only inputs can say how large a batch is")
REFUSED(a_tensor_without_name_is_refused, ONE_INPUT("{ 0, DEVSERVE_FP32, { 1 } }"),
	".inputs[0] has no name")
REFUSED(an_empty_name_is_refused, ONE_INPUT("{ \"\", DEVSERVE_FP32, { 1 } }"),
	".inputs[0] has an empty name")
REFUSED(a_gap_between_tensors_is_refused, ONE_INPUT("[1] = { \"A\", DEVSERVE_FP32, { 1 } }"),
	".inputs[1] comes after an empty one")
REFUSED(a_doubled_name_is_refused,
	ONE_INPUT("{ \"A\", DEVSERVE_FP32, { 1 } }, { \"B\", DEVSERVE_FP32 }, { \"A\", DEVSERVE_INT8 }"),
	".inputs[0] and .inputs[2] are both called \"A\"; rename one")
REFUSED(a_control_character_is_refused, ONE_INPUT("{ \"A\\033[2J\", DEVSERVE_FP32, { 1 } }"),
	".inputs[0] has a control character")
REFUSED(a_c1_control_character_is_refused, ONE_INPUT("{ \"A\\302\\233\", DEVSERVE_FP32, { 1 } }"),
	".inputs[0] has a control character")
REFUSED(a_name_that_is_not_utf8_is_refused, ONE_INPUT("{ \"A\\300\\200\", DEVSERVE_FP32, { 1 } }"),
	".inputs[0] is not UTF-8")
REFUSED(a_surrogate_is_refused, ONE_INPUT("{ \"\\355\\240\\200\", DEVSERVE_FP32, { 1 } }"),
	".inputs[0] is not UTF-8")
REFUSED(an_unfinished_character_is_refused, ONE_INPUT("{ \"A\\342\\202\", DEVSERVE_FP32, { 1 } }"),
	".inputs[0] is not UTF-8")
REFUSED(a_name_that_is_no_string_is_refused, ONE_INPUT("{ (const char *)16, DEVSERVE_FP32, { 1 } }"),
	".inputs[0] is not a string constant of at most 255 bytes")
REFUSED(a_missing_datatype_is_refused, ONE_INPUT("{ \"A\", 0, { 1 } }"),
	".inputs[0] has datatype 0, which is none; write DEVSERVE_FP32")
REFUSED(an_unknown_datatype_is_refused, ONE_INPUT("{ \"A\", 99, { 1 } }"),
	".inputs[0] has datatype 99, which is none")
REFUSED(a_shape_with_a_hole_is_refused, ONE_INPUT("{ \"A\", DEVSERVE_FP32, { 2, 0, 4 } }"),
	".inputs[0] has extent 4 after an extent 0, which ends the shape; write -1")
REFUSED(an_extent_below_minus_one_is_refused, ONE_INPUT("{ \"A\", DEVSERVE_FP32, { 2, -2 } }"),
	".inputs[0] has extent -2; write -1 for a free extent")
REFUSED(eight_extents_and_a_batch_are_refused,
	ONE_INPUT("{ \"A\", DEVSERVE_FP32, { 1, 1, 1, 1, 1, 1, 1, 1 } }") ", .max_batch_size = 1",
	".inputs[0] has 8 extents and the batch in front")
REFUSED(a_tensor_beyond_any_memory_is_refused,
	ONE_INPUT("{ \"A\", DEVSERVE_FP32, { 1L << 40, 1L << 40 } }"), ".inputs[0] is larger than any memory")
REFUSED(an_enormous_batch_is_refused, INPUT OUTPUT ".max_batch_size = (1 << 20) + 1, .infer = infer",
	".max_batch_size is 1048577; at most 1048576")
REFUSED(an_unknown_shape_rule_is_refused, INPUT OUTPUT ".shape = 2, .infer = infer", ".shape is 2")
REFUSED(a_control_character_in_the_description_is_refused,
	".description = \"\\033]0;\", " INPUT OUTPUT ".infer = infer", ".description has a control character")
REFUSED(same_shape_of_no_input_is_refused, OUTPUT ".shape = DEVSERVE_SAME_SHAPE, .infer = infer",
	"1 outputs for 0 inputs")
REFUSED(same_shape_of_another_rank_is_refused,
	".inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_INT8, { -1, -1 } }), " OUTPUT
	".shape = DEVSERVE_SAME_SHAPE, .infer = infer",
	"DEVSERVE_SAME_SHAPE gives \"Y\" the shape of \"X\"")
REFUSED(same_shape_of_another_extent_is_refused,
	".inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_INT8, { 4 } }), "
	".outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_INT8, { 5 } }), "
	".shape = DEVSERVE_SAME_SHAPE, .infer = infer",
	"write the same or use DEVSERVE_OWN_SHAPE")
REFUSED(same_shape_of_a_free_extent_for_a_fixed_one_is_refused,
	".inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_FP32, { -1 } }), "
	".outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_FP32, { 3 } }), "
	".shape = DEVSERVE_SAME_SHAPE, .infer = infer",
	"only \"Y\" with a fixed one; write the same or use DEVSERVE_OWN_SHAPE")

Test(inspect, a_name_of_255_bytes_is_the_longest)
{
	char name[257] = "";
	_cleanup_free_ char *longest = NULL, *longer = NULL;
	struct image_info info;

	memset(name, 'n', 255);
	longest = xasprintf(PRELUDE "DEVSERVE_DEPLOYMENT(.inputs = { { \"%s\", DEVSERVE_FP32 } }, " OUTPUT
				    ".infer = infer)\n", name);
	compile("cc", "-shared -w", longest);
	info = accepted();
	cr_assert_str_eq(info.signature->inputs[0].name, name);
	image_info_fini(&info);
	name[255] = 'n';
	longer = xasprintf(PRELUDE "DEVSERVE_DEPLOYMENT(.inputs = { { \"%s\", DEVSERVE_FP32 } }, " OUTPUT
				   ".infer = infer)\n", name);
	compile("cc", "-shared -w", longer);
	refused(IMAGE_E_REFUSED, "at most 255 bytes");
}

static void refuse_extension(const char *initialiser, const char *sentence)
{
	_cleanup_free_ char *source =
		xasprintf(PRELUDE "static const struct devserve_extension x = %s;\n"
				  "DEVSERVE_DEPLOYMENT(" INPUT OUTPUT ".infer = infer, "
				  ".extensions = { &x, &x })\n", initialiser);

	compile("cc", "-shared", source);
	refused(IMAGE_E_REFUSED, sentence);
}

Test(inspect, malformed_extensions_are_refused)
{
	static const char *const ids[] = { "", "devserve", "devserve.x", "devserve.x/", "devserve.x/0",
					   "devserve./1", ".x/1", "devserve.X/1", "devserve.x/1a",
					   "x/1", "devserve.x/1234567890" };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		_cleanup_free_ char *initialiser = xasprintf("{ \"%s\", sizeof(x), 0 }", ids[i]);

		refuse_extension(initialiser, "write \"devserve.NAME/REVISION\"");
	}
	refuse_extension("{ \"devserve.x/1\", 15, 0 }", "has .struct_size 15; write the size");
	refuse_extension("{ \"devserve.x/1\", 16, 1 }", "has .reserved 1; leave it 0");
	refuse_extension("{ \"devserve.x/1\", 16, 0 }", ".extensions has devserve.x/1 twice; drop one");
	refuse_extension("{ 0, 16, 0 }", ".extensions[0] has the id \"\"; write");
}

/* Damage */

static void inspect_bytes(const char *bytes, size_t size, bool *ret_accepted)
{
	char *copy = malloc(size ? size : 1); /* the sanitizer watches its ends */
	struct buffer why = BUFFER_NULL;
	struct image_info info = { .signature = NULL };
	int r;

	memcpy(copy, bytes, size);
	r = image_inspect_bytes(copy, size, &info, &why);
	cr_assert(r == 0 || (r > 0 && why.size > 0), "%d at %zu", r, size);
	*ret_accepted = r == 0;
	image_info_fini(&info);
	buffer_fini(&why);
	free(copy);
}

Test(inspect, no_part_of_an_image_is_accepted_before_its_data)
{
	struct buffer content = BUFFER_NULL;
	size_t first = 0;
	bool ok = false;

	compile("cc", "-shared -s -nostdlib", PLAIN);
	cr_assert_eq(file_read(image, &content), 0);
	while (!ok)
		inspect_bytes(content.data, first++, &ok);
	cr_assert(first > sizeof(struct devserve_deployment));
	buffer_fini(&content);
}

Test(inspect, damaged_images_are_survived)
{
	struct buffer content = BUFFER_NULL;
	unsigned n_accepted = 0;
	bool ok;

	compile("cc", "-shared -s -nostdlib", PLAIN);
	cr_assert_eq(file_read(image, &content), 0);
	srandom(7);
	for (int i = 0; i < 20000; i++) {
		/* Half of the damage goes to the headers, where it does most. */
		size_t at = (size_t)random() % (i % 2 ? content.size : 1024);
		char was = content.data[at];

		content.data[at] = (char)random();
		inspect_bytes(content.data, content.size, &ok);
		n_accepted += ok;
		content.data[at] = was;
	}
	cr_assert(n_accepted > 0 && n_accepted < 20000);
	buffer_fini(&content);
}

/* Pages */

static void compile_page(void)
{
	compile("cc", "-shared -nostdlib -Wl,--build-id=0xbeef",
		DEPLOYMENT(".description = \"Says \\\"yes\\\".\", "
			   ".inputs = DEVSERVE_TENSORS({ \"X\", DEVSERVE_FP32, { -1, 3 } }), "
			   ".outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_BYTES }), "
			   ".max_batch_size = 4, .max_queue_delay_microseconds = 100, .infer = infer"));
}

Test(inspect, the_page_for_people)
{
	struct image_info info;
	struct buffer text = BUFFER_NULL;

	compile_page();
	info = accepted();
	info.file_size = 5000;
	image_info_text(&info, "a\033b.so", &text);
	cr_assert_str_eq(text.data, "image        a?b.so, 5000 bytes\n"
				    "description  Says \"yes\".\n"
				    "inputs       X               FP32   [batch, -1, 3]\n"
				    "outputs      Y               BYTES  [batch]\n"
				    "shapes       infer gives free outputs theirs\n"
				    "batch        up to 4, the first request waits 100 µs\n"
				    "functions    infer\n"
				    "extensions   none\n"
				    "libraries    none\n"
				    "unloading    can be unmapped\n"
				    "ABI          1.0\n"
				    "build id     beef\n");
	image_info_fini(&info);
	buffer_fini(&text);
}

static struct hash identity_of(const char *arguments, const char *source)
{
	struct image_info info;
	struct hash h;

	compile("cc", arguments, source);
	info = accepted();
	h = info.identity;
	image_info_fini(&info);
	return h;
}

Test(inspect, lines_that_move_leave_the_identity)
{
	static const char flags[] = "-shared -g -O1 -Wl,--build-id";
	struct hash before = identity_of(flags, PLAIN), file, other_file;

	cr_assert_eq(hash_file(image, &file), 0);
	cr_assert(hash_equal(before, identity_of(flags, "/* moved */\n\n\nstruct unused { int x; };\n" PLAIN)));
	cr_assert_eq(hash_file(image, &other_file), 0);
	cr_assert_not(hash_equal(file, other_file), "the file itself is another one");
	cr_assert(hash_equal(before, identity_of("-shared -O1 -Wl,--build-id", PLAIN)), "without any debug information");
}

Test(inspect, code_and_data_make_the_identity)
{
	static const char flags[] = "-shared -g -O1 -Wl,--build-id";
	static const char *const changed[] = {
		"__attribute__((used)) static int added(int x) { return x * 7; }\n" PLAIN,
		"__attribute__((used)) static int added(int x) { return x * 9; }\n" PLAIN,
		"__attribute__((used)) static int data = 1;\n" PLAIN,
		"__attribute__((used)) static int data = 2;\n" PLAIN,
		"__attribute__((used)) static char zeros[4096];\n" PLAIN,
		"__attribute__((used)) static char zeros[8192];\n" PLAIN,
	};
	struct hash seen[sizeof(changed) / sizeof(changed[0]) + 1];
	size_t n = 0;

	seen[n++] = identity_of(flags, PLAIN);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++) {
		seen[n] = identity_of(flags, changed[i]);
		for (size_t k = 0; k < n; k++)
			cr_expect_not(hash_equal(seen[k], seen[n]), "%zu and %zu", k, n);
		n++;
	}
}

/* Of a pack of objects, which are made up of sections as cubins are. */
static struct hash device_identity_of(const char *source)
{
	_cleanup_free_ char *pack = xasprintf("%s/pack", directory);
	const char *const parts[] = { image };
	struct hash h;

	compile("cc", "-c -g -O1 -fno-asynchronous-unwind-tables", source);
	cr_assert_eq(pack_write(pack, parts, 1), 0);
	cr_assert_eq(device_identity(pack, &h), 0);
	return h;
}

Test(inspect, lines_that_move_leave_the_identity_of_device_code)
{
	static const char kernel[] = "int kernel(int x) { return x * 7; }\n";
	struct hash before = device_identity_of(kernel);

	cr_expect(hash_equal(before, device_identity_of("/* moved */\n\n\nint kernel(int x) { return x * 7; }\n")));
	cr_expect_not(hash_equal(before, device_identity_of("int kernel(int x) { return x * 9; }\n")));
	cr_expect_not(hash_equal(before, device_identity_of("int kernel(int x) { return x * 7; }\nint data[9];\n")));
}

Test(inspect, device_code_that_is_cut_off_or_changed_is_read_within_its_bounds)
{
	_cleanup_free_ char *pack = xasprintf("%s/pack", directory);
	_cleanup_buffer_ struct buffer whole = BUFFER_NULL;
	const char *const parts[] = { image };
	struct hash h;

	compile("cc", "-c -g -O1", "int kernel(int x) { return x * 7; }\n");
	cr_assert_eq(file_read(image, &whole), 0);
	for (size_t at = 0; at < whole.size; at += at < 80 || at + 2000 > whole.size ? 1 : 97) {
		char kept = whole.data[at];

		whole.data[at] = (char)0xff;
		cr_assert_eq(file_write(image, whole.data, at % 2 ? whole.size : at, 0600), 0);
		cr_assert_eq(pack_write(pack, parts, 1), 0);
		cr_assert_eq(device_identity(pack, &h), 0);
		whole.data[at] = kept;
	}
}

Test(inspect, the_page_for_programs)
{
	struct image_info info;
	struct buffer text = BUFFER_NULL;

	compile_page();
	info = accepted();
	info.file_size = 5000;
	image_info_json(&info, "b.so", &text);
	cr_assert_str_eq(text.data,
			 "{\"path\":\"b.so\",\"size\":5000,\"build_id\":\"beef\","
			 "\"abi\":{\"major\":1,\"minor\":0,\"struct_size\":5304},"
			 "\"description\":\"Says \\\"yes\\\".\","
			 "\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[-1,3]}],"
			 "\"outputs\":[{\"name\":\"Y\",\"datatype\":\"BYTES\",\"shape\":[]}],"
			 "\"output_shape\":\"own\",\"max_batch_size\":4,"
			 "\"max_queue_delay_microseconds\":100,\"create\":false,\"destroy\":false,"
			 "\"extensions\":[],\"needed\":[],"
			 "\"nodelete\":false,\"unique\":false,\"static_tls\":false}");
	image_info_fini(&info);
	buffer_fini(&text);
}
