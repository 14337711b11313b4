#!/usr/bin/env bash
# Builds the clients' own test suites that tests/kafka/suites runs: franz-go's, out of Go's module cache, and librdkafka's,
# around the librdkafka that the `rdkafka` crate brought and built. Everything goes to the cache. Idempotent, and quick when
# nothing changed.
#
#   tests/suites/setup.sh franz
#   tests/suites/setup.sh librdkafka FOLDER      FOLDER: where cargo built librdkafka (target/*/build/rdkafka-sys-*/out)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FISHPLATE_CACHE:-$here/../../.cache}
mkdir -p "$cache/suites"
out=$(cd "$cache/suites" && pwd)

stop() { printf 'tests/suites/setup.sh: %s\n' "$*" >&2; exit 1; }

# Two runs at once would build over each other.
exec 9>"$out/lock"
flock -w 300 9 || stop 'another run holds the lock for five minutes'

# The tests must be run where their package is: they read files beside them.
franz() {
  local module folder=$out/franz
  module=$(cd "$here/../clients/go" && go mod download -json github.com/twmb/franz-go | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -d "$module" ] || stop 'Go has no module github.com/twmb/franz-go'
  [ "$(cat "$folder/of" 2>/dev/null)" = "$module" ] && [ -x "$folder/kgo.test" ] && return 0
  rm -rf "$folder" && mkdir -p "$folder"
  cp -r "$module/." "$folder" && chmod -R u+w "$folder"
  (cd "$folder" && go test -c -o kgo.test ./pkg/kgo)
  printf '%s\n' "$module" >"$folder/of"
}

# Without optimisation: it takes half a minute.
librdkafka() {
  local built=$1 folder=$out/librdkafka
  [ -e "$built/src/librdkafka.so" ] || stop "cargo has not built librdkafka in $built"
  [ "$(cat "$folder/of" 2>/dev/null)" = "$built" ] && [ -x "$folder/tests/test-runner" ] && return 0
  rm -rf "$folder" && mkdir -p "$folder"
  cp -r "$built/." "$folder"
  CFLAGS='-O0 -g0 -w' CXXFLAGS='-O0 -g0 -w' make -j"$(nproc)" -C "$folder/tests" test-runner
  printf '%s\n' "$built" >"$folder/of"
}

case ${1:-} in
  franz) franz ;;
  librdkafka) librdkafka "${2:?the folder where cargo built librdkafka}" ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac >&2
