/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `devserve inspect FILE`: what an image declares, read from the file. Returns the status to
 * exit with; an image that would be refused is a failure, and the reason is on stderr.
 */
int cli_inspect(int argc, char **argv);
