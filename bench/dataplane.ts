import { readdir, readFile } from "node:fs/promises";
import type { ObjectEvent, Pod, Service } from "../src/api/kubernetes.js";
import { localMachine, projectFolder } from "../src/cli/run/machine.js";
import { policyFilters } from "../src/compile/policy/slots.js";
import { type Load, loadHttp1, loadHttp2 } from "./support/load.js";
import { type Pods, startPods } from "./support/pods.js";
import { numberOption, type Row, report } from "./support/report.js";
import { median } from "./support/statistics.js";

/**
 * A request from pod to pod, direct and through both sidecars, in turns: network namespaces with the real redirection,
 * mutual TLS between the sidecars, a bare Envoy that answers as the application. And the memory of an idle sidecar.
 * Needs root, wrk and h2load; only one at a time on a machine.
 * Usage: node --import tsx bench/dataplane.ts [--seconds 3 (a turn)] [--rounds 3] [--connections 32]
 *   [--services 1 (in the mesh, which all proxies know)] [--json]
 */
const seconds = numberOption("seconds", 3);
const rounds = numberOption("rounds", 3);
const connections = numberOption("connections", 32);
const services = numberOption("services", 1);

/** The application: answers on 8080 and 8081, HTTP/1.1 and HTTP/2 alike, and as quick as the sidecars it is measured through. */
const application = JSON.stringify({
  static_resources: {
    listeners: [8080, 8081].map((port) => ({
      name: String(port),
      address: { socket_address: { address: "0.0.0.0", port_value: port } },
      filter_chains: [
        {
          filters: [
            {
              name: "envoy.filters.network.http_connection_manager",
              typed_config: {
                "@type":
                  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                stat_prefix: "application",
                route_config: {
                  virtual_hosts: [
                    {
                      name: "application",
                      domains: ["*"],
                      routes: [
                        {
                          match: { prefix: "/" },
                          direct_response: { status: 200, body: { inline_string: "x".repeat(128) } },
                        },
                      ],
                    },
                  ],
                },
                http_filters: [
                  {
                    name: "envoy.filters.http.router",
                    typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
                  },
                ],
              },
            },
          ],
        },
      ],
    })),
  },
});

const envoyBinary = `${projectFolder}/.cache/tools/bin/envoy`;
const machine = localMachine(envoyBinary);
const images = new Map<string, readonly string[]>([
  ...machine.images,
  [
    "bench/server",
    [envoyBinary, "--config-yaml", application, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"],
  ],
  ["bench/client", ["sleep", "infinity"]],
]);

const podOf = (name: string, image: string, isInMesh: boolean): ObjectEvent => {
  const labels = { app: name, ...(isInMesh ? {} : { "sidecar.istio.io/inject": "false" }) };
  const object: Pod = {
    metadata: { name, namespace: "default", labels },
    spec: { serviceAccountName: name, containers: [{ name: "app", image }] },
  };
  return { kind: "Pod", namespace: "default", name, object };
};

const serviceOf = (name: string, clusterIP: string): Service => ({
  metadata: { name, namespace: "default" },
  spec: {
    clusterIP,
    clusterIPs: [clusterIP],
    selector: { app: name },
    ports: [
      { name: "http", port: 80, targetPort: 8080 },
      { name: "http2", port: 81, targetPort: 8081 },
    ],
  },
});

const service = serviceOf("server", "10.96.0.10");
const unmeasured = serviceOf("unmeasured-server", "10.96.0.11");

/** Two pods without metrics, for comparison. */
const withoutMetrics = (app: string): ObjectEvent => ({
  kind: "Telemetry",
  namespace: "default",
  name: app,
  object: {
    metadata: { name: app, namespace: "default" },
    spec: { selector: { matchLabels: { app } }, metrics: [{ overrides: [{ disabled: true }] }] },
  },
});

/** Changes of what the inbound HTTP filters of one pod are, to see what they cost. */
const inboundPatches = (app: string, patches: readonly (readonly [filter: string, patch: object])[]): ObjectEvent => ({
  kind: "EnvoyFilter",
  namespace: "default",
  name: app,
  object: {
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "EnvoyFilter",
    metadata: { name: app, namespace: "default" },
    spec: {
      workloadSelector: { labels: { app } },
      configPatches: patches.map(([name, patch]) => ({
        applyTo: "HTTP_FILTER",
        match: {
          context: "SIDECAR_INBOUND",
          listener: {
            filterChain: {
              filter: { name: "envoy.filters.network.http_connection_manager", subFilter: { name } },
            },
          },
        },
        patch,
      })),
    },
  },
});

/** The router without the log that counts plaintext callers. */
const bareRouter = [
  "envoy.filters.http.router",
  {
    operation: "REPLACE",
    value: {
      name: "envoy.filters.http.router",
      typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    },
  },
] as const;

const withoutPolicyFilters = policyFilters().map(({ name }) => [name, { operation: "REMOVE" }] as const);

const objects: readonly ObjectEvent[] = [
  {
    kind: "Namespace",
    namespace: "",
    name: "default",
    object: { metadata: { name: "default", labels: { "istio-injection": "enabled" } } },
  },
  ...[
    service,
    unmeasured,
    ...Array.from({ length: services - 1 }, (_, index) =>
      serviceOf(`other-${index}`, `10.97.${index >> 8}.${index & 255}`),
    ),
  ].map(
    (object): ObjectEvent => ({ kind: "Service", namespace: "default", name: object.metadata?.name ?? "", object }),
  ),
  podOf("plain-server", "bench/server", false),
  podOf("plain-client", "bench/client", false),
  podOf("server", "bench/server", true),
  podOf("client", "bench/client", true),
  podOf("unmeasured-server", "bench/server", true),
  podOf("unmeasured-client", "bench/client", true),
  withoutMetrics("unmeasured-server"),
  withoutMetrics("unmeasured-client"),
  podOf("uncounted", "bench/server", true),
  inboundPatches("uncounted", [bareRouter]),
  podOf("unguarded", "bench/server", true),
  inboundPatches("unguarded", withoutPolicyFilters),
];

/** Resident bytes of the pod's sidecar, which is a child of this process. */
const sidecarMemory = async (pod: string): Promise<number> => {
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const read = (file: string): Promise<string> => readFile(`/proc/${entry}/${file}`, "utf8").catch(() => "");
    const status = await read("status");
    if (!new RegExp(`^PPid:\\s+${process.pid}$`, "m").test(status)) continue;
    if (!(await read("cmdline")).includes(`~${pod}.default~`)) continue;
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
  }
  throw new Error(`pod ${pod}: its sidecar is not running`);
};

type Run<Path extends string> = (path: Path, pods: Pods) => Promise<Load>;

/** The service's port for the sidecars, the application's own for the direct way. */
const urlOf = (path: "direct" | "meshed", pods: Pods, protocol: "http" | "http2"): string => {
  const { port, targetPort } = service.spec!.ports!.find(({ name }) => name === protocol)!;
  return path === "meshed"
    ? `http://server:${port}/`
    : `http://${pods.network("plain-server").addresses[0]}:${targetPort}/`;
};

const clientOf = (path: "direct" | "meshed", pods: Pods) => pods.network(path === "meshed" ? "client" : "plain-client");

const runs: readonly (readonly [name: string, run: Run<"direct" | "meshed">])[] = [
  ["HTTP/1.1", (path, pods) => loadHttp1(clientOf(path, pods), urlOf(path, pods, "http"), connections, seconds)],
  ["HTTP/1.1, one connection", (path, pods) => loadHttp1(clientOf(path, pods), urlOf(path, pods, "http"), 1, seconds)],
  [
    "HTTP/1.1, new connections",
    (path, pods) => loadHttp1(clientOf(path, pods), urlOf(path, pods, "http"), connections, seconds, false),
  ],
  [
    "HTTP/2",
    (path, pods) => loadHttp2(clientOf(path, pods), urlOf(path, pods, "http2"), Math.ceil(connections / 4), seconds),
  ],
];

/** Both ways in turns; the medians of each, and the ratio of the second to the first. */
const compare = async <Path extends string>(
  load: string,
  pods: Pods,
  paths: readonly [first: Path, second: Path],
  names: Partial<Record<Path, string>>,
  run: Run<Path>,
): Promise<readonly Row[]> => {
  const loads = new Map<Path, Load[]>(paths.map((path) => [path, []]));
  for (let round = 0; round < rounds; round++) for (const path of paths) loads.get(path)!.push(await run(path, pods));
  const of = (path: Path): Readonly<Record<string, number>> => ({
    "requests/s": median(loads.get(path)!.map(({ requestsPerSecond }) => requestsPerSecond)),
    "p50 ms": median(loads.get(path)!.map(({ p50Milliseconds }) => p50Milliseconds)),
    "p99 ms": median(loads.get(path)!.map(({ p99Milliseconds }) => p99Milliseconds)),
  });
  const [first, second] = [of(paths[0]), of(paths[1])];
  const ratio = Object.entries(second).map(([measure, value]) => [measure, value / first[measure]!]);
  return [
    { load, path: names[paths[0]] ?? paths[0], ...first },
    { load, path: names[paths[1]] ?? paths[1], ...second },
    { load, path: "ratio", ...Object.fromEntries(ratio) },
  ];
};

if (process.getuid?.() !== 0) throw new Error("network namespaces and redirect rules need root; run it with sudo");
const pods = await startPods(objects, { ...machine, images });
try {
  const idle = { client: await sidecarMemory("client"), server: await sidecarMemory("server") };
  const rows: Row[] = [];
  for (const [name, run] of runs)
    rows.push(...(await compare(name, pods, ["direct", "meshed"], { meshed: "two sidecars" }, run)));
  report("dataplane", rows);
  const plaintext = (without: string, withIt: string) =>
    compare("HTTP/1.1", pods, [without, withIt], {}, (path, { network }) => {
      const server = network(path === without ? without : "server").addresses[0];
      return loadHttp1(network("plain-client"), `http://${server}:8080/`, connections, seconds);
    });
  report("plaintext to one sidecar", [
    ...(await plaintext("uncounted", "counted")),
    ...(await plaintext("unguarded", "filters of policies, without policies")),
  ]);
  const metrics = (what: string, width: number) =>
    compare(what, pods, ["without metrics", "with metrics"], {}, (path, { network }) => {
      const prefix = path === "with metrics" ? "" : "unmeasured-";
      return loadHttp1(network(`${prefix}client`), `http://${prefix}server/`, width, seconds);
    });
  report("metrics, two sidecars", [
    ...(await metrics("HTTP/1.1", connections)),
    ...(await metrics("HTTP/1.1, one connection", 1)),
  ]);
  const mebibyte = 1 << 20;
  report("sidecar memory, MB", [
    { sidecar: "client", idle: idle.client / mebibyte, "after load": (await sidecarMemory("client")) / mebibyte },
    { sidecar: "server", idle: idle.server / mebibyte, "after load": (await sidecarMemory("server")) / mebibyte },
  ]);
} finally {
  await pods.close();
}
