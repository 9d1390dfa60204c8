import type { ResourceStatus } from "../../main/status/reporter.js";
import { run } from "./network.js";
import type { RunningPod } from "./pod.js";

export interface ReportOptions {
  readonly pods: readonly RunningPod[];
  readonly caller: RunningPod;
  readonly url: string;
}

interface CallAnswer {
  readonly status?: number;
  readonly error?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text?: string;
}

const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** GET where the pod's processes are; a line of script, so that nothing but Node is needed there. */
const fetchInside = async ({ network }: RunningPod, url: string): Promise<string> => {
  const script = `const r=await fetch(process.argv[1]);process.stdout.write(await r.text())`;
  const [program = "", ...rest] = network.wrap([process.execPath, "--input-type=module", "-e", script, url]);
  return run(program, ...rest);
};

/** What a proxy counts for Prometheus: lines of name, labels and value. */
const metricsOf = async ({ address }: RunningPod): Promise<readonly string[]> =>
  (await (await fetch(`http://${bracketed(address)}:15090/stats/prometheus`)).text()).split("\n");

const countOf = (line: string): number => Number(line.split(" ").at(-1));

const sumOf = (lines: readonly string[], name: RegExp): number =>
  lines.filter((line) => name.test(line)).reduce((sum, line) => sum + countOf(line), 0);

const requests = /^envoy_cluster_upstream_rq_total\{.*"(outbound|inbound)\|/;
const handshakes = /^envoy_(cluster|listener)_ssl_handshake\{/;

/** The clusters that the proxy has sent requests to. */
const routesOf = (lines: readonly string[]): readonly string[] =>
  lines
    .filter((line) => requests.test(line) && countOf(line) > 0)
    .flatMap((line) => /envoy_cluster_name="([^"]+)"|cluster_name="([^"]+)"/.exec(line)?.slice(1).find(Boolean) ?? [])
    .filter((name) => name.startsWith("outbound|"));

const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
};

const containersOf = ({ pod }: RunningPod): readonly string[] => [
  ...(pod.spec?.containers ?? []).map(({ name }) => name),
  ...(pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always").map(({ name }) => name),
];

/** The pod of this name, or the first one of the Deployment of this name. Throws an Error that lists what there is. */
export const callerOf = (pods: readonly RunningPod[], from: string): RunningPod => {
  const caller = pods.find(({ name }) => name === from) ?? pods.find(({ name }) => name.startsWith(`${from}-`));
  if (caller === undefined)
    throw new Error(`--from ${from}: there is no such pod; use one of ${pods.map(({ name }) => name).join(", ")}`);
  return caller;
};

/** A line for each condition that is not as it should be; none if all is in force and held by every proxy. */
export const statusLines = (statuses: readonly ResourceStatus[]): readonly string[] =>
  statuses.flatMap(({ kind, namespace, name, conditions }) =>
    conditions
      .filter(({ reason }) => reason !== "Accepted" && reason !== "Distributed")
      .map(({ reason, message }) => `${kind} ${namespace}/${name}  ${reason}: ${message}`),
  );

/** Shows the injected pods, sends one request through both proxies and prints what came of it. */
export const report = async ({ pods, caller, url }: ReportOptions): Promise<void> => {
  const sorted = pods.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const rows = sorted.map((pod) => {
    const names = containersOf(pod);
    return [pod.name, `${names.length}/${names.length}`, pod.address, names.join(", ")];
  });
  console.log(`\n${table([["NAME", "READY", "ADDRESS", "CONTAINERS"], ...rows])}`);
  console.log(`\n${caller.name} asks for ${url}`);
  const application = `http://${bracketed(caller.network.applicationAddress)}:8080`;
  const call = JSON.parse(
    await fetchInside(caller, `${application}/call?url=${encodeURIComponent(url)}`),
  ) as CallAnswer;
  if (call.status === undefined) throw new Error(`no answer: ${call.error ?? "unknown"}`);
  const certificates = /"x-forwarded-client-cert":\s*"((?:[^"\\]|\\.)*)"/.exec(call.text ?? "")?.[1] ?? "";
  const identity = (field: string): string | undefined => new RegExp(`${field}=([^;,"]+)`).exec(certificates)?.[1];
  const metrics = new Map(await Promise.all(sorted.map(async (pod) => [pod, await metricsOf(pod)] as const)));
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["status", String(call.status)],
    [
      "caller",
      `${identity("URI") ?? "not verified: plaintext"}   (in the certificate that the callee's proxy verified)`,
    ],
    ["callee", identity("By")],
    ["route", routesOf(metrics.get(caller) ?? []).join(", ") || undefined],
    ["latency", `${call.headers?.["x-envoy-upstream-service-time"] ?? "?"} ms, as the caller's proxy has measured it`],
  ];
  for (const [name, value] of facts) if (value !== undefined) console.log(`  ${name.padEnd(12)}  ${value}`);
  for (const [pod, lines] of metrics)
    console.log(
      `  ${pod.name.padEnd(12)}  ${sumOf(lines, requests)} requests sent on, ${sumOf(lines, handshakes)} TLS handshakes`,
    );
};
