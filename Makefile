# SPDX-License-Identifier: MIT
#
# `make help` lists what can be made. Everything lands in build/ (or $(BUILD)); nothing
# here touches the network but `make deps`, which `make serve` and `make test` call first.

VERSION := 0.1.0
RELEASED := 2026-11-27
PREFIX ?= /usr/local
BUILD ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
comma := ,

# Uses all cores unless told otherwise (make -j1).
ifeq ($(MAKELEVEL)$(filter -j% --jobs%,$(MAKEFLAGS)),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif
ifneq ($(filter clean,$(MAKECMDGOALS)),)
.NOTPARALLEL: # make clean all
endif

# V=1 shows the commands, and what the tests print.
Q := $(if $(V),,@)

CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g

harden := -fstack-protector-strong -fstack-clash-protection -fPIE \
	$(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
warn := -Wall -Wextra -Wshadow -Wvla -Walloca -Wwrite-strings -Wformat-security $(if $(DEVELOPER),-Werror)
common := -D_GNU_SOURCE -DDEVSERVE_VERSION='"$(VERSION)"' -DDEVSERVE_RELEASED='"$(RELEASED)"' -Isrc -Iinclude \
	-fvisibility=hidden -MMD -MP -ffile-prefix-map=$(CURDIR)=. $(harden) $(sanitize) $(warn)
all_cflags := -std=c11 $(common) -Wpedantic -Wmissing-prototypes -Wstrict-prototypes $(CPPFLAGS) $(CFLAGS)
all_cxxflags := -std=c++17 $(common) -fno-exceptions -fno-rtti $(CPPFLAGS) $(CXXFLAGS)
all_ldflags := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(sanitize) $(LDFLAGS)

# A program is a list of folders; a folder is one idea (ARCHITECTURE.md has the layers).
server_modules := base command http ring infer array verdict peaks compare golden state image watch build config weights replica record deploy ingress history serve cli
worker_modules := base ring cuda array verdict compare state worker
watcher_modules := base watcher
debug_modules := base state debug
cuda_modules := base cuda nvrtc

# llhttp is what became of http_parser, and the one to have where both are.
has_header = $(shell $(CC) $(CPPFLAGS) -E -include $(1) -xc /dev/null -o /dev/null 2>/dev/null && echo yes)
http := $(if $(call has_header,llhttp.h),llhttp,http_parser)
http_rivals := $(filter-out $(BUILD)/obj/http/$(http).c.o,$(BUILD)/obj/http/llhttp.c.o $(BUILD)/obj/http/http_parser.c.o)

server_libs := -luv -l$(http) -lsimdjson -lyaml -lsqlite3 -lxxhash -lz -lstdc++ -lm
worker_libs := -lxxhash -luv -lm -ldl -lpthread
watcher_libs := -linotifytools -lxxhash -luv
debug_libs := -ldw -lelf -lxxhash -luv -lstdc++ -lm
cuda_libs := -lxxhash -luv -ldl -lpthread

# Plugins that start threads call ours (src/worker/threads.h), and so does a sanitizer that reports.
exports = $(foreach s,$(1),-Wl,--defsym=$(subst :,=,$(s)) -Wl,--export-dynamic-symbol=$(firstword $(subst :, ,$(s))))
worker_exports := $(call exports,pthread_create:threads_create thrd_create:threads_create_c11) \
	$(call exports,__asan_on_error:sanitizer_on_error) \
	$(patsubst %,-Wl$(comma)--export-dynamic-symbol=devserve_replay_%,begin infer)
# NVRTC opens headers and libraries by ours (src/nvrtc/opened.c).
cuda_exports := $(call exports,fopen:opened_fopen fopen64:opened_fopen open:opened_open open64:opened_open dlopen:opened_dlopen)

# Debian packages: what building and serving needs (plugins are compiled while it serves), and
# what the tests need beside. Since 13 there is llhttp, and gold has a package of its own.
debian_release := $(shell sed -n 's/^VERSION_ID="\(.*\)"/\1/p' /etc/os-release 2>/dev/null)
packages_serve := gcc g++ make binutils libuv1-dev libsimdjson-dev \
	$(if $(filter 12,$(debian_release)),libhttp-parser-dev,libllhttp-dev binutils-gold) \
	libxxhash-dev zlib1g-dev libinotifytools0-dev libopenblas-dev libdw-dev libyaml-dev libsqlite3-dev
packages_test := libcriterion-dev pkgconf nix-bin perl python3 python3-venv ca-certificates curl jq libcurl4-openssl-dev \
	vim git procps mandoc zsh fish slowhttptest gdb

objects_of = $(patsubst src/%,$(BUILD)/obj/%.o,$(foreach m,$(1),$(wildcard src/$(m)/*.c src/$(m)/*.cc)))
server_objects := $(filter-out $(http_rivals),$(call objects_of,$(server_modules))) $(BUILD)/obj/main.c.o
worker_objects := $(call objects_of,$(worker_modules)) $(BUILD)/obj/infer/dtype.c.o $(BUILD)/obj/infer/tensor.c.o
watcher_objects := $(call objects_of,$(watcher_modules))
debug_objects := $(call objects_of,$(debug_modules))
cuda_objects := $(call objects_of,$(cuda_modules))
all_objects := $(sort $(server_objects) $(worker_objects) $(watcher_objects) $(debug_objects) $(cuda_objects))
programs := $(BUILD)/devserve $(addprefix $(BUILD)/devserve-,worker watch debug cuda)

# What the program says of itself: its manual, the schema of deployment.yaml, completions.
pages := $(BUILD)/devserve.1 $(BUILD)/deployment.schema.json $(addprefix $(BUILD)/completions/,bash zsh fish)

.PHONY: all
all: $(programs) $(pages) ## build devserve and its helpers (the default)

$(BUILD)/devserve: $(server_objects)
	@echo "  LINK $@"
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(server_libs)

$(BUILD)/devserve-worker: $(worker_objects)
	@echo "  LINK $@"
	$(Q)$(CC) $(all_ldflags) $(worker_exports) -o $@ $^ $(worker_libs)

$(BUILD)/devserve-watch: $(watcher_objects)
	@echo "  LINK $@"
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(watcher_libs)

$(BUILD)/devserve-debug: $(debug_objects)
	@echo "  LINK $@"
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(debug_libs)

$(BUILD)/devserve-cuda: $(cuda_objects)
	@echo "  LINK $@"
	$(Q)$(CC) $(all_ldflags) $(cuda_exports) -o $@ $^ $(cuda_libs)

$(BUILD)/devserve.1: $(BUILD)/devserve
	$(Q)$< help --man >$@.new && mv $@.new $@

$(BUILD)/deployment.schema.json: $(BUILD)/devserve
	$(Q)$< schema >$@.new && mv $@.new $@

$(BUILD)/completions/%: $(BUILD)/devserve
	@mkdir -p $(@D)
	$(Q)$< completion $* >$@.new && mv $@.new $@

$(BUILD)/obj/%.c.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(all_cflags) -c -o $@ $<

$(BUILD)/obj/%.cc.o: src/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CXX  $<"
	$(Q)$(CXX) $(all_cxxflags) -c -o $@ $<

# Changes when a compiler or a flag does, and everything with it.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(all_cflags) $(CXX) $(all_cxxflags) $(all_ldflags))' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
.PHONY: FORCE
FORCE:

-include $(all_objects:.o=.d)
include packaging/packaging.mk t/t.mk $(wildcard bench/bench.mk)

# nvcc, NVRTC, the runtime and cuBLAS as Python wheels, for machines without a toolkit. Their
# libraries have no names without a version, which linkers look for.
ifeq ($(CUDA),pip)
all: $(BUILD)/cuda
endif
$(BUILD)/cuda: src/cuda/toolkit.txt
	@rm -rf $@ $(BUILD)/cuda-wheels
	@/usr/bin/python3 -m venv $(BUILD)/cuda-wheels
	@echo "  PIP  $<"
	$(Q)$(BUILD)/cuda-wheels/bin/pip --disable-pip-version-check install -q -r $<
	@cd $(BUILD) && ln -sn cuda-wheels/lib/python3*/site-packages/nvidia/cu13 cuda
	@cd $@/lib && for l in *.so.*; do ln -sf $$l $${l%%.so.*}.so; done

.PHONY: serve
serve: ## build, then serve ./plugins in the foreground: PORT=8000 HOST= ARGS=
	@$(call install_packages,$(packages_serve))
	@$(MAKE) --no-print-directory all
	@exec 3<&0; $(BUILD)/devserve ./plugins $(if $(PORT),--port $(PORT)) $(if $(HOST),--host $(HOST)) $(ARGS) <&3 3<&- & \
	server=$$!; trap : INT; trap 'kill $$server' TERM; wait $$server; status=$$?; \
	while kill -0 $$server 2>/dev/null; do wait $$server; status=$$?; done; \
	[ $$status -eq 130 ] || exit $$status # Ctrl-C is how it ends, not an error; kill reaches it too

.PHONY: deps
deps: ## install the Debian packages for building, serving and testing that are missing
	@$(call install_packages,$(packages_serve) $(packages_test))

# Asks apt only for what dpkg doesn't have, with fresh lists: old ones name what is gone.
# On another system than Debian the compiler will say what is missing.
define install_packages
command -v dpkg-query >/dev/null || { echo "make deps: no dpkg here; needed (Debian's names): $(1)"; exit 0; }; \
there=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(1) 2>/dev/null | sed -n 's/^installed //p'); \
missing=; for p in $(1); do echo "$$there" | grep -qxF $$p || missing="$$missing $$p"; done; \
[ "$$missing" ] || exit 0; \
if [ $$(id -u) -eq 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else sudo=none; fi; \
if [ "$$sudo" != none ] && { $$sudo apt-get update; $$sudo env DEBIAN_FRONTEND=noninteractive \
	apt-get -y --no-install-recommends install$$missing; }; then exit 0; fi; \
echo "make deps: packages are missing. Type, as root:" >&2; \
echo "    apt-get update && apt-get install --no-install-recommends$$missing" >&2; exit 1
endef

.PHONY: docs
docs: $(BUILD)/devserve ## write docs/commands.md as the program has it
	t/lib/manual_as_markdown $< >docs/commands.md

.PHONY: bench
bench: all ## measure (bench/README.md): ARGS=
	bench/run $(ARGS)

.PHONY: clean
clean: ## remove build/ and the build-* of sanitizers (the tests' Python packages too)
	rm -rf build build-*

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo
	@echo '  CUDA=pip fetches a CUDA toolkit into build/ where none is installed'
	@echo '  SANITIZE=address,undefined or =thread; DEVELOPER=1 (-Werror); V=1; BUILD=folder; CC= CFLAGS= LDFLAGS='
