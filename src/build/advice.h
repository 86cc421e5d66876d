/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Advice
 *
 * What the compilers of kernels leave out: ptxas names no source, of which a deployment may have
 * several, and what is wrong is sometimes that a .cu is compiled alone, and without the host's library.
 */

struct buffer;

/*
 * Append @text, what was said while @source was compiled, to @ret: with @source before what ptxas complains
 * of, and notes what to do behind the rest, each once.
 */
void advice_add(const char *text, const char *source, struct buffer *ret);
