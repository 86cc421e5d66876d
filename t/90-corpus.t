#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What fuzzing has found, and what it starts from: each input of each corpus, once. That needs no
# clang, and runs under the sanitizers that the rest is built with.

names=$(cd t/fuzz && ls -- *.c | sed 's/\.c$//')
set -- $names
echo "1..$#"
n=0
for name; do
	n=$((n + 1))
	if count=$("$DEVSERVE_BUILD/t/replay/$name" "t/fuzz/corpus/$name" 2>"$DEVSERVE_BUILD/t/replay/$name.log"); then
		echo "ok $n - $count inputs for $name"
	else
		echo "not ok $n - $name"
		tail -n 20 "$DEVSERVE_BUILD/t/replay/$name.log" >&2
	fi
done
