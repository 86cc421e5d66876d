# SPDX-License-Identifier: MIT
#
# Tests. A new one is a new file; nothing needs to be listed:
#
#	t/NN-subject.t            any program that prints TAP; NN is its tier
#	t/unit/MODULE/NAME.c      Criterion, mirrors src/MODULE/NAME.c             (tier 10)
#	t/tap/NAME.c              plain program that prints TAP itself: runs under
#	                          SANITIZE=thread too, which Criterion does not    (tier 10)
#	t/e2e/test_NAME.py        pytest, against a running server                 (tier 50)
#	t/fuzz/NAME.c             libFuzzer, seeds in t/fuzz/corpus/NAME/          (tier 90);
#	                          $(BUILD)/t/replay/NAME gives it the seeds, without clang
#	t/lib/NAME.c              a helper program, $(BUILD)/t/NAME
#	t/fake/NAME.c             what plays NAME.so where the real one can't be, $(BUILD)/t/fake/NAME.so.1
#	t/lib/preload/NAME.c      a library for LD_PRELOAD, $(BUILD)/t/NAME.so

# Everything but the programs' main.c.
archive := $(BUILD)/libdevserve.a
test_flags = $(filter-out -Wpedantic -Wmissing-prototypes -Wstrict-prototypes,$(all_cflags)) -It/lib -MF $@.d -MT $@
test_libs := $(archive) $(server_libs) $(worker_libs) $(watcher_libs) $(debug_libs)

unit_programs := $(patsubst %.c,$(BUILD)/%,$(wildcard t/unit/*/*.c))
tap_programs := $(patsubst %.c,$(BUILD)/%,$(wildcard t/tap/*.c))
replay_programs := $(patsubst t/fuzz/%.c,$(BUILD)/t/replay/%,$(wildcard t/fuzz/*.c))
helper_programs := $(patsubst t/lib/%.c,$(BUILD)/t/%,$(wildcard t/lib/*.c)) \
	$(patsubst t/lib/preload/%.c,$(BUILD)/t/%.so,$(wildcard t/lib/preload/*.c))
fakes := $(patsubst t/fake/%.c,$(BUILD)/t/fake/%.so.1,$(wildcard t/fake/*.c))
ifeq ($(SANITIZE),thread)
test_programs := $(tap_programs)
else
test_programs := $(unit_programs) $(tap_programs) $(helper_programs) $(replay_programs) $(fakes)
endif

$(archive): $(filter-out %/main.c.o,$(all_objects))
	@rm -f $@
	$(Q)$(AR) qcs $@ $^

$(BUILD)/t/unit/%: t/unit/%.c $(archive)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) $(test_flags) $(all_ldflags) -o $@ $< $(test_libs) -lcriterion

$(BUILD)/t/tap/%: t/tap/%.c $(archive)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) $(test_flags) $(all_ldflags) -o $@ $< $(test_libs)

$(BUILD)/t/%: t/lib/%.c $(archive)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) $(test_flags) $(all_ldflags) -o $@ $< $(test_libs)

$(BUILD)/t/fake/%.so.1: t/fake/%.c
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) -std=gnu11 -O1 -g -fPIC -fvisibility=hidden $(warn) -shared -o $@ $<

$(BUILD)/t/%.so: t/lib/preload/%.c
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o $@ $<

# By itself: a compiler that is given two sources tells of the headers of one.
replay_main := $(BUILD)/t/replay/main.o
$(replay_main): t/lib/replay/main.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(test_flags) -c -o $@ $<

$(BUILD)/t/replay/%: t/fuzz/%.c $(replay_main) $(archive)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) $(test_flags) $(all_ldflags) -o $@ $< $(replay_main) $(test_libs)

# Wants a tree of its own and clang: make fuzz-programs $(fuzz_flags)
fuzz_flags := BUILD=build-fuzz CC=clang CXX=clang++ SANITIZE=fuzzer-no-link,address,undefined \
	CXXFLAGS='-O2 -g -fno-sanitize=function,vptr' # those want the C++ runtime
fuzz_programs := $(patsubst %.c,$(BUILD)/%,$(wildcard t/fuzz/*.c))

$(BUILD)/t/fuzz/%: t/fuzz/%.c $(archive)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) $(test_flags) $(all_ldflags) -fsanitize=fuzzer -o $@ $< $(test_libs)

.PHONY: fuzz fuzz-programs
fuzz-programs: $(fuzz_programs)
fuzz: ## let libFuzzer (clang) try every parser: SECONDS=60 for each
	@$(MAKE) --no-print-directory fuzz-programs $(fuzz_flags)
	@t/lib/fuzz build-fuzz $(or $(SECONDS),60)

-include $(addsuffix .d,$(unit_programs) $(tap_programs) $(helper_programs) $(replay_programs) $(replay_main) $(fuzz_programs))

# What the tests see of make.
prove = DEVSERVE_BUILD=$(abspath $(BUILD)) DEVSERVE_VENV=$(abspath $(VENV)) \
	DEVSERVE_SANITIZE=$(SANITIZE) T_LONG=$(T_LONG) V=$(V) t/lib/prove

.PHONY: test-programs
test-programs: $(test_programs)

# The packages are installed first: what make knows of the tree may depend on them.
.PHONY: test
test: ## build and run all tests; T=20 runs one tier, T=10-unit-base what starts so
	@$(call install_packages,$(packages_serve) $(packages_test))
	@$(MAKE) --no-print-directory $(if $(filter thread,$(SANITIZE)),,all) test-programs
	@$(MAKE) --silent $(VENV)/ready || true
	@$(prove) $(T)

.PHONY: check
check: all test-programs ## the same, but install and download nothing: what can't run is skipped
	@$(prove) $(T)

.PHONY: test-long
test-long: ## the same with thousands of swaps and long fuzzing (T_LONG=1)
	@$(MAKE) --no-print-directory test T_LONG=1

.PHONY: lint
lint: ## layers, banned calls, size budget, headers; and what clang-format would do otherwise
	@$(prove) 00-layers 00-style 00-headers
	@! command -v clang-format >/dev/null || \
		$(list_files) | grep -E '\.(c|h|cc)$$' | xargs clang-format --dry-run

# Without pip's registry the tests that need this are skipped, and say why.
VENV ?= build/venv
$(VENV)/ready: t/requirements.txt
	@rm -rf $(VENV)
	@/usr/bin/python3 -m venv $(VENV)
	@echo "  PIP  $<"
	$(Q)$(VENV)/bin/pip --disable-pip-version-check --timeout 20 --retries 1 install -q -r $<
	@touch $@
