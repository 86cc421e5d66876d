/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/inspect.h"
#include "infer/signature.h"

/* What an image says of its state. Everything else of the entry is inspect.c's matter. */

static char directory[] = "/tmp/devserve-declaration-XXXXXX";
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

TestSuite(declaration, .init = make_directory, .fini = remove_directory);

#define PRELUDE                                                                     \
	"#include <devserve/ext/state.h>\n"                                         \
	"struct counter { int64_t count, other; };\n"                               \
	"static int infer(const struct devserve_call *call)"                        \
	"{ return (int)call->n_in; }\n"                                             \
	"__attribute__((used)) static int migrate(const void *old, uint64_t size,"  \
	"uint32_t version, void *ret)"                                              \
	"{ return !old || !size || !version || !ret; }\n"                           \
	"static void *slot; __attribute__((used)) static void **user = &slot;\n"
#define END                                                                       \
	"\nDEVSERVE_DEPLOYMENT(.outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_FP32, { 1 } })," \
	".infer = infer, .extensions = { DEVSERVE_STATE_EXTENSION })\n"
#define BY_HAND(fields)                                                         \
	PRELUDE "static const struct devserve_state_extension devserve_state_table = { " \
		".extension = { DEVSERVE_STATE_ID, sizeof(struct devserve_state_extension), 0 }," \
		fields " };" END

static int inspect(const char *compiler, const char *source, struct image_info *ret,
		   struct buffer *why)
{
	_cleanup_free_ char *path = xasprintf("%s/source", directory);
	_cleanup_free_ char *command =
		xasprintf("%s -Iinclude -fPIC -shared -fvisibility=hidden -o %s %s", compiler, image, path);

	cr_assert_eq(file_write(path, source, strlen(source), 0600), 0);
	cr_assert_eq(system(command), 0, "%s", command);
	return image_inspect(image, ret, why);
}

static void accepted(const char *compiler, const char *source, bool migrates)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL, text = BUFFER_NULL;
	struct image_info info;

	cr_assert_eq(inspect(compiler, source, &info, &why), 0, "%s", buffer_text(&why));
	cr_expect_eq(info.signature->state.size, 16);
	cr_expect_eq(info.signature->state.version, 3);
	cr_expect_eq(info.signature->state.migrates, migrates);
	image_info_text(&info, "x.so", &text);
	cr_expect(strstr(text.data, "state        16 bytes, version 3"), "%s", text.data);
	buffer_reset(&text);
	image_info_json(&info, "x.so", &text);
	cr_expect(strstr(text.data, "\"state\":{\"size\":16,\"version\":3,\"migrates\":"), "%s", text.data);
	image_info_fini(&info);
}

static void refused(const char *source, const char *sentence)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct image_info info;

	cr_assert_eq(inspect("cc -xc", source, &info, &why), IMAGE_E_REFUSED, "%s", buffer_text(&why));
	cr_expect(strstr(buffer_text(&why), sentence), "\"%s\" lacks \"%s\"", buffer_text(&why), sentence);
}

Test(declaration, the_state_is_read_with_its_size_version_and_migrate)
{
	accepted("cc -xc -std=c11", PRELUDE "DEVSERVE_STATE(struct counter, .version = 3)" END, false);
	accepted("cc -xc -std=c11",
		 PRELUDE "DEVSERVE_STATE(struct counter, .version = 3, .migrate = migrate)" END, true);
	accepted("c++ -xc++ -std=c++17", PRELUDE "DEVSERVE_STATE(counter, .version = 3)" END, false);
	accepted("c++ -xc++ -std=c++20",
		 PRELUDE "DEVSERVE_STATE(counter, .version = 3, .migrate = migrate)" END, true);
}

Test(declaration, a_state_without_the_fields_that_came_later_is_read_all_the_same)
{
	accepted("cc -xc -std=c11",
		 PRELUDE "struct first { struct devserve_extension extension; uint64_t size; void *slot; uint32_t version, "
			 "reserved; int (*migrate)(const void *, uint64_t, uint32_t, void *); };"
			 "static const struct first devserve_state_table = { { DEVSERVE_STATE_ID, sizeof(struct first), 0 }, "
			 "16, &slot, 3, 0, migrate };" END,
		 true);
}

Test(declaration, a_state_may_be_made_anew_by_migrate_from_alone)
{
	accepted("cc -xc -std=c11",
		 PRELUDE "static int from(const void *old, const struct devserve_state_layout *layout, void *ret)"
			 "{ return migrate(old, layout->size, layout->version, ret); }"
			 "DEVSERVE_STATE(struct counter, .version = 3, .migrate_from = from)" END, true);
}

Test(declaration, an_impossible_state_is_refused)
{
	refused(BY_HAND(".size = 0, .slot = &slot, .version = 1"), "a state of 0 bytes");
	refused(BY_HAND(".size = (1ull << 30) + 1, .slot = &slot, .version = 1"), "1 byte to 1 GiB are possible");
	refused(BY_HAND(".size = 8, .slot = &slot"), "the state has no version");
	refused(BY_HAND(".size = 8, .slot = &slot, .version = 1, .reserved = 7"), ".reserved is 7");
	refused(BY_HAND(".size = 8, .version = 1"), ".slot is not a null pointer variable");
	refused(BY_HAND(".size = 8, .slot = (void *)4096, .version = 1"), ".slot is not a null");
	refused(BY_HAND(".size = 8, .slot = (char *)&slot + 1, .version = 1"), ".slot is not a null");
	refused(BY_HAND(".size = 8, .slot = (void *)infer, .version = 1"), ".slot is not a null");
	refused(BY_HAND(".size = 8, .slot = &slot, .version = 1, .migrate = (int (*)(const void *, uint64_t, "
			"uint32_t, void *))4096"), ".migrate is not a function");
}

Test(declaration, a_state_extension_that_is_cut_short_is_refused)
{
	refused(PRELUDE "static const struct { struct devserve_extension extension; }"
			"devserve_state_table = { { DEVSERVE_STATE_ID, 16, 0 } };" END, "is too small");
}
