import { Value } from "typebox/value";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type EnvoyFilter, type EnvoyFilterSpec, envoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import type { EnvoyConfigObjectPatch } from "../../../../src/api/networking/envoy-filter-spec.js";

const filterOf = (spec: object): EnvoyFilter => ({
  metadata: { name: "f", namespace: "shop" },
  spec: spec as EnvoyFilterSpec,
});

const hcm = "envoy.filters.network.http_connection_manager";
const value = { name: "a", typed_config: { "@type": "type.googleapis.com/a.B" } };
const anchored = {
  listener: { filterChain: { filter: { name: hcm, subFilter: { name: "envoy.filters.http.cors" } } } },
};

const findingsOf = (entry: object): readonly string[] =>
  envoyFilter
    .check(filterOf({ configPatches: [entry] }))
    .map(({ severity, path, message }) => `${severity} ${path.replace("spec.configPatches[0].", "")}: ${message}`);

const sound: Readonly<Record<string, EnvoyConfigObjectPatch>> = {
  "insert of an HTTP filter": {
    applyTo: "HTTP_FILTER",
    match: { context: "SIDECAR_INBOUND", proxy: { proxyVersion: "^1\\.2[0-9].*" }, ...anchored },
    patch: { operation: "INSERT_BEFORE", value },
  },
  "removal of an HTTP filter": { applyTo: "HTTP_FILTER", match: anchored, patch: { operation: "REMOVE" } },
  "merge into clusters": { applyTo: "CLUSTER", patch: { operation: "MERGE", value: { connect_timeout: "1s" } } },
  "merge into a route configuration": {
    applyTo: "ROUTE_CONFIGURATION",
    match: { routeConfiguration: { name: "80", vhost: { name: "a:80", route: { action: "ROUTE" } } } },
    patch: { operation: "MERGE_AND_REPLACE_LIST", value: { max_direct_response_body_size_bytes: 1 } },
  },
  "extension configuration": { applyTo: "EXTENSION_CONFIG", patch: { operation: "ADD", value } },
};

for (const [name, entry] of Object.entries(sound))
  test(`${name} fits the schema and has no findings`, () => {
    assert.ok(Value.Check(envoyFilter.spec, { configPatches: [entry] }), name);
    assert.equal(findingsOf(entry), []);
  });

const faulty: readonly (readonly [string, object, readonly RegExp[]])[] = [
  ["nothing said", {}, [/^error applyTo: /, /^error patch.operation: /]],
  [
    "the bootstrap",
    { applyTo: "BOOTSTRAP", patch: { operation: "MERGE", value } },
    [/^error applyTo: BOOTSTRAP is read once.*template/],
  ],
  [
    "an operation that does nothing",
    { applyTo: "CLUSTER", patch: { operation: "INSERT_FIRST", value } },
    [/^error patch.operation: INSERT_FIRST has no effect on CLUSTER; use ADD, REMOVE, MERGE, MERGE_AND_REPLACE_LIST$/],
  ],
  [
    "adding a route configuration",
    { applyTo: "ROUTE_CONFIGURATION", patch: { operation: "ADD", value } },
    [/^error patch.operation: ADD has no effect on ROUTE_CONFIGURATION; use MERGE/],
  ],
  [
    "a match of another object",
    { applyTo: "CLUSTER", match: { listener: { portNumber: 80 } }, patch: { operation: "MERGE", value } },
    [/^error match.listener: .*use match.cluster$/],
  ],
  [
    "two matches",
    {
      applyTo: "LISTENER",
      match: { listener: { portNumber: 80 }, cluster: { name: "a" } },
      patch: { operation: "MERGE", value },
    },
    [/^error match.cluster: .*use match.listener$/],
  ],
  [
    "a broken expression",
    { applyTo: "CLUSTER", match: { proxy: { proxyVersion: "1.(" } }, patch: { operation: "MERGE", value } },
    [/^error match.proxy.proxyVersion: "1.\(" is no regular expression in RE2 syntax/],
  ],
  [
    "no value",
    { applyTo: "CLUSTER", patch: { operation: "MERGE" } },
    [/^error patch.value: MERGE needs the CLUSTER as a value; add it$/],
  ],
  [
    "a value without a name",
    { applyTo: "HTTP_FILTER", match: anchored, patch: { operation: "INSERT_AFTER", value: { typed_config: {} } } },
    [/^error patch.value.name: /],
  ],
  [
    "a filter without a configuration",
    { applyTo: "HTTP_FILTER", match: anchored, patch: { operation: "INSERT_AFTER", value: { name: "a" } } },
    [/^error patch.value.typed_config: /],
  ],
  [
    "removal of a filter without saying which",
    { applyTo: "HTTP_FILTER", match: { context: "ANY" }, patch: { operation: "REMOVE" } },
    [/^error match.listener.filterChain.filter.subFilter.name: REMOVE must know/],
  ],
  [
    "removal of every cluster",
    { applyTo: "CLUSTER", patch: { operation: "REMOVE", value } },
    [/^warning match: REMOVE .* every CLUSTER/, /^warning patch.value: REMOVE takes no value/],
  ],
  [
    "an HTTP filter within TCP",
    {
      applyTo: "HTTP_FILTER",
      match: { listener: { filterChain: { filter: { name: "envoy.filters.network.tcp_proxy" } } } },
      patch: { operation: "ADD", value },
    },
    [/^error match.listener.filterChain.filter.name: .*holds no HTTP filters/],
  ],
  [
    "deprecated fields",
    {
      applyTo: "HTTP_FILTER",
      match: { context: "WAYPOINT", listener: { portName: "http" } },
      patch: { operation: "ADD", value, filterClass: "AUTHZ" },
    },
    [/^warning match.context: /, /^warning match.listener.portName: /, /^warning patch.filterClass: /],
  ],
];

for (const [name, entry, expected] of faulty)
  test(`${name} is told with field and cure`, () => {
    const findings = findingsOf(entry);
    assert.is(findings.length, expected.length, findings.join("\n"));
    for (const [index, pattern] of expected.entries()) assert.match(findings[index]!, pattern);
  });

test("selector and target references exclude each other", () => {
  const target = { kind: "Gateway", name: "edge", group: "gateway.networking.k8s.io" };
  const configPatches = [sound["merge into clusters"]];
  const check = (spec: object) => envoyFilter.check(filterOf({ configPatches, ...spec })).map(({ path }) => path);
  assert.equal(check({ workloadSelector: { labels: { a: "b" } }, targetRefs: [target] }), ["spec.targetRefs"]);
  assert.equal(check({ targetRefs: [target] }), []);
  assert.equal(check({ targetRefs: [{ ...target, namespace: "else" }] }), ["spec.targetRefs[0].namespace"]);
  assert.equal(check({ targetRefs: [{ kind: "Service", name: "a", group: "" }] }), ["spec.targetRefs[0].kind"]);
});

test("a field that does not exist does not fit the schema", () => {
  assert.not.ok(Value.Check(envoyFilter.spec, { workloadLabels: {} }));
  assert.not.ok(Value.Check(envoyFilter.spec, { configPatches: [{ applyTo: "INVALID" }] }));
});

test.run();
