#!/usr/bin/env bash
# Builds the S3-compatible server that the tests of the registry use, out of its Go module. Takes some minutes the first time and always
# succeeds; without it those tests are skipped, and say so.
set -uo pipefail

into="${XDG_CACHE_HOME:-$HOME/.cache}/keel-test/s3"
[[ -x "$into/versitygw" ]] && exit 0
command -v go >/dev/null || { echo "no Go here"; exit 0; }
mkdir -p "$into"
GOBIN="$into" GOFLAGS=-mod=mod timeout 1200 nice -n 19 go install -p 1 github.com/versity/versitygw/cmd/versitygw@v1.8.0 >"$into/log" 2>&1 ||
  { tail -n 2 "$into/log"; echo "not built: versitygw"; }
exit 0
