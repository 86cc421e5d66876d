#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Ask `hello` about some numbers: client.sh NUMBER...
# The server is $URL, or that of this machine.

set -eu
url=${URL:-http://localhost:8000}

request=$(jq -cn '[$ARGS.positional[] | tonumber] |
	{inputs: [{name: "X", datatype: "FP32", shape: [length], data: .}]}' --args "$@")
curl -sS --fail-with-body "$url/v2/models/hello/infer" -d "$request" |
	jq -r '.error // (.outputs[0].data | join(" "))'
