import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnvoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import { applyTos, operations } from "../../../../src/api/networking/envoy-filter-spec.js";
import { addedClusters, addedListeners, extensionConfigs } from "../../../../src/compile/patch/additions.js";
import { patchCluster } from "../../../../src/compile/patch/clusters.js";
import { patchListener } from "../../../../src/compile/patch/listener.js";
import { compilePatches, findingsOf } from "../../../../src/compile/patch/patches.js";
import { createPatchReport, reportedFindings } from "../../../../src/compile/patch/report.js";
import { patchRouteConfiguration } from "../../../../src/compile/patch/routes.js";
import { knownType } from "../../../../src/compile/patch/types.js";
import { violationsOf } from "../../../../src/compile/patch/violations.js";
import { ClusterSchema } from "../../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../../../src/proto/envoy/config/route/v3/route_pb.js";
import {
  applicationCluster,
  inbound,
  inboundListener,
  outbound,
  outboundListeners,
  outboundRoutes,
  reviewsCluster,
} from "./support.js";

const any = (type: string, fields: object = {}): object => ({ "@type": `type.googleapis.com/${type}`, ...fields });
const lua = any("envoy.extensions.filters.http.lua.v3.Lua");
const router = any("envoy.extensions.filters.http.router.v3.Router");
const tcp = any("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", { stat_prefix: "a", cluster: "b" });
const hcm = any("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
  max_request_headers_kb: 96,
});

const values = fc.oneof(
  fc.constantFrom<Record<string, unknown>>(
    { name: "envoy.filters.http.lua", typed_config: lua },
    { name: "envoy.filters.http.router", typed_config: router },
    { name: "envoy.filters.network.tcp_proxy", typed_config: tcp },
    { name: "envoy.filters.network.http_connection_manager", typed_config: hcm },
    { name: "a", domains: ["a.example", "*"], routes: [{ match: { prefix: "/" }, direct_response: { status: 200 } }] },
    { name: "default", match: { prefix: "/" }, route: { cluster: "x", timeout: "1s" } },
    { route: { timeout: "3s" } },
    { connect_timeout: "1s" },
    { type: "STRICT_DNS", name: "own" },
    { transport_socket: { name: "envoy.transport_sockets.tls" } },
    { name: "0.0.0.0_80", per_connection_buffer_limit_bytes: 1 },
    {
      filter_chain_match: { destination_port: 8080 },
      filters: [{ name: "envoy.filters.network.tcp_proxy", typed_config: tcp }],
    },
    { validate_clusters: true },
  ),
  fc.dictionary(fc.string(), fc.jsonValue()),
);
const names = fc.constantFrom(
  ...["virtualInbound", "0.0.0.0_80", "80", "envoy.filters.http.router", "envoy.router", "envoy.tcp_proxy", "none", ""],
  "envoy.filters.network.http_connection_manager",
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const ports = fc.constantFrom(0, 80, 8080, 9090, 1);

const match = fc.record(
  {
    context: fc.constantFrom("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"),
    proxy: maybe(fc.record({ proxyVersion: fc.constantFrom("", "1", "(", "^1\\.2") })),
    listener: maybe(
      fc.record(
        {
          portNumber: ports,
          name: names,
          listenerFilter: names,
          filterChain: fc.record(
            {
              destinationPort: ports,
              filter: fc.record({ name: names, subFilter: maybe(fc.record({ name: names })) }),
            },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: [] },
      ),
    ),
    routeConfiguration: maybe(
      fc.record(
        {
          portNumber: ports,
          name: names,
          vhost: fc.record(
            { name: names, route: fc.record({ name: names, action: fc.constantFrom("ANY", "ROUTE", "REDIRECT") }) },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: [] },
      ),
    ),
    cluster: maybe(fc.record({ portNumber: ports, name: names, subset: names }, { requiredKeys: [] })),
  },
  { requiredKeys: [] },
);

const patch = fc.record(
  {
    applyTo: fc.constantFrom(...applyTos),
    match,
    patch: fc.record({ operation: fc.constantFrom(...operations), value: values }, { requiredKeys: ["operation"] }),
  },
  { requiredKeys: ["applyTo", "patch"] },
);
const filters: fc.Arbitrary<readonly EnvoyFilter[]> = fc.array(
  fc.record({
    metadata: fc.record({ name: fc.constantFrom("a", "b", "c"), namespace: fc.constant("shop") }),
    spec: fc.record({ configPatches: fc.array(patch, { maxLength: 6 }) }),
  }) as unknown as fc.Arbitrary<EnvoyFilter>,
  { maxLength: 4 },
);

interface Outcome {
  readonly bytes: readonly string[];
  readonly broken: readonly string[];
  readonly told: string;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const brokenIn = (typeName: string, message: Parameters<typeof violationsOf>[1]): readonly string[] =>
  violationsOf(knownType(typeName), message).map((violation) => `${typeName} ${violation.path}: ${violation.message}`);

const outcomeOf = (given: readonly EnvoyFilter[]): Outcome => {
  const set = compilePatches(given);
  const report = createPatchReport();
  const listeners = [
    patchListener(set, inbound, inboundListener(), report),
    ...outboundListeners().map((listener) => patchListener(set, outbound, listener, report)),
    ...[inbound, outbound].flatMap((context) => addedListeners(set, context, () => false, report)),
  ].filter((listener) => listener !== undefined);
  const clusters = [
    patchCluster(set, inbound, applicationCluster(), [], report),
    patchCluster(set, outbound, reviewsCluster(), [], report),
    ...[inbound, outbound].flatMap((context) => addedClusters(set, context, () => false, report)),
  ].filter((cluster) => cluster !== undefined);
  const routes = patchRouteConfiguration(set, outbound, outboundRoutes(), report);
  extensionConfigs(set, outbound, report);
  return {
    bytes: [
      ...listeners.map((listener) => text(toBinary(ListenerSchema, listener))),
      ...clusters.map((cluster) => text(toBinary(ClusterSchema, cluster))),
      text(toBinary(RouteConfigurationSchema, routes)),
    ],
    broken: [
      ...listeners.flatMap((listener) => brokenIn(ListenerSchema.typeName, listener)),
      ...clusters.flatMap((cluster) => brokenIn(ClusterSchema.typeName, cluster)),
      ...brokenIn(RouteConfigurationSchema.typeName, routes),
    ],
    told: JSON.stringify([...findingsOf(set), ...reportedFindings(set, report)]),
  };
};

const untouched = outcomeOf([]);

test("what the mesh generates keeps Envoy's rules", () => assert.equal(untouched.broken, []));

test("no patch set throws or breaks Envoy's rules, and the same gives the same", () => {
  fc.assert(
    fc.property(filters, (given) => {
      const first = outcomeOf(given);
      assert.equal(first.broken, []);
      assert.equal(outcomeOf(structuredClone(given) as readonly EnvoyFilter[]), first);
    }),
    { numRuns: 150 },
  );
});

test("patches of other proxies change no byte", () => {
  fc.assert(
    fc.property(filters, (given) => {
      const foreign = given.map((filter) => ({
        ...filter,
        spec: {
          ...filter.spec,
          configPatches: filter.spec.configPatches!.map((each) => ({
            ...each,
            match: { ...each.match, proxy: { proxyVersion: "^none$" } },
          })),
        },
      }));
      assert.equal(outcomeOf(foreign).bytes, untouched.bytes);
    }),
    { numRuns: 50 },
  );
});

test("what is no EnvoyFilter at all is refused whole, and costs the others nothing", () => {
  const sound: EnvoyFilter = {
    metadata: { name: "sound", namespace: "shop" },
    spec: { configPatches: [{ applyTo: "CLUSTER", patch: { operation: "MERGE", value: { connect_timeout: "2s" } } }] },
  };
  fc.assert(
    fc.property(fc.jsonValue(), (spec) => {
      const set = compilePatches([{ metadata: { name: "x", namespace: "shop" }, spec: spec as never }, sound]);
      assert.is(patchCluster(set, outbound, reviewsCluster())?.connectTimeout?.seconds, 2n);
    }),
    { numRuns: 100 },
  );
});

test.run();
