import { create, createRegistry, toJson } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig, type MeshConfig } from "../../../src/api/meshconfig.js";
import type { TrafficPolicy } from "../../../src/api/networking/destination-rule.js";
import { inboundCluster } from "../../../src/compile/clusters/inbound.js";
import { type OutboundClusterOptions, outboundCluster } from "../../../src/compile/clusters/outbound.js";
import { hashPolicies, tcpProxyPolicy } from "../../../src/compile/clusters/route-policy.js";
import { durationOfText } from "../../../src/compile/duration.js";
import type { Protocol } from "../../../src/model/protocol.js";
import type { MeshService } from "../../../src/model/service.js";
import { ClusterSchema } from "../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { RouteActionSchema } from "../../../src/proto/envoy/config/route/v3/route_components_pb.js";
import { ClusterConfigSchema } from "../../../src/proto/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import { TcpProxySchema } from "../../../src/proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../../../src/proto/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../../../src/proto/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { UpstreamTlsContextSchema } from "../../../src/proto/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "../../../src/proto/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { TypedStructSchema } from "../../../src/proto/xds/type/v3/typed_struct_pb.js";
import { endpoint, meshService, servicePort } from "../../support/services.js";

const registry = createRegistry(
  HttpProtocolOptionsSchema,
  UpstreamTlsContextSchema,
  RawBufferSchema,
  ProxyProtocolUpstreamTransportSchema,
  TypedStructSchema,
  ClusterConfigSchema,
);

type Tree = { readonly [key: string]: Tree } & string;

interface Given {
  readonly protocol?: Protocol;
  readonly service?: Partial<MeshService>;
  readonly mesh?: Partial<MeshConfig>;
  readonly options?: Partial<OutboundClusterOptions>;
}

const optionsOf = (
  policy: TrafficPolicy,
  { protocol = "http", service, mesh, options }: Given = {},
): OutboundClusterOptions => ({
  service: meshService(service),
  port: servicePort({ protocol }),
  subset: "",
  policy,
  endpoints: [],
  mesh: { ...defaultMeshConfig, ...mesh },
  source: undefined,
  ...options,
});
const jsonOf = (policy: TrafficPolicy, given?: Given): Tree =>
  toJson(ClusterSchema, outboundCluster(optionsOf(policy, given)), { registry }) as unknown as Tree;

/** The value at a path such as `a.b[0].c`. */
const at = (tree: unknown, path: string): unknown =>
  path
    .split(/[.[\]]+/)
    .filter((part) => part !== "")
    .reduce((value, part) => (value as Tree | undefined)?.[part], tree);

const threshold = "circuitBreakers.thresholds[0]";
const http = (tree: Tree): unknown =>
  tree["typedExtensionProtocolOptions"]?.["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];

const pool = (connectionPool: TrafficPolicy["connectionPool"]): TrafficPolicy => ({
  ...(connectionPool === undefined ? {} : { connectionPool }),
});
const balancer = (loadBalancer: NonNullable<TrafficPolicy["loadBalancer"]>): TrafficPolicy => ({ loadBalancer });
const outlier = (outlierDetection: NonNullable<TrafficPolicy["outlierDetection"]>): TrafficPolicy => ({
  outlierDetection,
});

const table: readonly (readonly [string, TrafficPolicy, Readonly<Record<string, unknown>>, Given?])[] = [
  [
    "the default",
    {},
    {
      type: "EDS",
      lbPolicy: "LEAST_REQUEST",
      connectTimeout: "10s",
      "commonLbConfig.healthyPanicThreshold": {},
      [`${threshold}.maxRetries`]: 4294967295,
      outlierDetection: undefined,
    },
  ],
  ["UNSPECIFIED and the old name", balancer({ simple: "LEAST_CONN" }), { lbPolicy: "LEAST_REQUEST" }],
  ["RANDOM", balancer({ simple: "RANDOM" }), { lbPolicy: "RANDOM" }],
  ["ROUND_ROBIN", balancer({ simple: "ROUND_ROBIN" }), { lbPolicy: undefined }],
  [
    "PASSTHROUGH",
    balancer({ simple: "PASSTHROUGH" }),
    { type: "ORIGINAL_DST", lbPolicy: "CLUSTER_PROVIDED", edsClusterConfig: undefined },
  ],
  ["affinity of the Service", {}, { lbPolicy: "MAGLEV" }, { service: { clientAffinity: true } }],
  [
    "affinity overridden",
    balancer({ simple: "RANDOM" }),
    { lbPolicy: "RANDOM" },
    { service: { clientAffinity: true } },
  ],
  [
    "ring hash by default",
    balancer({ consistentHash: { useSourceIp: true } }),
    { lbPolicy: "RING_HASH", "ringHashLbConfig.minimumRingSize": "1024" },
  ],
  [
    "ring size",
    balancer({ consistentHash: { useSourceIp: true, ringHash: { minimumRingSize: 7 } } }),
    { "ringHashLbConfig.minimumRingSize": "7" },
  ],
  [
    "ring size, old",
    balancer({ consistentHash: { useSourceIp: true, minimumRingSize: 9 } }),
    { "ringHashLbConfig.minimumRingSize": "9" },
  ],
  [
    "maglev",
    balancer({ consistentHash: { useSourceIp: true, maglev: { tableSize: 101 } } }),
    { lbPolicy: "MAGLEV", "maglevLbConfig.tableSize": "101" },
  ],
  [
    "maglev's own size",
    balancer({ consistentHash: { useSourceIp: true, maglev: {} } }),
    { lbPolicy: "MAGLEV", maglevLbConfig: undefined },
  ],
  [
    "warm-up",
    balancer({ simple: "ROUND_ROBIN", warmup: { duration: "60s", minimumPercent: 20, aggression: 1.5 } }),
    {
      "roundRobinLbConfig.slowStartConfig": {
        slowStartWindow: "60s",
        minWeightPercent: { value: 20 },
        aggression: { defaultValue: 1.5, runtimeKey: "heddle.warmup.aggression" },
      },
    },
  ],
  [
    "warm-up, old",
    balancer({ warmupDurationSecs: "1m" }),
    { "leastRequestLbConfig.slowStartConfig.slowStartWindow": "60s" },
  ],
  [
    "warm-up where it cannot be",
    balancer({ simple: "RANDOM", warmup: { duration: "1s" } }),
    { lbPolicy: "RANDOM", roundRobinLbConfig: undefined },
  ],
  [
    "shares of localities",
    balancer({ localityLbSetting: { distribute: [{ from: "a", to: { a: 100 } }] } }),
    { "commonLbConfig.localityWeightedLbConfig": {} },
  ],
  [
    "explicit failover",
    { ...outlier({}), ...balancer({ localityLbSetting: { failover: [{ from: "a", to: "b" }] } }) },
    { "commonLbConfig.localityWeightedLbConfig": {} },
  ],
  ["failover by default", outlier({}), { "commonLbConfig.localityWeightedLbConfig": undefined }],
  [
    "zones",
    balancer({ zoneAwareLbSetting: { minClusterSize: 3 } }),
    { "commonLbConfig.zoneAwareLbConfig.minClusterSize": "3" },
  ],
  [
    "limits",
    pool({ tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4 } }),
    { [threshold]: { maxConnections: 1, maxPendingRequests: 2, maxRequests: 3, maxRetries: 4, trackRemaining: true } },
  ],
  ["zero is no limit", pool({ tcp: { maxConnections: 0 } }), { [`${threshold}.maxConnections`]: 4294967295 }],
  [
    "connect timeout and keep-alive",
    pool({ tcp: { connectTimeout: "1.5s", tcpKeepalive: { probes: 9, time: "1.5s", interval: "1ms" } } }),
    {
      connectTimeout: "1.500s",
      "upstreamConnectionOptions.tcpKeepalive": { keepaliveProbes: 9, keepaliveTime: 2, keepaliveInterval: 1 },
    },
  ],
  [
    "keep-alive of the mesh, in part",
    pool({ tcp: { tcpKeepalive: { probes: 9 } } }),
    { "upstreamConnectionOptions.tcpKeepalive": { keepaliveProbes: 9, keepaliveTime: 5 } },
    { mesh: { tcpKeepalive: { probes: 1, time: "5s" } } },
  ],
  [
    "keep-alive with the system's values",
    pool({ tcp: { tcpKeepalive: {} } }),
    { "upstreamConnectionOptions.tcpKeepalive": {} },
  ],
  [
    "retry budget",
    { retryBudget: {} },
    { [`${threshold}.retryBudget`]: { budgetPercent: { value: 20 }, minRetryConcurrency: 3 } },
  ],
  [
    "retry budget, given",
    { retryBudget: { percent: 0, minRetryConcurrency: 7 } },
    { [`${threshold}.retryBudget`]: { budgetPercent: {}, minRetryConcurrency: 7 } },
  ],
  ["outlier detection, empty", outlier({}), { outlierDetection: { enforcingSuccessRate: 0 } }],
  [
    "outlier detection",
    outlier({
      consecutive5xxErrors: 7,
      consecutiveGatewayErrors: 0,
      interval: "5m",
      baseEjectionTime: "15m",
      maxEjectionPercent: 50,
      minHealthPercent: 30,
    }),
    {
      outlierDetection: {
        consecutive5xx: 7,
        enforcingConsecutive5xx: 100,
        consecutiveGatewayFailure: 0,
        enforcingConsecutiveGatewayFailure: 0,
        interval: "300s",
        baseEjectionTime: "900s",
        maxEjectionPercent: 50,
        enforcingSuccessRate: 0,
      },
      "commonLbConfig.healthyPanicThreshold": { value: 30 },
    },
  ],
  ["5xx switched off", outlier({ consecutive5xxErrors: 0 }), { "outlierDetection.enforcingConsecutive5xx": 0 }],
  [
    "local failures apart",
    outlier({ splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 3 }),
    {
      outlierDetection: {
        enforcingSuccessRate: 0,
        splitExternalLocalOriginErrors: true,
        consecutiveLocalOriginFailure: 3,
        enforcingConsecutiveLocalOriginFailure: 100,
        enforcingLocalOriginSuccessRate: 0,
      },
    },
  ],
  ["plaintext by rule", { tls: {} }, { transportSocket: undefined, transportSocketMatches: undefined }],
  [
    "mutual TLS by itself",
    {},
    {
      "transportSocketMatches[0].match.tlsMode": "istio",
      "transportSocketMatches[1].transportSocket.name": "envoy.transport_sockets.raw_buffer",
    },
  ],
  [
    "never outside the mesh",
    {},
    { transportSocketMatches: undefined, transportSocket: undefined },
    { service: { isExternal: true } },
  ],
  [
    "mutual TLS by rule",
    { tls: { mode: "ISTIO_MUTUAL" } },
    {
      "transportSocket.typedConfig.sni": "outbound_.80_._.reviews.prod.svc.cluster.local",
      transportSocketMatches: undefined,
    },
  ],
  [
    "no certificates to be had",
    { tls: { mode: "MUTUAL", credentialName: "c" } },
    { type: "STATIC", transportSocket: undefined, loadAssignment: undefined },
  ],
  ["MUTUAL without files", { tls: { mode: "MUTUAL" } }, { type: "STATIC", transportSocket: undefined }],
  [
    "the system's authorities",
    { tls: { mode: "SIMPLE" } },
    {
      "transportSocket.typedConfig.commonTlsContext.validationContext.trustedCa.filename":
        "/etc/ssl/certs/ca-certificates.crt",
    },
  ],
  [
    "revoked certificates",
    { tls: { mode: "SIMPLE", caCertificates: "/ca", caCrl: "/crl" } },
    {
      "transportSocket.typedConfig.commonTlsContext.validationContext": {
        trustedCa: { filename: "/ca" },
        crl: { filename: "/crl" },
      },
    },
  ],
  [
    "names of all kinds",
    { tls: { mode: "SIMPLE", subjectAltNames: ["a.b", "spiffe://x/y", "10.0.0.1", "a@b"] } },
    {
      "transportSocket.typedConfig.commonTlsContext.validationContext.matchTypedSubjectAltNames": [
        ["DNS", "a.b"],
        ["URI", "spiffe://x/y"],
        ["IP_ADDRESS", "10.0.0.1"],
        ["EMAIL", "a@b"],
      ].map(([sanType, exact]) => ({ sanType, matcher: { exact } })),
    },
  ],
  [
    "PROXY protocol around plaintext",
    { proxyProtocol: { version: "V2" }, tls: {} },
    {
      "transportSocket.typedConfig.config.version": "V2",
      "transportSocket.typedConfig.transportSocket.name": "envoy.transport_sockets.raw_buffer",
    },
  ],
  [
    "PROXY protocol around TLS",
    { proxyProtocol: {}, tls: { mode: "SIMPLE" } },
    { "transportSocket.typedConfig.transportSocket.name": "envoy.transport_sockets.tls" },
  ],
  [
    "PROXY protocol not around automatic mutual TLS",
    { proxyProtocol: {} },
    {
      "transportSocketMatches[0].transportSocket.name": "envoy.transport_sockets.tls",
      "transportSocketMatches[1].transportSocket.name": "envoy.transport_sockets.upstream_proxy_protocol",
    },
  ],
];

for (const [title, policy, expected, given] of table)
  test(title, () => {
    const json = jsonOf(policy, given);
    for (const [path, value] of Object.entries(expected)) assert.equal(at(json, path), value, path);
  });

const httpTable: readonly (readonly [
  string,
  Protocol,
  TrafficPolicy,
  Readonly<Record<string, unknown>>,
  Partial<MeshConfig>?,
])[] = [
  ["HTTP/1.1", "http", {}, { "explicitHttpConfig.httpProtocolOptions": {} }],
  ["HTTP/2", "http2", {}, { "explicitHttpConfig.http2ProtocolOptions": {} }],
  [
    "told from the first bytes",
    "auto",
    {},
    { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } },
  ],
  [
    "upgraded",
    "http",
    pool({ http: { h2UpgradePolicy: "UPGRADE" } }),
    { "explicitHttpConfig.http2ProtocolOptions": {} },
  ],
  [
    "upgraded by the mesh",
    "http",
    {},
    { "explicitHttpConfig.http2ProtocolOptions": {} },
    { h2UpgradePolicy: "UPGRADE" },
  ],
  [
    "not upgraded after all",
    "http",
    pool({ http: { h2UpgradePolicy: "DO_NOT_UPGRADE" } }),
    { "explicitHttpConfig.httpProtocolOptions": {} },
    { h2UpgradePolicy: "UPGRADE" },
  ],
  [
    "never upgraded where it is told",
    "auto",
    pool({ http: { h2UpgradePolicy: "UPGRADE" } }),
    { explicitHttpConfig: undefined },
  ],
  [
    "the client's",
    "http",
    pool({ http: { useClientProtocol: true, maxConcurrentStreams: 5 } }),
    { "useDownstreamProtocolConfig.http2ProtocolOptions.maxConcurrentStreams": 5 },
    { h2UpgradePolicy: "UPGRADE" },
  ],
  [
    "streams and pings",
    "http2",
    pool({ http: { maxConcurrentStreams: 5, http2KeepAlive: { interval: "30s", timeout: "5s" } } }),
    {
      "explicitHttpConfig.http2ProtocolOptions": {
        maxConcurrentStreams: 5,
        connectionKeepalive: { interval: "30s", timeout: "5s" },
      },
    },
  ],
  [
    "connections",
    "http",
    pool({ tcp: { maxConnectionDuration: "1h", idleTimeout: "9s" }, http: { maxRequestsPerConnection: 1 } }),
    { commonHttpProtocolOptions: { idleTimeout: "9s", maxConnectionDuration: "3600s", maxRequestsPerConnection: 1 } },
  ],
  [
    "idle time of HTTP first",
    "http",
    pool({ tcp: { idleTimeout: "9s" }, http: { idleTimeout: "3s" } }),
    { "commonHttpProtocolOptions.idleTimeout": "3s" },
  ],
  [
    "names from the request",
    "http",
    { tls: { mode: "SIMPLE" } },
    { upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } },
  ],
  ["names from the rule", "http", { tls: { mode: "SIMPLE", sni: "x" } }, { upstreamHttpProtocolOptions: undefined }],
  [
    "server's names from the rule",
    "http",
    { tls: { mode: "SIMPLE", subjectAltNames: ["x"] } },
    { upstreamHttpProtocolOptions: { autoSni: true } },
  ],
  [
    "nothing is checked",
    "http",
    { tls: { mode: "SIMPLE", insecureSkipVerify: true } },
    { upstreamHttpProtocolOptions: { autoSni: true } },
  ],
];

for (const [title, protocol, policy, expected, mesh] of httpTable)
  test(`HTTP options: ${title}`, () => {
    const json = http(jsonOf(policy, { protocol, mesh: mesh ?? {} }));
    for (const [path, value] of Object.entries(expected)) assert.equal(at(json, path), value, path);
  });

test("TCP has no HTTP options, unless a tunnel is to be HTTP/2", () => {
  assert.is(http(jsonOf(pool({ http: { maxRequestsPerConnection: 3 } }), { protocol: "tcp" })), undefined);
  const upgraded = http(jsonOf(pool({ http: { h2UpgradePolicy: "UPGRADE" } }), { protocol: "tcp" }));
  assert.equal(at(upgraded, "explicitHttpConfig.http2ProtocolOptions"), {});
});

test("statuses that count as errors go with the other HTTP options", () => {
  const json = http(
    jsonOf({
      ...outlier({ outlierDetectionHttpErrorCodes: [503, 404, 503] }),
      ...pool({ http: { idleTimeout: "3s" } }),
    }),
  );
  const statuses = at(json, "value.outlierDetection.errorMatcher.orMatch.rules") as readonly unknown[];
  assert.equal(
    statuses.map((rule) => at(rule, "httpResponseHeadersMatch.headers[0].stringMatch.exact")),
    ["404", "503"],
  );
  assert.is(at(json, "value.commonHttpProtocolOptions.idleTimeout"), "3s");
  assert.ok(at(json, "value.explicitHttpConfig.httpProtocolOptions"));
});

test("every resolution", () => {
  const dns = { service: { resolution: "dns" as const, host: "api.example.com", isExternal: true } };
  const self = jsonOf({}, dns);
  assert.is(self["type"], "STRICT_DNS");
  assert.is(self["dnsLookupFamily"], "V4_PREFERRED");
  const address = "lbEndpoints[0].endpoint.address.socketAddress";
  assert.equal(at(self, `loadAssignment.endpoints[0].${address}`), { address: "api.example.com", portValue: 80 });
  const endpoints = [endpoint("b.example.com", 81), endpoint("c.example.com", 82), endpoint("unix:///x", 0)];
  const listed = jsonOf({}, { ...dns, options: { endpoints, families: ["IPv4", "IPv6"] } });
  assert.is((at(listed, "loadAssignment.endpoints[0].lbEndpoints") as readonly unknown[]).length, 2);
  assert.is(listed["dnsLookupFamily"], "ALL");
  const first = jsonOf(
    {},
    { service: { ...dns.service, resolution: "dns-round-robin" }, options: { endpoints, families: ["IPv6"] } },
  );
  assert.is(first["type"], "LOGICAL_DNS");
  assert.is(first["dnsLookupFamily"], "V6_ONLY");
  assert.is((at(first, "loadAssignment.endpoints[0].lbEndpoints") as readonly unknown[]).length, 1);
  const none = jsonOf({}, { ...dns, options: { subset: "v1", labels: { version: "v1" } } });
  assert.is(none["type"], "STATIC", "a subset that nothing is in is not the host itself");
  assert.is(jsonOf({}, { ...dns, options: { subset: "v1" } })["type"], "STRICT_DNS", "one without labels is");
  assert.is(jsonOf({}, { service: { ...dns.service, host: "*.example.com" } })["type"], "STATIC");
  const dynamic = jsonOf({}, { service: { ...dns.service, resolution: "dynamic-dns", host: "*.example.com" } });
  assert.is(at(dynamic, "clusterType.typedConfig.dnsCacheConfig.name"), "dynamic-dns V4_PREFERRED 60000");
  assert.is(dynamic["lbPolicy"], "CLUSTER_PROVIDED");
  const original = {
    service: { ...dns.service, origin: "ServiceEntry" as const, resolution: "original-destination" as const },
  };
  const port = servicePort({ targetPort: 8080 });
  assert.is(at(jsonOf({}, { ...original, options: { port } }), "originalDstLbConfig.upstreamPortOverride"), 8080);
  assert.is(at(jsonOf({}, original), "originalDstLbConfig"), undefined);
});

test("original destinations get the mesh's TLS only if all of them are of the mesh", () => {
  const headless = { resolution: "original-destination" as const, isHeadless: true };
  const [inside, outside] = [endpoint("10.0.0.1", 80, { isInMesh: true }), endpoint("10.0.0.2", 80)];
  const socketOf = (endpoints: OutboundClusterOptions["endpoints"]) =>
    at(jsonOf({}, { service: headless, options: { endpoints } }), "transportSocket.name");
  assert.is(socketOf([inside]), "envoy.transport_sockets.tls");
  assert.is(socketOf([inside, outside]), undefined);
  assert.is(socketOf([]), undefined);
});

test("metadata names the rule", () => {
  assert.equal(at(jsonOf({}, { options: { source: "prod/r", subset: "v1" } }), "metadata.filterMetadata.istio"), {
    config: "/apis/networking.istio.io/v1/namespaces/prod/destination-rule/r",
    subset: "v1",
  });
});

test("hash policies of routes and of TCP proxies", () => {
  const service = meshService();
  const hashOf = (consistentHash: NonNullable<NonNullable<TrafficPolicy["loadBalancer"]>["consistentHash"]>) =>
    at(
      toJson(
        RouteActionSchema,
        create(RouteActionSchema, { hashPolicy: [...hashPolicies({ loadBalancer: { consistentHash } }, service)] }),
      ),
      "hashPolicy[0]",
    );
  assert.equal(hashOf({ httpHeaderName: "x" }), { header: { headerName: "x" } });
  assert.equal(hashOf({ httpQueryParameterName: "q" }), { queryParameter: { name: "q" } });
  assert.equal(hashOf({ useSourceIp: true }), { connectionProperties: { sourceIp: true } });
  assert.equal(hashOf({ httpCookie: { name: "c" } }), { cookie: { name: "c" } }, "without a ttl none is made");
  assert.equal(
    hashOf({
      httpCookie: {
        name: "c",
        ttl: "0s",
        path: "/",
        attributes: [{ name: "SameSite", value: "Lax" }, { name: "Secure" }],
      },
    }),
    {
      cookie: { name: "c", ttl: "0s", path: "/", attributes: [{ name: "SameSite", value: "Lax" }, { name: "Secure" }] },
    },
  );
  assert.is(hashPolicies({}, service).length, 0);
  assert.is(hashPolicies({}, { clientAffinity: true }).length, 1);
  assert.is(hashPolicies(balancer({ simple: "RANDOM" }), { clientAffinity: true }).length, 0);
});

test("what a TCP proxy has to do", () => {
  const proxyOf = (policy: TrafficPolicy) => toJson(TcpProxySchema, create(TcpProxySchema, tcpProxyPolicy(policy)));
  assert.equal(proxyOf({}), {});
  assert.equal(proxyOf(balancer({ consistentHash: { useSourceIp: true } })), { hashPolicy: [{ sourceIp: {} }] });
  assert.equal(proxyOf(balancer({ consistentHash: { httpHeaderName: "x" } })), {});
  assert.equal(proxyOf(pool({ tcp: { idleTimeout: "0s", maxConnectionDuration: "5s" } })), {
    idleTimeout: "0s",
    maxDownstreamConnectionDuration: "5s",
  });
  assert.equal(proxyOf({ tunnel: { targetHost: "h", targetPort: 1, protocol: "POST" } }), {
    tunnelingConfig: { hostname: "h:1", usePost: true },
  });
  assert.equal(proxyOf({ tunnel: { targetHost: "fd00::1", targetPort: 1 } }), {
    tunnelingConfig: { hostname: "[fd00::1]:1" },
  });
  assert.is(tcpProxyPolicy({}, { clientAffinity: true }).hashPolicy?.length, 1);
});

test("inbound clusters take the pool, and neither endpoints nor TLS", () => {
  const json = toJson(
    ClusterSchema,
    inboundCluster({
      name: "inbound|80||",
      mesh: defaultMeshConfig,
      policy: { connectionPool: { tcp: { maxConnections: 5 } } },
      isTransparent: false,
    }),
    { registry },
  );
  assert.is(at(json, `${threshold}.maxConnections`), 5);
  assert.is(at(json, "type"), "ORIGINAL_DST");
  assert.is(at(json, "transportSocket"), undefined);
  assert.is(at(json, "upstreamBindConfig.sourceAddress.address"), "127.0.0.6");
});

test("durations keep their nanoseconds", () => {
  assert.equal(durationOfText("1.5s"), { seconds: 1n, nanos: 500_000_000 });
  assert.equal(durationOfText("1us"), { seconds: 0n, nanos: 1000 });
  assert.equal(durationOfText("2h"), { seconds: 7200n, nanos: 0 });
  for (const text of [undefined, "", "-1s", "x"]) assert.is(durationOfText(text), undefined);
});

test.run();
