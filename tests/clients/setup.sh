#!/usr/bin/env bash
# Builds the client programs that tests/kafka runs, and fetches a librdkafka for kcat. Everything goes to the cache.
# Idempotent, and quick when nothing changed: the trials call it too, so that a changed program is never run stale.
#
# Wants Apache Kafka's jars in the cache (scripts/test setup) and java, javac, go, python3 with pip, kcat.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FISHPLATE_CACHE:-$here/../../.cache}
mkdir -p "$cache/clients"
cache=$(cd "$cache" && pwd)
out=$cache/clients

# kcat takes any librdkafka; this package carries a new one, ready built.
librdkafka=confluent-kafka==2.16.1

stop() { printf 'tests/clients/setup.sh: %s\n' "$*" >&2; exit 1; }

# Two runs at once would build over each other.
exec 9>"$out/lock"
flock -w 300 9 || stop 'another run holds the lock for five minutes'

# once NAME FILE... -- COMMAND...: runs the command if the files are not those it last ran for. (A function that is run
# for its success does not stop at the first failure: each of its steps says what failing means.)
once() {
  local stamp=$out/$1.stamp files=() now
  shift
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  now=$(cat "${files[@]}" | sha256sum)
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$now" ] && return 0
  "$@" >"$out/log" 2>&1 </dev/null || { tail -n 30 "$out/log" >&2; stop "failed: $*"; }
  printf '%s\n' "$now" >"$stamp"
}

java_classes() {
  local lib=$cache/kafka-$1/lib classes=$out/java-$1
  [ -d "$lib" ] || stop "no jars of Kafka $1; run:  scripts/test setup"
  rm -rf "$classes" && mkdir "$classes" &&
    javac -nowarn -cp "$lib/*" -d "$classes" "$here"/java/*.java &&
    cp "$here"/java/log4j* "$classes"
}

franz() { (cd "$here/franz" && go build -o "$out/franz" .); }

# One program under the name of each library: it goes by the name that it is called by.
go_clients() { (cd "$here/go" && go build -o "$out/sarama" . && ln -f "$out/sarama" "$out/kafka-go"); }

# A folder for LD_LIBRARY_PATH. The package is one for some Python; which one is all the same to us.
librdkafka() {
  local folder=$out/librdkafka found
  rm -rf "$folder" && mkdir -p "$folder/wheel" || return
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --implementation cp --python-version 3.11 \
    --abi cp311 --platform "manylinux_2_28_$(uname -m)" -d "$folder/wheel" "$1" || return
  python3 -m zipfile -e "$folder"/wheel/*.whl "$folder/wheel" || return
  found=$(find "$folder/wheel" -name 'librdkafka*.so*' | head -n 1)
  [ -n "$found" ] || { echo "no librdkafka in $1"; return 1; }
  # The package's own name for it has a checksum in it; kcat asks for this one.
  mv "$found" "$folder/librdkafka.so.1" && rm -rf "$folder/wheel"
}

for kafka in 4.3 3.9; do
  once "java-$kafka" "$here"/java/* "$here/../kafka/pom-$kafka.xml" -- java_classes "$kafka"
done
once franz "$here"/franz/* -- franz
once go "$here"/go/* -- go_clients
once librdkafka <(printf '%s' "$librdkafka") -- librdkafka "$librdkafka"
