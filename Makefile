# SPDX-License-Identifier: MIT
#
# `make help` lists what can be made. Everything lands in build/ (or $(BUILD)); nothing
# here touches the network but `make deps`, which `make serve` and `make test` call first.

VERSION := 0.1.0
SANITIZE ?=
DEVELOPER ?=
PREFIX ?= /usr/local
BUILD ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
comma := ,

# make's built-in default for CC is cc; an environment or command line that sets it wins.
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g

harden := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
strict := $(if $(DEVELOPER),-Werror)
common := -D_GNU_SOURCE -DDEVSERVE_VERSION='"$(VERSION)"' -Isrc -Iinclude -fvisibility=hidden \
	-MMD -MP $(harden) $(sanitize) $(strict) -Wall -Wextra -Wshadow -Wvla -Walloca -Wwrite-strings
all_cflags := -std=c11 $(common) -Wpedantic -Wmissing-prototypes -Wstrict-prototypes $(CFLAGS)
all_cxxflags := -std=c++17 $(common) -fno-exceptions -fno-rtti $(CXXFLAGS)
all_ldflags := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(sanitize) $(LDFLAGS)

# A program is a list of folders; a folder is one idea (ARCHITECTURE.md has the layers).
server_modules := base ring infer image watch build replica deploy ingress serve cli
worker_modules := base ring worker
watcher_modules := base watcher

server_libs := -luv -lhttp_parser -lsimdjson -lxxhash -lz -lstdc++ -lm
worker_libs := -lopenblas -lxxhash -luv -lm -ldl -lpthread
watcher_libs := -linotifytools -lxxhash -luv

objects_of = $(patsubst src/%,$(BUILD)/obj/%.o,$(foreach m,$(1),$(wildcard src/$(m)/*.c src/$(m)/*.cc)))
server_objects := $(call objects_of,$(server_modules)) $(BUILD)/obj/main.c.o
worker_objects := $(call objects_of,$(worker_modules))
watcher_objects := $(call objects_of,$(watcher_modules))
programs := $(BUILD)/devserve $(BUILD)/devserve-worker $(BUILD)/devserve-watch

.PHONY: all
all: $(programs)

$(BUILD)/devserve: $(server_objects)
	$(CC) $(all_ldflags) -o $@ $^ $(server_libs)

$(BUILD)/devserve-worker: $(worker_objects)
	$(CC) $(all_ldflags) -o $@ $^ $(worker_libs)

$(BUILD)/devserve-watch: $(watcher_objects)
	$(CC) $(all_ldflags) -o $@ $^ $(watcher_libs)

$(BUILD)/obj/%.c.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(all_cflags) -c -o $@ $<

$(BUILD)/obj/%.cc.o: src/%.cc
	@mkdir -p $(@D)
	$(CXX) $(all_cxxflags) -c -o $@ $<

include $(wildcard t/t.mk bench/bench.mk)
-include $(patsubst %.o,%.d,$(server_objects) $(worker_objects) $(watcher_objects))

.PHONY: clean
clean:
	rm -rf build build-*
