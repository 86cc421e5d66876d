/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `devserve new NAME`: write a deployment that compiles and answers at once, to start from.
 * Refuses to touch what is there. Returns the status to exit with.
 */
int cli_new(int argc, char **argv);
