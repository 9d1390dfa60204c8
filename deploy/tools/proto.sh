#!/usr/bin/env bash
# Generates src/proto from the Envoy, xDS and Istio protos. The Envoy and xDS ones come from the pinned npm package
# @grpc/grpc-js-xds; the roots named here bring in what they import. A type outside this list is added here by path.
# Beside them src/proto/envoy.binpb describes every message of the Envoy API, for what users bring in EnvoyFilters.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
deps=node_modules/@grpc/grpc-js-xds/deps
stamp=".cache/proto-$(cat deploy/tools/proto.sh deploy/tools/proto-roots.txt package-lock.json $(find deploy/proto -name '*.proto' | LC_ALL=C sort) | sha256sum | cut -c1-16)"
# The last file that is made, so that neither an end halfway nor a folder that lost its files counts as done.
[ -e "$stamp" ] && [ -e src/proto/envoy.binpb ] && exit 0
work=.cache/proto
rm -rf "$work" src/proto .cache/proto-????????????????
mkdir -p "$work" src/proto
cp -r $deps/envoy-api/envoy $deps/xds/udpa $deps/xds/xds $deps/protoc-gen-validate/validate "$work/"
# The bundled validate.proto is older than the rules that use this field.
sed -i "s/^  optional bool strict = 25 .*;/&\n  optional bool ignore_empty = 26;/" "$work/validate/validate.proto"
# Envoy no longer has version 2; the named files import what the package does not carry and no resource holds.
find "$work/envoy" -type d \( -name 'v1' -o -name 'v2' -o -name 'v2alpha*' -o -name 'v1alpha*' \) -prune -exec rm -r {} +
rm "$work"/envoy/config/trace/v3/{opencensus,trace}.proto "$work"/envoy/service/{metrics/v3/metrics,trace/v3/trace}_service.proto
mkdir -p "$work/google"
cp -r $deps/googleapis/google/api $deps/googleapis/google/rpc "$work/google/"
cp -r deploy/proto/. "$work/"
roots=$(cat deploy/tools/proto-roots.txt)
cat >"$work/buf.gen.yaml" <<YAML
version: v2
plugins:
  - local: [node, $top/node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es]
    out: $top/src/proto
    include_imports: true
    opt: [target=js+dts, import_extension=js]
YAML
printf 'version: v2\n' >"$work/buf.yaml"
arguments=()
for root in $roots; do arguments+=(--path "$work/$root"); done
PATH="$top/.cache/tools/bin:$PATH" node_modules/.bin/buf generate "$work" --template "$work/buf.gen.yaml" "${arguments[@]}"
messages=()
for folder in envoy udpa xds; do messages+=(--path "$work/$folder"); done
node_modules/.bin/buf build "$work" "${messages[@]}" --exclude-source-info --output src/proto/envoy.binpb
touch "$stamp"
