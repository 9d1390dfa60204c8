import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { asJson, asText, asYaml } from "../../../src/cli/mtls/output.js";
import { type Answer, mtlsReport, podsToAsk } from "../../../src/cli/mtls/report.js";
import { inboundStatisticsOf, statisticsSince } from "../../../src/cli/mtls/statistics.js";
import { applyEvents } from "../../../src/model/apply.js";
import { emptySnapshot, type Snapshot } from "../../../src/model/snapshot.js";

const event = (kind: string, namespace: string, name: string, fields: object): ObjectEvent =>
  ({
    kind,
    namespace,
    name,
    object: { metadata: { name, namespace, ...(fields as { metadata?: object }).metadata }, ...without(fields) },
  }) as unknown as ObjectEvent;
const without = ({ metadata: _, ...rest }: { readonly metadata?: object }): object => rest;

interface PodOptions {
  readonly sidecar?: boolean;
  readonly hostNetwork?: boolean;
  readonly phase?: string;
  readonly annotations?: object;
}

const pod = (namespace: string, name: string, app: string, ip: string, options: PodOptions = {}): ObjectEvent =>
  event("Pod", namespace, name, {
    metadata: {
      uid: name,
      labels: { app, "pod-template-hash": "abc" },
      annotations: options.annotations ?? {},
      ownerReferences: [{ kind: "ReplicaSet", name: `${app}-abc`, controller: true }],
    },
    spec: {
      nodeName: "n1",
      ...(options.hostNetwork === true ? { hostNetwork: true } : {}),
      containers: [{ name: "app" }, ...(options.sidecar === true ? [{ name: "istio-proxy" }] : [])],
    },
    status: { phase: options.phase ?? "Running", podIP: ip, podIPs: [{ ip }] },
  });

const policy = (namespace: string, name: string, spec: object): ObjectEvent =>
  event("PeerAuthentication", namespace, name, { spec });

const objects: readonly ObjectEvent[] = [
  event("Service", "shop", "echo", {
    spec: {
      clusterIP: "10.1.0.1",
      clusterIPs: ["10.1.0.1"],
      selector: { app: "echo" },
      ports: [{ name: "http", port: 80, targetPort: 8080 }],
    },
  }),
  event("Node", "", "n1", {
    spec: { podCIDRs: ["10.0.0.0/24"] },
    status: { addresses: [{ type: "InternalIP", address: "192.0.2.1" }] },
  }),
  pod("shop", "echo-1", "echo", "10.0.0.11", { sidecar: true }),
  pod("shop", "echo-2", "echo", "10.0.0.12", { sidecar: true }),
  pod("shop", "bare", "bare", "10.0.0.13"),
  pod("plain", "cron", "cron", "10.0.0.14", { phase: "Succeeded" }),
  pod("plain", "client", "client", "10.0.0.14"),
  pod("plain", "on-host", "on-host", "192.0.2.1", { hostNetwork: true }),
  pod("mesh", "excluding", "excluding", "10.0.0.15", {
    sidecar: true,
    annotations: { "traffic.sidecar.istio.io/excludeOutboundPorts": "443, 80" },
  }),
];

const snapshotWith = (...more: readonly ObjectEvent[]): Snapshot =>
  applyEvents(emptySnapshot(), [...objects, ...more]).snapshot;

const answer = (callers: Readonly<Record<string, string>>, isFull = false): Answer => ({
  statistics: {
    ...inboundStatisticsOf(
      Object.entries(callers)
        .map(([address, value]) => {
          const [port, requests] = value.split(" ");
          return `envoy_heddle_inbound_plaintext_requests{destination_port="${port}",source_address="${address}"} ${requests}`;
        })
        .join("\n"),
    ),
    isFull,
  },
});

const inShop = (namespace: string): boolean => namespace === "shop";

test("statistics of a proxy are read by port, security and caller", () => {
  const { mtls, plaintext, callers, isFull } = inboundStatisticsOf(`# TYPE envoy_http_downstream_cx_total counter
envoy_http_downstream_cx_total{http_conn_manager_prefix="inbound_0.0.0.0_8080"} 2
envoy_http_downstream_rq_total{http_conn_manager_prefix="inbound_0.0.0.0_8080"} 7
envoy_http_downstream_rq_total{http_conn_manager_prefix="inbound_0.0.0.0_8080_plaintext"} 3
envoy_tcp_downstream_cx_total{tcp_prefix="inbound|8080||_plaintext"} 1
envoy_tcp_downstream_cx_total{tcp_prefix="InboundPassthroughCluster_plaintext"} 4
envoy_tcp_downstream_cx_total{tcp_prefix="BlackHoleCluster"} 9
envoy_heddle_inbound_plaintext_connections{destination_port="8080",source_address="fd00::1"} 1
envoy_heddle_inbound_plaintext_connections_open{destination_port="8080",source_address="fd00::1"} 1
envoy_heddle_inbound_plaintext_requests_open{destination_port="8080",source_address="fd00::1"} 2
`);
  assert.equal([...mtls], [[8080, { connections: 2, requests: 7 }]]);
  assert.equal(
    [...plaintext],
    [
      [8080, { connections: 1, requests: 3 }],
      ["other", { connections: 4, requests: 0 }],
    ],
  );
  assert.equal(callers, [{ port: 8080, address: "fd00::1", connections: 1, requests: 0, open: 3 }]);
  assert.not(isFull);
});

test("a window holds what came within it, what is open, and all of a caller that was forgotten meanwhile", () => {
  const at = (...lines: readonly string[]) =>
    inboundStatisticsOf(
      lines
        .map((line) => {
          const [what, address, value] = line.split(" ");
          return `envoy_heddle_inbound_plaintext_${what}{destination_port="1",source_address="${address}"} ${value}`;
        })
        .join("\n"),
    );
  const before = at("requests a 5", "requests b 5", "connections c 5", "connections_open c 1", "requests d 5");
  const now = at(
    "requests a 5",
    "requests b 8",
    "connections c 5",
    "connections_open c 1",
    "requests d 2",
    "requests e 1",
  );
  assert.equal(
    statisticsSince(now, before).callers.map(({ address, requests, open }) => `${address} ${requests} ${open}`),
    ["b 3 0", "c 0 1", "d 2 0", "e 1 0"],
  );
});

test("a full table of callers is told", () => {
  const lines = Array.from(
    { length: 1000 },
    (_, at) =>
      `envoy_heddle_inbound_plaintext_requests{destination_port="1",source_address="10.0.${at >> 8}.${at & 255}"} 1`,
  );
  assert.not(inboundStatisticsOf(lines.slice(1).join("\n")).isFull);
  const full = inboundStatisticsOf(lines.join("\n"));
  assert.ok(full.isFull);
  const report = mtlsReport(
    { snapshot: snapshotWith(), next: undefined, isInScope: inShop },
    new Map([
      ["shop/echo-1", { statistics: { ...full, callers: [] } }],
      ["shop/echo-2", answer({})],
    ]),
  );
  assert.match(report.unanswered[0]!.reason, "more plaintext callers than it can name");
});

test("callers are pods, nodes or unknown, and a reason stands beside each", () => {
  const question = { snapshot: snapshotWith(), next: undefined, isInScope: inShop };
  assert.equal(
    podsToAsk(question).map(({ metadata }) => metadata?.name),
    ["echo-1", "echo-2"],
  );
  const report = mtlsReport(
    question,
    new Map([
      ["shop/echo-1", answer({ "10.0.0.14": "8080 2", "192.0.2.1": "8080 1", "198.51.100.7": "8080 1" })],
      ["shop/echo-2", answer({ "10.0.0.14": "8080 3", "10.0.0.15": "8080 1", "10.0.0.1": "9999 1" })],
    ]),
  );
  const [http, other] = report.ports;
  assert.equal([http!.workload, http!.port, http!.pods, http!.mode], ["Deployment/echo", 8080, 2, "PERMISSIVE"]);
  const told = new Map(http!.callers.map((caller) => [caller.address, caller]));
  assert.equal([told.get("10.0.0.14")!.name, told.get("10.0.0.14")!.requests], ["plain/client", 5]);
  assert.is(told.get("10.0.0.14")!.reason, "has no sidecar");
  assert.is(told.get("192.0.2.1")!.kind, "node");
  assert.match(told.get("192.0.2.1")!.reason, "plain/on-host");
  assert.is(told.get("198.51.100.7")!.kind, "unknown");
  assert.match(told.get("10.0.0.15")!.reason, "excludeOutboundPorts leaves port 80 out");
  assert.equal([other!.port, other!.callers[0]!.kind], [9999, "node"]);
  assert.is(report.cutOff, 5);
});

const moves: readonly (readonly [
  what: string,
  now: readonly ObjectEvent[],
  next: readonly ObjectEvent[],
  ports: readonly string[],
])[] = [
  ["a namespace", [], [policy("shop", "default", { mtls: { mode: "STRICT" } })], ["8080 none", "other none"]],
  ["the mesh", [], [policy("istio-system", "default", { mtls: { mode: "STRICT" } })], ["8080 none", "other none"]],
  ["another namespace", [], [policy("mesh", "default", { mtls: { mode: "STRICT" } })], []],
  [
    "one port",
    [],
    [
      policy("shop", "echo", {
        selector: { matchLabels: { app: "echo" } },
        portLevelMtls: { 8080: { mode: "STRICT" } },
      }),
    ],
    ["8080 none"],
  ],
  [
    "all but one port",
    [
      policy("shop", "echo", {
        selector: { matchLabels: { app: "echo" } },
        portLevelMtls: { 8080: { mode: "PERMISSIVE" } },
      }),
    ],
    [policy("shop", "default", { mtls: { mode: "STRICT" } })],
    ["other none"],
  ],
  ["what is strict already", [policy("shop", "a", { mtls: { mode: "STRICT" } })], [], []],
  [
    "what a policy leaves open now",
    [policy("shop", "a", { mtls: { mode: "PERMISSIVE" } })],
    [policy("shop", "a", { mtls: { mode: "STRICT" } })],
    ["8080 shop/a", "other shop/a"],
  ],
];

for (const [what, now, next, ports] of moves)
  test(`ports that move to STRICT: ${what}`, () => {
    const snapshot = snapshotWith(...now);
    const question = { snapshot, next: applyEvents(snapshot, next).snapshot, isInScope: inShop };
    const report = mtlsReport(question, new Map());
    assert.equal(
      report.ports.map(({ port, policy: deciding }) => `${port} ${deciding ?? "none"}`),
      ports,
    );
    assert.is(report.unanswered.length, ports.length === 0 ? 0 : 2, "pods that nobody asked are told");
  });

test("what is printed names the caller, why, and what is not known", () => {
  const report = mtlsReport(
    { snapshot: snapshotWith(), next: undefined, isInScope: inShop },
    new Map<string, Answer>([
      ["shop/echo-1", answer({ "10.0.0.14": "8080 2" })],
      ["shop/echo-2", { unanswered: "no answer in 10 s; look whether the pod is ready" }],
    ]),
  );
  const shown = { report, windowSeconds: 10, files: ["strict.yaml"] };
  const text = asText(shown, false, process.stdout);
  assert.match(text, "10.0.0.14  plain Deployment/client, pod plain/client on n1: 2 requests (0.20/s); has no sidecar");
  assert.match(text, "pod shop/echo-2: no answer");
  assert.match(text, "strict.yaml would cut off 1 caller seen within 10 seconds.");
  const parsed = JSON.parse(asJson(shown)) as { readonly cutOff: number; readonly isComplete: boolean };
  assert.equal([parsed.cutOff, parsed.isComplete], [1, false]);
  assert.match(asYaml(shown), "cutOff: 1");
});

test.run();
