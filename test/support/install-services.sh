#!/usr/bin/env bash
# Installs what the tests of distribution and failover start: a Redis server, etcd, and Apache Kafka's broker with a Java runtime. Takes two
# minutes at most and always succeeds; tests of what could not be had are skipped, and say so.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

KAFKA="${XDG_CACHE_HOME:-$HOME/.cache}/keel-test/kafka-4.1.0"
deadline=$((SECONDS + 115))

# Runs a command within what is left of the time; says what went wrong.
try() {
  local log left=$((deadline - SECONDS))
  log="$(mktemp)"
  if [[ $left -le 0 ]] || ! timeout "$left" "$@" </dev/null >"$log" 2>&1; then
    tail -n 3 "$log"
    echo "not done: $*"
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v openssl >/dev/null || missing+=(openssl)
command -v etcd >/dev/null || missing+=(etcd-server)
if [[ ! -d "$KAFKA" ]]; then
  command -v mvn >/dev/null || missing+=(maven)
fi
command -v java >/dev/null || missing+=(default-jre-headless)
if [[ ${#missing[@]} -gt 0 ]]; then
  if [[ "$(id -u)" -eq 0 ]] && command -v apt-get >/dev/null; then
    try apt-get update && try env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  else
    echo "not installed: ${missing[*]}"
  fi
fi
if [[ ! -d "$KAFKA" ]] && command -v mvn >/dev/null; then
  partial="$KAFKA.$$"
  if try mvn -q -B -f kafka-pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$partial"; then
    mv "$partial" "$KAFKA"
  else
    rm -rf "$partial"
  fi
fi
exit 0
