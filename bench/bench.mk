# SPDX-License-Identifier: MIT
#
# The helpers of bench/run: $(BUILD)/bench/NAME from bench/NAME.c. Each is one file, with
# src/base beside it, and what it measures.

bench_programs := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))
bench_base := $(BUILD)/obj/base/memory.c.o
bench_cflags = $(filter-out -Wpedantic -Wmissing-prototypes -Wstrict-prototypes,$(all_cflags)) -MF $@.d -MT $@

$(BUILD)/bench/gemm_bare: bench_libs := -ldl
$(BUILD)/bench/gate: $(BUILD)/obj/ingress/gate.c.o $(BUILD)/obj/ingress/charset.c.o
$(BUILD)/bench/echo: bench_libs := -luv -lhttp_parser

$(BUILD)/bench/%: bench/%.c $(bench_base)
	@mkdir -p $(@D)
	$(CC) $(bench_cflags) $(all_ldflags) -o $@ $(filter %.c %.o,$^) $(bench_libs)

-include $(addsuffix .d,$(bench_programs))

.PHONY: bench-programs
bench-programs: $(bench_programs)

bench: bench-programs
bench: export DEVSERVE_BUILD := $(abspath $(BUILD))
