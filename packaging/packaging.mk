# SPDX-License-Identifier: MIT
#
# What leaves the tree: an installation, a tarball, a Debian package. All of it is the same
# whoever makes it, where and when (t/20-packaging.t).

to = $(DESTDIR)$(PREFIX)
headers := $(wildcard include/devserve/*.h include/devserve/ext/*.h)
# The pages, and what they lead to; but not what a server or an interpreter leaves beside it.
documents := $(wildcard LICENSE *.md) $(shell find docs examples plugins bench/README.md bench/results -type f \
	! -path '*/.*' ! -path '*/__pycache__/*' ! -name compile_commands.json 2>/dev/null | sort)
pages_of_doc = $(addprefix $(to)/share/doc/devserve/,$(filter %.md,$(documents)))

# Of $(pages): where each is looked for.
places := devserve.1:share/man/man1/devserve.1 \
	deployment.schema.json:share/devserve/deployment.schema.json \
	completions/bash:share/bash-completion/completions/devserve \
	completions/zsh:share/zsh/site-functions/_devserve \
	completions/fish:share/fish/vendor_completions.d/devserve.fish
from = $(firstword $(subst :, ,$(1)))
into = $(lastword $(subst :, ,$(1)))

# Below $(to); `make uninstall` removes these, and the directories that are ours.
installed = bin/devserve $(addprefix libexec/devserve/,$(notdir $(filter-out %/devserve,$(programs)))) \
	$(headers) $(addprefix share/doc/devserve/,$(documents) LICENSE.GPL-2) \
	share/pkgconfig/devserve.pc $(foreach p,$(places),$(call into,$(p)))
directories = $(addprefix $(to)/,libexec/devserve include/devserve share/devserve share/doc/devserve)

.PHONY: install
install: all ## install to $(DESTDIR)$(PREFIX), PREFIX=/usr/local
	install -D -m 755 -t $(to)/bin $(BUILD)/devserve
	install -D -m 755 -t $(to)/libexec/devserve $(filter-out %/devserve,$(programs))
	$(foreach f,$(headers),install -D -m 644 $(f) $(to)/$(f)$(newline))
	$(foreach f,$(documents),install -D -m 644 $(f) $(to)/share/doc/devserve/$(f)$(newline))
	install -D -m 644 src/watcher/LICENSE $(to)/share/doc/devserve/LICENSE.GPL-2
	sed -i -e 's|](\(\(\.\./\)*\)include/|](\1../../../include/|g' -e 's|](src/watcher/LICENSE)|](LICENSE.GPL-2)|g' \
		$(pages_of_doc) # headers and that licence lie elsewhere once they are installed
	$(foreach p,$(places),install -D -m 644 $(BUILD)/$(call from,$(p)) $(to)/$(call into,$(p))$(newline))
	sed $(about:%=-e 's|@%|') packaging/devserve.pc.in >$(BUILD)/devserve.pc
	install -D -m 644 -t $(to)/share/pkgconfig $(BUILD)/devserve.pc

.PHONY: uninstall
uninstall: ## remove what `make install` put there
	rm -f $(addprefix $(to)/,$(installed))
	for d in $(directories); do [ ! -d $$d ] || find $$d -depth -type d -empty -delete; done

define newline


endef
abi = $(shell sed -n 's/^.define DEVSERVE_ABI_$(1) \([0-9]*\)u.*/\1/p' include/devserve/deployment.h)
about = PREFIX@|$(PREFIX) VERSION@|$(VERSION) ABI_MAJOR@|$(call abi,MAJOR) ABI_MINOR@|$(call abi,MINOR)

# The tarball holds what git knows, or, unpacked from one, what is there; and its time is that
# of the commit, which the unpacked files keep. So a tarball of a tarball is the same tarball.
release := devserve-$(VERSION)
in_git = $(wildcard .git)
SOURCE_DATE_EPOCH ?= $(shell $(if $(in_git),git log -1 --format=%ct,stat -c %Y Makefile))
list_files = $(if $(in_git),git ls-files,find . -type f ! -path './build*' ! -path '*/.devserve/*' \
	! -path '*/__pycache__/*' ! -name compile_commands.json -printf '%P\n')

.PHONY: dist
dist: $(BUILD)/$(release).tar.gz ## pack the sources: build/devserve-VERSION.tar.gz

$(BUILD)/$(release).tar.gz: FORCE
	@mkdir -p $(@D)
	@echo "  TAR  $@"
	$(Q)$(list_files) | LC_ALL=C sort | tar -cf - --format=gnu --no-recursion --files-from=- --owner=0 --group=0 \
		--numeric-owner --mode=u=rwX,go=rX --mtime=@$(SOURCE_DATE_EPOCH) --transform='s,^,$(release)/,S' | \
		gzip -9n >$@

# debian/ is Debian's and is put beside the sources here, as there: what Debian changes of it
# needs no release of ours.
debian := $(BUILD)/deb/$(release)

.PHONY: deb
deb: dist ## build the Debian packages in build/deb, offline: DEB_BUILD_OPTIONS=nocheck
	rm -rf $(BUILD)/deb
	mkdir -p $(BUILD)/deb
	cp $(BUILD)/$(release).tar.gz $(BUILD)/deb/devserve_$(VERSION).orig.tar.gz
	tar -xf $(BUILD)/$(release).tar.gz -C $(BUILD)/deb
	cp -a $(debian)/packaging/debian $(debian)/debian
	cd $(debian) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS dpkg-buildpackage -us -uc
