import { create, toBinary } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type FilterChain,
  FilterChainSchema,
} from "../../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Compiled, compileYaml, podYaml } from "../../support/compiled.js";

const inMesh = { "security.istio.io/tlsMode": "istio" };

const service = (name: string, ports: Readonly<Record<string, number>>, clusterIP = "10.96.0.1"): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "shop" },
    spec: {
      clusterIP,
      selector: { app: name },
      ports: Object.entries(ports).map(([port, number]) => ({ name: port, port: number })),
    },
  });

const slice = (name: string, ports: Readonly<Record<string, number>>): string =>
  JSON.stringify({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: "shop", labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: Object.entries(ports).map(([port, number]) => ({ name: port, port: number })),
    endpoints: [{ addresses: ["10.1.0.9"], conditions: { ready: true }, targetRef: { kind: "Pod", name } }],
  });

const policy = (spec: object, namespace = "shop"): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1beta1",
    kind: "PeerAuthentication",
    metadata: { name: "policy", namespace },
    spec,
  });

const web = { app: "web", ...inMesh };
const server = podYaml("web", "shop", { labels: web, ip: "10.1.0.9" });
const ports = { http: 80, tcp: 81, any: 82 };
const compiled = (pod: string, ...yaml: readonly string[]): Compiled =>
  compileYaml([server, ...yaml].join("\n---\n"), pod);
const listenerOf = (...yaml: readonly string[]) =>
  compiled("shop/web", service("web", ports), ...yaml).listeners.get("virtualInbound")!;
const chainNames = (...yaml: readonly string[]) =>
  listenerOf(...yaml)
    .filterChains.map(({ name }) => name)
    .filter((name) => name !== "virtualInbound-blackhole");

const kinds = {
  PERMISSIVE: {
    http: ["mtls-http", "http"],
    tcp: ["mtls-tcp", "tls", "tcp"],
    auto: ["mtls-http", "mtls-tcp", "tls", "http", "tcp"],
  },
  STRICT: {
    http: ["mtls-http", "mtls-any"],
    tcp: ["mtls-tcp", "mtls-any"],
    auto: ["mtls-http", "mtls-tcp", "mtls-any"],
  },
  DISABLE: { http: ["http"], tcp: ["tls", "tcp"], auto: ["tls", "http", "tcp"] },
} as const;
type Mode = keyof typeof kinds;
type Protocol = keyof (typeof kinds)["STRICT"];
const chains = (label: string, mode: Mode, protocol: Protocol): readonly string[] =>
  kinds[mode][protocol].map((kind) => `${label}-${kind}`);
const chainsOfPorts = (http: Mode, tcp: Mode, auto: Mode): readonly string[] => [
  ...chains("0.0.0.0_80", http, "http"),
  ...chains("0.0.0.0_81", tcp, "tcp"),
  ...chains("0.0.0.0_82", auto, "auto"),
];

const modes = ["PERMISSIVE", "STRICT", "DISABLE"] as const;
for (const mode of modes)
  test(`${mode}: the chains of each protocol, and of ports in no Service`, () => {
    assert.equal(chainNames(policy({ mtls: { mode } })), [
      ...chainsOfPorts(mode, mode, mode),
      ...chains("passthrough", mode, "auto"),
    ]);
  });

test("ports that a policy names have their own chains, in a Service or not", () => {
  const spec = {
    selector: { matchLabels: { app: "web" } },
    mtls: { mode: "STRICT" },
    portLevelMtls: { 81: { mode: "DISABLE" }, 9000: { mode: "PERMISSIVE" }, 9001: { mode: "STRICT" } },
  };
  assert.equal(chainNames(policy(spec)), [
    ...chainsOfPorts("STRICT", "DISABLE", "STRICT"),
    ...chains("passthrough_9000", "PERMISSIVE", "auto"),
    ...chains("passthrough", "STRICT", "auto"),
  ]);
  const own = listenerOf(policy(spec)).filterChains.filter(({ name }) => name.startsWith("passthrough_9000"));
  for (const { filterChainMatch } of own) assert.is(filterChainMatch?.destinationPort, 9000);
});

test("under STRICT every chain to the application demands a certificate; under DISABLE none does", () => {
  const sockets = (mode: Mode) =>
    listenerOf(policy({ mtls: { mode } }))
      .filterChains.filter(({ name }) => name !== "virtualInbound-blackhole")
      .map(({ transportSocket }) => transportSocket?.name);
  assert.equal([...new Set(sockets("STRICT"))], ["envoy.transport_sockets.tls"]);
  assert.equal([...new Set(sockets("DISABLE"))], [undefined]);
});

test("a change of mode leaves the chains alone that both modes have, so that their connections go on", () => {
  const bytes = (filterChain: FilterChain): string =>
    Buffer.from(toBinary(FilterChainSchema, create(FilterChainSchema, filterChain))).toString("base64");
  const byName = (mode: Mode) =>
    new Map(listenerOf(policy({ mtls: { mode } })).filterChains.map((each) => [each.name, bytes(each)]));
  const permissive = byName("PERMISSIVE");
  for (const mode of ["STRICT", "DISABLE"] as const) {
    const shared = [...byName(mode)].filter(([name]) => permissive.has(name));
    assert.ok(shared.length > 3);
    for (const [name, text] of shared) assert.is(text, permissive.get(name), `${mode} ${name}`);
  }
  const filters = (mode: Mode) => listenerOf(policy({ mtls: { mode } })).listenerFilters;
  assert.equal(filters("STRICT"), filters("PERMISSIVE"), "other listener filters would end every connection");
});

test("a Sidecar's ingress listeners have the modes of their ports", () => {
  const sidecar = JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "Sidecar",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      ingress: [
        { port: { number: 9000, protocol: "HTTP", name: "a" }, defaultEndpoint: "127.0.0.1:80" },
        { port: { number: 9001, protocol: "TCP", name: "b" }, bind: "10.1.0.9", captureMode: "NONE" },
      ],
    },
  });
  const spec = {
    selector: { matchLabels: { app: "web" } },
    mtls: { mode: "STRICT" },
    portLevelMtls: { 9001: { mode: "DISABLE" } },
  };
  const { listeners } = compiled("shop/web", sidecar, policy(spec));
  const names = (listener: string) => listeners.get(listener)!.filterChains.map(({ name }) => name);
  assert.equal(
    names("virtualInbound").filter((name) => name.startsWith("0")),
    chains("0.0.0.0_9000", "STRICT", "http"),
  );
  assert.equal(names("10.1.0.9_9001"), chains("0.0.0.0_9001", "DISABLE", "tcp"));
});

const client = podYaml("client", "shop");
const sentTls = (name: string, ...yaml: readonly string[]): readonly boolean[] => {
  const { endpoints } = compiled("shop/client", client, ...yaml);
  const { lbEndpoints } = endpoints.get(`outbound|${name}||web.shop.svc.cluster.local`)!.endpoints[0]!;
  return lbEndpoints.map(({ metadata }) => metadata?.filterMetadata["envoy.transport_socket_match"] !== undefined);
};

test("clients send mutual TLS to each port that takes it", () => {
  const set = [service("web", ports), slice("web", ports)];
  const byPort = { selector: { matchLabels: { app: "web" } }, portLevelMtls: { 81: { mode: "DISABLE" } } };
  const cases: readonly (readonly [object, http: boolean, tcp: boolean])[] = [
    [{}, true, true],
    [{ mtls: { mode: "STRICT" } }, true, true],
    [{ mtls: { mode: "DISABLE" } }, false, false],
    [byPort, true, false],
    [{ ...byPort, mtls: { mode: "DISABLE" }, portLevelMtls: { 81: { mode: "STRICT" } } }, false, true],
  ];
  for (const [spec, http, tcp] of cases) {
    assert.equal(sentTls("80", ...set, policy(spec)), [http], JSON.stringify(spec));
    assert.equal(sentTls("81", ...set, policy(spec)), [tcp], JSON.stringify(spec));
  }
});

test("clients of a headless Service send mutual TLS to a port that all take", () => {
  const set = [service("web", ports, "None"), slice("web", ports)];
  const byPort = { selector: { matchLabels: { app: "web" } }, portLevelMtls: { 81: { mode: "DISABLE" } } };
  const { clusters } = compiled("shop/client", client, ...set, policy(byPort));
  const socketOf = (port: number) =>
    clusters.get(`outbound|${port}||web.shop.svc.cluster.local`)!.transportSocket?.name;
  assert.is(socketOf(80), "envoy.transport_sockets.tls");
  assert.is(socketOf(81), undefined);
});

test.run();
