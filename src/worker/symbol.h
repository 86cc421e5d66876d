/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct buffer;

/*
 * What lies at @address of the image at @path, counted from where it is mapped: "on_tick()", "table",
 * a string literal in quotes. False, and nothing: it can't be told.
 */
bool symbol_describe(const char *path, uint64_t address, struct buffer *ret);
