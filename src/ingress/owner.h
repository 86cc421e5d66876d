/* SPDX-License-Identifier: MIT */
#pragma once

struct buffer;

/*
 * Who listens on TCP port @port of this machine: "PID 123 (name)" appended to @ret. -1:
 * nobody, or somebody whose descriptors we may not see.
 */
int port_owner(unsigned port, struct buffer *ret);
