#!/usr/bin/env bash
# Builds the client programs that tests/kafka runs, and fetches a librdkafka for kcat. Everything goes to the cache.
# Idempotent, and quick when nothing changed: the trials call it too, so that a changed program is never run stale.
#
# Wants Apache Kafka's jars in the cache (scripts/test setup) and java, javac, mvn, go, node, npm, python3 (3.8 to 3.12) with pip,
# kcat; for all of FISHPLATE_TEST_LEVEL=full a C++ compiler and make, too.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FISHPLATE_CACHE:-$here/../../.cache}
mkdir -p "$cache/clients"
cache=$(cd "$cache" && pwd)
out=$cache/clients

# kcat takes any librdkafka; this package carries a new one, ready built.
librdkafka=confluent-kafka==2.16.1

# Python's clients, each in a folder of its own, with what it compresses by. All of them run on Python 3.8 to 3.12; the
# older ones are not built for newer Pythons.
python_clients='confluent-2.3 confluent-kafka==2.3.0
confluent-2.6 confluent-kafka==2.6.1
confluent-2.10 confluent-kafka==2.10.1
confluent-2.16 confluent-kafka==2.16.1
kafka-python-3 kafka-python==3.0.12 lz4==4.4.5 zstandard==0.25.0 python-snappy==0.7.3 cramjam==2.14.0
kafka-python-2 kafka-python==2.0.2 lz4==4.4.5 zstandard==0.25.0 python-snappy==0.7.3 cramjam==2.14.0
aiokafka aiokafka==0.14.0 cramjam==2.14.0 async-timeout==5.0.1 packaging==26.4 typing-extensions==4.16.0'
# The oldest of them was built for Python 3.8 to 3.11 only.
oldest_client='confluent-2.0 confluent-kafka==2.0.2'

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
  local sources=("$here"/java/*.java)
  # What the older client has no classes for.
  [ "$1" = 3.9 ] || sources+=("$here"/java-4.3/*.java)
  rm -rf "$classes" && mkdir "$classes" &&
    javac -nowarn -cp "$lib/*" -d "$classes" "${sources[@]}" &&
    cp "$here"/java/log4j* "$classes"
}

# franz-go's, and one program under the names of the other libraries: it goes by the name that it is called by.
go_clients() {
  (cd "$here/go" && go build -o "$out/franz" ./franz && go build -o "$out/sarama" ./libraries &&
    go build -o "$out/franz-login" ./login) &&
    ln -f "$out/sarama" "$out/kafka-go"
}

# The sources go along: Node looks for packages beside them. The lock file names no registry, so npm asks the configured one.
node_clients() {
  rm -rf "$out/node" && mkdir -p "$out/node" && cp -r "$here"/node/* "$here/node/.npmrc" "$out/node" &&
    (cd "$out/node" && npm ci --ignore-scripts --no-audit --no-fund)
}

# Built from source, with the librdkafka that it carries; one job at a time, since its makefiles know no other way. The
# headers are those that lie beside this Node, where they do: else node-gyp fetches them.
node_rdkafka() {
  local folder=$out/node-rdkafka prefix
  prefix=$(node -p 'require("path").resolve(process.execPath, "../..")') || return
  [ ! -e "$prefix/include/node/node.h" ] || export npm_config_nodedir=$prefix
  rm -rf "$folder" && mkdir -p "$folder" && cp "$here"/node-rdkafka/* "$here/node-rdkafka/.npmrc" "$folder" || return
  (cd "$folder" && MAKEFLAGS='' npm ci --no-audit --no-fund) || return
  # Half a gigabyte that nobody wants any more.
  (cd "$folder/node_modules/node-rdkafka" && rm -rf deps/librdkafka build/Release/obj.target build/Release/.deps)
}

# Kafka Streams, with the program that uses it.
streams() {
  local folder=$out/streams
  rm -rf "$folder" && mkdir -p "$folder/classes" || return
  mvn -q -B -f "$here/streams/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$folder/lib" || return
  javac -nowarn -cp "$folder/lib/*" -d "$folder/classes" "$here"/streams/*.java && cp "$here"/java/log4j2.xml "$folder/classes"
}

# Kafka Connect's plugin for files; Connect itself is among Kafka's jars.
connect() {
  local folder=$out/connect
  rm -rf "$folder" && mkdir -p "$folder" || return
  mvn -q -B -f "$here/connect/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$folder"
}

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

python_client() {
  local folder=$out/python/$1
  shift
  rm -rf "$folder" && mkdir -p "$folder" &&
    python3 -m pip install -q --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
      --target "$folder" "$@"
}

for kafka in 4.3 3.9; do
  once "java-$kafka" "$here"/java/* "$here"/java-4.3/* "$here/../kafka/pom-$kafka.xml" -- java_classes "$kafka"
done
once go "$here"/go/go.* "$here"/go/*/*.go -- go_clients
once node "$here"/node/*.js* "$here"/node/*.cjs "$here"/node/*/*.js "$here/node/.npmrc" -- node_clients
# It takes minutes, and only the full level plays it; where it cannot be built, the other clients are played all the same.
[ "${FISHPLATE_TEST_LEVEL:-}" != full ] || (once node-rdkafka "$here"/node-rdkafka/* -- node_rdkafka) ||
  echo 'node-rdkafka is not there, and its trials fail' >&2
# Its state store takes 70 MB, and only the full level plays it.
[ "${FISHPLATE_TEST_LEVEL:-}" != full ] || once streams "$here"/streams/* -- streams
[ "${FISHPLATE_TEST_LEVEL:-}" != full ] || once connect "$here"/connect/* -- connect
once librdkafka <(printf '%s' "$librdkafka") -- librdkafka "$librdkafka"
python_clients() {
  local name packages
  while read -r name packages; do
    # shellcheck disable=SC2086  # a list of packages
    once "python-$name" <(printf '%s' "$packages") -- python_client "$name" $packages
  done <<<"$1"
}
python_clients "$python_clients"
# Only the full level plays it; where this Python is too new, the other clients are played all the same.
[ "${FISHPLATE_TEST_LEVEL:-}" != full ] || (python_clients "$oldest_client") ||
  echo 'confluent-kafka 2.0.2 is not there, and its trials fail' >&2
