#!/usr/bin/env bash
# Says whether dashboards are what Grafana's published types want: tests/dashboards/check.sh FILE.json ...
# Fetches TypeScript and the types once, into the cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FISHPLATE_CACHE:-$here/../../.cache}
out=$cache/dashboards
mkdir -p "$out"
out=$(cd "$out" && pwd)
# Where scripts/test has put a Node, if the machine's own is too old.
[ ! -e "$cache/node/bin/npm" ] || export PATH=$cache/node/bin:$PATH

exec 9>"$out/lock"
flock -w 300 9
if ! cmp -s "$here/package-lock.json" "$out/package-lock.json" || [ ! -e "$out/node_modules/.bin/tsc" ]; then
  cp "$here/package.json" "$here/.npmrc" "$out"
  cp "$here/package-lock.json" "$out/lock.json"
  # The lock file is in its place only when all of it is installed.
  (cd "$out" && cp lock.json package-lock.json && npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1 </dev/null) ||
    { rm -f "$out/package-lock.json"; tail -n 20 "$out/npm.log" >&2; exit 3; }
fi

work=$(mktemp -d "$out/check.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here/check.ts" "$work"
number=0
for file in "$@"; do
  number=$((number + 1))
  { echo 'import type { Checked } from "./check";'; echo "// $file"; printf 'export default %s satisfies Checked;\n' "$(<"$file")"; } \
    >"$work/dashboard-$number.ts"
done
cd "$work"
"$out/node_modules/.bin/tsc" --noEmit --strict --skipLibCheck --target es2022 --module esnext --moduleResolution bundler ./*.ts
