#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every parser of foreign bytes, for a few seconds (T_LONG: ten minutes); `make fuzz` for more.

command -v clang clang++ >/dev/null || { echo '1..0 # SKIP no clang here'; exit 0; }
exec make --silent fuzz SECONDS=$([ -z "$T_LONG" ] && echo 5 || echo 600)
