#!/usr/bin/env bash
# Fetches what the tests of alerts use, without installing a service: promtool and Alertmanager out of Debian's packages. Takes a minute
# at most and always succeeds; tests of what could not be had are skipped, and say so.
set -uo pipefail

into="${XDG_CACHE_HOME:-$HOME/.cache}/keel-test/monitoring"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "no Debian packages here"; exit 0; }
mkdir -p "$into"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# package, program in it
fetch() {
  [[ -x "$into/$2" ]] && return
  if (cd "$work" && timeout 30 apt-get download "$1" && dpkg-deb -x "$1"_*.deb "$1") </dev/null >"$work/log" 2>&1; then
    mv "$work/$1/usr/bin/$2" "$into/$2"
    # Debian's Alertmanager looks for its templates at a fixed place, where the test puts them before it.
    [[ -d "$work/$1/usr/share/prometheus/alertmanager" ]] && cp -r "$work/$1/usr/share/prometheus/alertmanager" "$into/templates"
  else
    tail -n 2 "$work/log"
    echo "not fetched: $1"
  fi
}

fetch prometheus promtool
fetch prometheus-alertmanager prometheus-alertmanager
exit 0
