# SPDX-License-Identifier: MIT
#
# The helpers of bench/run: $(BUILD)/bench/NAME from bench/NAME.c, one file with src/base beside
# it and what it measures, or from bench/NAME.cc, which is linked with all of ours.

bench_programs := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c)) \
	$(patsubst bench/%.cc,$(BUILD)/bench/%,$(wildcard bench/*.cc))
bench_base := $(BUILD)/obj/base/memory.c.o
bench_cflags = $(filter-out -Wpedantic -Wmissing-prototypes -Wstrict-prototypes,$(all_cflags)) -MF $@.d -MT $@

$(BUILD)/bench/gemm_bare: bench_libs := -ldl
$(BUILD)/bench/gate: $(BUILD)/obj/ingress/gate.c.o $(BUILD)/obj/ingress/charset.c.o
$(BUILD)/bench/recorder: $(addprefix $(BUILD)/obj/,record/recorder.c.o record/allowance.c.o replica/arena.c.o ring/link.c.o \
	infer/signature.c.o infer/dtype.c.o infer/tensor.c.o base/buffer.c.o base/json.c.o)
$(BUILD)/bench/state_pass: bench_libs := -lm
$(BUILD)/bench/state_pass: $(addprefix $(BUILD)/obj/,state/layout.c.o state/plan.c.o state/apply.c.o base/buffer.c.o)
$(BUILD)/bench/echo: bench_libs := -luv -lhttp_parser

$(BUILD)/bench/%: bench/%.c $(bench_base)
	@mkdir -p $(@D)
	$(CC) $(bench_cflags) $(all_ldflags) -o $@ $(filter %.c %.o,$^) $(bench_libs)

# What is ours in it is the server's own code.
$(BUILD)/bench/%: bench/%.cc $(archive)
	@mkdir -p $(@D)
	$(CXX) $(all_cxxflags) -MF $@.d -MT $@ $(all_ldflags) -o $@ $< $(archive) $(server_libs)

-include $(addsuffix .d,$(bench_programs))

.PHONY: bench-programs
bench-programs: $(bench_programs) $(BUILD)/t/allocations.so

bench: bench-programs
bench: export DEVSERVE_BUILD := $(abspath $(BUILD))
