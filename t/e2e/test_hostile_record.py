# SPDX-License-Identifier: MIT
"""A plugin writes its own crash record, to hold the server up with it."""

import os

import pytest

from devserve import TREE, constant

FORGE = """\
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <devserve/deployment.h>
#include "ring/link.h"

/* Our worker's link, found among its mappings by its first word. */
static struct link_shared *find_link(void)
{{
	FILE *maps = fopen("/proc/self/maps", "r");
	struct link_shared *found = NULL;
	unsigned long low, high;
	char line[512];

	while (!found && fgets(line, sizeof(line), maps))
		if (strstr(line, "/memfd:") && strstr(line, "rw-s") && sscanf(line, "%lx-%lx", &low, &high) == 2 &&
		    *(uint32_t *)low == LINK_MAGIC)
			found = (struct link_shared *)low;
	fclose(maps);
	return found;
}}

static int infer(const struct devserve_call *call)
{{
	struct crash *c = &find_link()->crash;

	(void)call;
	c->signal = 11;
	c->n_frames = c->n_modules = 1;
	c->frames[0].pc = 0x1000;
	c->frames[0].module = 0;
	strcpy(c->modules[0].path, "{path}");
	atomic_store(&c->state, CRASH_COMPLETE);
	_exit(1);
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.infer = infer,
)
"""


@pytest.mark.parametrize("place", ["generations", "elsewhere"])
def test_a_forged_record_does_not_hold_the_server_up(root, serve, tmp_path, place):
    fifo = tmp_path / place / "fifo"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    root.write("other/other.c", constant(1))
    root.write("forge/forge.c", FORGE.format(path=fifo))
    root.write("forge/deployment.yaml", f"cflags: [-I{TREE}/src]\n")
    server = serve()
    mark = server.mark()
    assert server.infer("forge").status == 500
    assert server.infer("other").value == 1
    report = server.wait("crash.report", mark, deployment="forge")
    assert report["signal"] == "SIGSEGV"
    assert server.infer("other").value == 1
