import fc from "fast-check";
import type { ExtensionProvider } from "../../../src/api/extension-provider.js";
import type { Kind, ObjectEvent, ObjectKinds } from "../../../src/api/kubernetes.js";
import type { DestinationRuleSpec } from "../../../src/api/networking/destination-rule.js";
import type { EnvoyFilterSpec } from "../../../src/api/networking/envoy-filter.js";
import type { ServiceEntrySpec } from "../../../src/api/networking/service-entry.js";
import type { SidecarSpec } from "../../../src/api/networking/sidecar.js";
import type { Destination, HttpRoute, VirtualServiceSpec } from "../../../src/api/networking/virtual-service.js";
import { authorizationPolicySpec } from "./accepted-authorization-policy.js";

import { jwtRule } from "./request-authentication.js";

/** Objects of every kind in a world so small that they meet: few names, few hosts, three namespaces. */
export const namespaces = ["shop", "other", "istio-system"] as const;

/** Whom AuthorizationPolicies ask, of the mesh configuration; the last one is for something else. */
export const providers: readonly ExtensionProvider[] = [
  {
    name: "grpc",
    envoyExtAuthzGrpc: {
      ...{ service: "s0.shop.svc.cluster.local", port: 80, timeout: "1s", statusOnError: "503", clearRouteCache: true },
      includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true },
    },
  },
  { name: "http", envoyExtAuthzHttp: { service: "api.example.com", port: 80, headersToUpstreamOnAllow: ["x-*"] } },
  { name: "tracing" },
];

/** Pods whose proxies are looked at; they are always there, though their labels and nodes change. */
export const clients = [
  { namespace: "shop", name: "client-a", address: "10.0.0.1" },
  { namespace: "shop", name: "client-b", address: "10.0.0.2" },
  { namespace: "other", name: "client-c", address: "10.0.0.3" },
  { namespace: "istio-system", name: "client-d", address: "10.0.0.4" },
] as const;

const namespace = fc.constantFrom(...namespaces);
const serviceName = fc.constantFrom("s0", "s1", "s2");
const fullName = fc.tuple(serviceName, namespace).map(([name, of]) => `${name}.${of}.svc.cluster.local`);
const external = fc.constantFrom("api.example.com", "db.example.com", "*.example.com");
const host = fc.oneof(serviceName, fullName, external);
const wildcard = fc.constantFrom("*", "*.shop.svc.cluster.local", "*.com", "*.local");
const port = fc.constantFrom(80, 81, 3306);
const portName = fc.constantFrom("http", "grpc-x", "tcp", "tls", "", "mysql");
const labels = fc.constantFrom<Record<string, string>>(
  { app: "a" },
  { app: "b" },
  { app: "a", version: "v1", "security.istio.io/tlsMode": "istio" },
  { app: "b", version: "v2" },
  {},
);
const selector = fc.constantFrom<Record<string, string>>({ app: "a" }, { app: "b" }, { version: "v1" });
const exportTo = fc.constantFrom<string[]>([], ["*"], ["."], ["other"], ["shop", "istio-system"], ["~"]);
const node = fc.constantFrom("n0", "n1", undefined);
const address = fc.integer({ min: 1, max: 9 }).map((last) => `10.1.0.${last}`);

/** Fields that are left out where the value is undefined. */
const optional = <Shape extends object>(fields: { readonly [Key in keyof Shape]: fc.Arbitrary<Shape[Key]> }) =>
  fc.record(fields as never, { requiredKeys: [] }) as fc.Arbitrary<Partial<Shape>>;

/** One event about an object of these names; every fourth takes it away. */
const objects = <K extends Kind>(
  kind: K,
  names: fc.Arbitrary<string>,
  content: fc.Arbitrary<object>,
  where: fc.Arbitrary<string> = namespace,
): fc.Arbitrary<ObjectEvent> =>
  fc
    .tuple(where, names, fc.constantFrom("1", "2"), fc.oneof({ arbitrary: content, weight: 3 }, fc.constant(undefined)))
    .map(([home, name, day, written]) => {
      const { metadata, ...rest } = (written ?? {}) as { readonly metadata?: object };
      const object = {
        metadata: { name, namespace: home, creationTimestamp: `2026-01-0${day}T00:00:00Z`, ...metadata },
        ...rest,
      };
      return { kind, namespace: home, name, object: written && (object as unknown as ObjectKinds[K]) } as ObjectEvent;
    });

const service = objects(
  "Service",
  serviceName,
  fc
    .tuple(
      fc.constantFrom("10.96.0.1", "10.96.0.2", "10.96.0.3", "None"),
      fc.uniqueArray(fc.tuple(portName, port), { selector: ([, number]) => number, minLength: 1, maxLength: 2 }),
      selector,
      fc.option(fullName, { freq: 6, nil: undefined }),
      fc.constantFrom<Record<string, string>>({}, {}, { "networking.istio.io/exportTo": "." }),
    )
    .map(([clusterIP, ports, chosen, externalName, annotations]) => ({
      metadata: { annotations },
      spec: {
        ...(externalName === undefined ? { clusterIP, selector: chosen } : { type: "ExternalName", externalName }),
        ports: ports.map(([name, number]) => ({
          name: `${name}${name && `-${number}`}`,
          port: number,
          targetPort: 8080,
        })),
      },
    })),
);

const endpoint = fc
  .tuple(address, fc.boolean(), node, fc.option(fc.constantFrom("p0", "p1"), { nil: undefined }))
  .map(([at, ready, nodeName, pod]) => ({
    addresses: [at],
    conditions: { ready },
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(pod === undefined ? {} : { targetRef: { kind: "Pod", name: pod } }),
  }));

const slice = objects(
  "EndpointSlice",
  fc.constantFrom("e0", "e1"),
  fc
    .tuple(
      serviceName,
      fc.array(endpoint, { maxLength: 3 }),
      fc.uniqueArray(portName, { minLength: 1, maxLength: 2 }),
      port,
    )
    .map(([of, endpoints, ports, number]) => ({
      metadata: { labels: { "kubernetes.io/service-name": of } },
      addressType: "IPv4",
      ports: ports.map((name) => ({ name: `${name}${name && `-${number}`}`, port: 8080 })),
      endpoints,
    })),
);

const podContent = (ip: fc.Arbitrary<string>) =>
  fc
    .tuple(ip, labels, node, fc.constantFrom("a", "b"), fc.boolean(), fc.constantFrom("REDIRECT", "REDIRECT", "NONE"))
    .map(([podIP, own, nodeName, serviceAccountName, ready, interceptionMode]) => ({
      metadata: { labels: own, annotations: { "sidecar.istio.io/interceptionMode": interceptionMode } },
      spec: { containers: [{ name: "c" }], serviceAccountName, ...(nodeName === undefined ? {} : { nodeName }) },
      status: { podIP, podIPs: [{ ip: podIP }], conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
    }));

const withUid = (event: ObjectEvent): ObjectEvent =>
  event.kind !== "Pod" || event.object === undefined
    ? event
    : { ...event, object: { ...event.object, metadata: { ...event.object.metadata, uid: event.name } } };

const pod = objects("Pod", fc.constantFrom("p0", "p1"), podContent(address)).map(withUid);

/** Clients as they are, or changed; never gone. */
export const clientPods: fc.Arbitrary<readonly ObjectEvent[]> = fc.tuple(
  ...clients.map((client) =>
    objects("Pod", fc.constant(client.name), podContent(fc.constant(client.address)), fc.constant(client.namespace))
      .filter(({ object }) => object !== undefined)
      .map(withUid),
  ),
);

const nodes = objects(
  "Node",
  fc.constantFrom("n0", "n1"),
  fc.constantFrom("eu", "us").map((region) => ({ metadata: { labels: { "topology.kubernetes.io/region": region } } })),
  fc.constant(""),
);

const serviceEntry = objects(
  "ServiceEntry",
  fc.constantFrom("x0", "x1"),
  fc
    .tuple(
      fc.uniqueArray(fc.oneof({ arbitrary: external, weight: 3 }, fullName), { minLength: 1, maxLength: 2 }),
      fc.uniqueArray(fc.tuple(fc.constantFrom("HTTP", "TLS", "TCP"), port), {
        selector: ([, number]) => number,
        minLength: 1,
        maxLength: 2,
      }),
      fc.constantFrom<Partial<ServiceEntrySpec>>(
        { resolution: "NONE" },
        { resolution: "DNS" },
        { resolution: "STATIC", endpoints: [{ address: "10.2.0.1", labels: { version: "v1" } }] },
        { resolution: "STATIC", location: "MESH_INTERNAL", workloadSelector: { labels: { app: "a" } } },
        { resolution: "STATIC", addresses: ["10.96.0.3"], endpoints: [{ address: "10.2.0.2" }] },
      ),
      exportTo,
    )
    .map(([hosts, ports, rest, exported]) => ({
      spec: {
        ...rest,
        hosts,
        exportTo: exported,
        ports: ports.map(([protocol, number]) => ({ name: `p${number}`, number, protocol })),
      },
    })),
);

const workloadEntry = objects(
  "WorkloadEntry",
  fc.constantFrom("w0", "w1"),
  fc.tuple(address, labels).map(([at, own]) => ({ spec: { address: at, labels: own, serviceAccount: "a" } })),
);

const destination: fc.Arbitrary<Destination> = fc
  .tuple(host, optional({ subset: fc.constantFrom("v1", "v2"), port: fc.constant({ number: 80 }) }))
  .map(([to, rest]) => ({ ...rest, host: to.replace("*", "any") }));
const route = fc
  .uniqueArray(fc.tuple(destination, fc.integer({ min: 1, max: 9 })), {
    minLength: 1,
    maxLength: 2,
    selector: ([to]) => JSON.stringify(to),
  })
  .map((all) => all.map(([to, weight]) => ({ destination: to, weight })));
const source = optional({ sourceLabels: selector, sourceNamespace: namespace, port });

const httpRule: fc.Arbitrary<HttpRoute> = fc.oneof(
  { arbitrary: route.map((to) => ({ route: to })), weight: 2 },
  { arbitrary: fc.tuple(source, route).map(([match, to]) => ({ match: [match], route: to })), weight: 2 },
  fc.tuple(fc.constantFrom("v0", "v1", "v2"), fc.option(namespace, { nil: undefined })).map(([name, of]) => ({
    match: [{ uri: { prefix: "/d" } }],
    delegate: { name, ...(of === undefined ? {} : { namespace: of }) },
  })),
  fc.constant<HttpRoute>({ match: [{ uri: { prefix: "/r" } }], redirect: { uri: "/other" } }),
);

const virtualServiceSpec: fc.Arbitrary<VirtualServiceSpec> = fc.oneof(
  {
    arbitrary: fc
      .tuple(
        fc.uniqueArray(fc.oneof({ arbitrary: host, weight: 4 }, wildcard), { minLength: 1, maxLength: 2 }),
        fc.array(httpRule, { maxLength: 2 }),
        fc.array(fc.tuple(optional({ sourceLabels: selector, port }), route), { maxLength: 1 }),
        exportTo,
        fc.constantFrom<string[]>([], [], ["mesh"], ["ingress"]),
      )
      .map(([hosts, http, tcp, exported, gateways]) => ({
        ...{ hosts, http, exportTo: exported, gateways },
        tcp: tcp.map(([match, to]) => ({ match: [match], route: to })),
      })),
    weight: 3,
  },
  // Without hosts: one that others delegate to.
  route.map((to) => ({ http: [{ route: to, match: [{ uri: { prefix: "/d/e" } }] }] })),
);

const virtualService = objects(
  "VirtualService",
  fc.constantFrom("v0", "v1", "v2"),
  virtualServiceSpec.map((spec) => ({ spec })),
);

const trafficPolicy = fc.constantFrom<NonNullable<DestinationRuleSpec["trafficPolicy"]>>(
  {},
  { tls: { mode: "DISABLE" } },
  { loadBalancer: { simple: "ROUND_ROBIN" } },
  { loadBalancer: { consistentHash: { httpHeaderName: "x-user" } } },
  { loadBalancer: { consistentHash: { useSourceIp: true } } },
  { loadBalancer: { localityLbSetting: { failoverPriority: ["version"] } }, outlierDetection: {} },
  { loadBalancer: { localityLbSetting: { failover: [{ from: "eu", to: "us" }] } }, outlierDetection: {} },
  { connectionPool: { tcp: { maxConnections: 7 } } },
  { portLevelSettings: [{ port: { number: 80 }, connectionPool: { http: { http2MaxRequests: 3 } } }] },
);

const destinationRule = objects(
  "DestinationRule",
  fc.constantFrom("d0", "d1", "d2"),
  fc
    .tuple(
      fc.oneof({ arbitrary: host, weight: 4 }, wildcard),
      trafficPolicy,
      fc.uniqueArray(fc.tuple(fc.constantFrom("v1", "v2"), labels, trafficPolicy), {
        selector: ([name]) => name,
        maxLength: 2,
      }),
      exportTo,
      fc.option(selector, { freq: 4, nil: undefined }),
    )
    .map(([to, policy, subsets, exported, matchLabels]) => ({
      spec: {
        ...{ host: to, trafficPolicy: policy, exportTo: exported },
        subsets: subsets.map(([name, own, of]) => ({ name, labels: own, trafficPolicy: of })),
        ...(matchLabels === undefined ? {} : { workloadSelector: { matchLabels } }),
      },
    })),
);

const imported = fc
  .tuple(fc.constantFrom("*", ".", "~", ...namespaces), fc.oneof(wildcard, fullName, external))
  .map(([of, to]) => `${of}/${of === "~" ? "*" : to}`);

const sidecarSpec: fc.Arbitrary<Partial<SidecarSpec>> = optional({
  workloadSelector: selector.map((chosen) => ({ labels: chosen })),
  egress: fc
    .tuple(fc.array(imported, { minLength: 1, maxLength: 3 }), fc.option(fc.tuple(port, imported), { nil: undefined }))
    .map(([hosts, own]) => [
      ...(own === undefined ? [] : [{ port: { number: own[0], protocol: "HTTP", name: "own" }, hosts: [own[1]] }]),
      { hosts },
    ]),
  ingress: fc.constant([{ port: { number: 9080, protocol: "HTTP", name: "in" }, defaultEndpoint: "127.0.0.1:8080" }]),
  outboundTrafficPolicy: fc.constantFrom({ mode: "REGISTRY_ONLY" as const }, { mode: "ALLOW_ANY" as const }),
}) as never;

const sidecar = objects(
  "Sidecar",
  fc.constantFrom("c0", "c1"),
  sidecarSpec.map((spec) => ({ spec })),
);

const patches = fc.constantFrom<EnvoyFilterSpec["configPatches"]>(
  [
    {
      applyTo: "CLUSTER",
      match: { context: "SIDECAR_OUTBOUND" },
      patch: { operation: "MERGE", value: { connect_timeout: "7s" } },
    },
  ],
  [
    {
      applyTo: "CLUSTER",
      match: { context: "SIDECAR_OUTBOUND", cluster: { portNumber: 80 } },
      patch: { operation: "REMOVE" },
    },
  ],
  [
    {
      applyTo: "HTTP_ROUTE",
      match: { context: "SIDECAR_OUTBOUND" },
      patch: { operation: "MERGE", value: { request_headers_to_remove: ["x-a"] } },
    },
  ],
  [
    {
      applyTo: "LISTENER",
      match: { context: "SIDECAR_INBOUND" },
      patch: { operation: "MERGE", value: { per_connection_buffer_limit_bytes: 1000 } },
    },
  ],
);

const envoyFilter = objects(
  "EnvoyFilter",
  fc.constantFrom("f0", "f1"),
  fc
    .tuple(patches, fc.option(selector, { nil: undefined }), fc.integer({ min: 0, max: 1 }))
    .map(([configPatches, chosen, priority]) => ({
      spec: { configPatches, priority, ...(chosen === undefined ? {} : { workloadSelector: { labels: chosen } }) },
    })),
);

const mtlsMode = fc.constantFrom("UNSET", "DISABLE", "PERMISSIVE", "STRICT");

const peerAuthentication = objects(
  "PeerAuthentication",
  fc.constantFrom("a0", "a1"),
  fc
    .tuple(
      fc.option(mtlsMode, { nil: undefined }),
      fc.option(fc.tuple(selector, fc.option(fc.tuple(fc.constantFrom(8080, 9080, 1234), mtlsMode))), {
        nil: undefined,
      }),
    )
    .map(([mode, chosen]) => ({
      spec: {
        ...(mode === undefined ? {} : { mtls: { mode } }),
        ...(chosen === undefined ? {} : { selector: { matchLabels: chosen[0] } }),
        ...(chosen?.[1] == null ? {} : { portLevelMtls: { [chosen[1][0]]: { mode: chosen[1][1] } } }),
      },
    })),
);

const authorizationPolicy = objects(
  "AuthorizationPolicy",
  fc.constantFrom("z0", "z1"),
  fc
    .tuple(authorizationPolicySpec(providers.map(({ name }) => name)), fc.constantFrom("true", "false", undefined))
    .map(([spec, dryRun]) => ({
      ...(dryRun === undefined ? {} : { metadata: { annotations: { "istio.io/dry-run": dryRun } } }),
      spec,
    })),
);

const requestAuthentication = objects(
  "RequestAuthentication",
  fc.constantFrom("r0", "r1"),
  fc.tuple(fc.option(selector, { nil: undefined }), fc.array(jwtRule, { maxLength: 3 })).map(([chosen, jwtRules]) => ({
    spec: { jwtRules, ...(chosen === undefined ? {} : { selector: { matchLabels: chosen } }) },
  })),
);

/** One change of one object of any kind, but of the clients. */
export const arbitraryEvent: fc.Arbitrary<ObjectEvent> = fc.oneof(
  { arbitrary: service, weight: 5 },
  { arbitrary: slice, weight: 3 },
  { arbitrary: pod, weight: 2 },
  nodes,
  { arbitrary: serviceEntry, weight: 3 },
  { arbitrary: workloadEntry, weight: 2 },
  { arbitrary: virtualService, weight: 5 },
  { arbitrary: destinationRule, weight: 4 },
  sidecar,
  envoyFilter,
  { arbitrary: peerAuthentication, weight: 3 },
  { arbitrary: authorizationPolicy, weight: 3 },
  { arbitrary: requestAuthentication, weight: 3 },
);

/** Some changes that come together; now and then of the clients themselves. */
export const arbitraryBatch: fc.Arbitrary<readonly ObjectEvent[]> = fc.oneof(
  { arbitrary: fc.array(arbitraryEvent, { minLength: 1, maxLength: 4 }), weight: 9 },
  clientPods.chain((all) => fc.subarray([...all], { minLength: 1 })),
);
