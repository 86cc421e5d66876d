/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Replay
 *
 * The worker without a server: `devserve-worker replay CASE KEY=VALUE…` maps one image, runs one case
 * (array/case.h) on it, and ends.
 *
 *	image=PATH                    of the image
 *	weights=PATH device=PATH state=PATH cuda=1   what it has beside, as in struct link_load
 *	got=DIR                       where its outputs are written, and result.json:
 *	                              {"status": 0, "error": "", "compute_ns": 1234,
 *	                              "outputs": [{"name": "Y", "datatype": "FP32"}]}
 *
 *	link=yes                      the first: descriptor LINK_FD is a struct link_shared, for a crash
 *
 * Before infer() is called devserve_replay_begin() is, with its address in devserve_replay_infer:
 * there a debugger stops.
 */

/* The status to exit with: 0, infer() ran, whatever it returned; 1, it didn't, and stderr says why. */
int replay_run(int argc, char **argv);
