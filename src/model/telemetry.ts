import type { MeshConfig } from "../api/meshconfig.js";
import { type TagValue, tagValueOf } from "../api/telemetry/tag-value.js";
import { accessLogProvider, metricsProvider, type Telemetry, type TelemetrySpec } from "../api/telemetry/telemetry.js";
import { rememberLatest } from "./latest.js";
import { isForAll, type Labels } from "./selector.js";
import { type PoliciesByNamespace, policiesFor } from "./workload-policies.js";

/** By Istio's names in the configuration API, those that Prometheus sees, without `istio_`. */
export const metricNames = {
  REQUEST_COUNT: "requests_total",
  REQUEST_DURATION: "request_duration_milliseconds",
  REQUEST_SIZE: "request_bytes",
  RESPONSE_SIZE: "response_bytes",
  TCP_OPENED_CONNECTIONS: "tcp_connections_opened_total",
  TCP_CLOSED_CONNECTIONS: "tcp_connections_closed_total",
  TCP_SENT_BYTES: "tcp_sent_bytes_total",
  TCP_RECEIVED_BYTES: "tcp_received_bytes_total",
} as const;

export type Metric = keyof typeof metricNames;

const allMetrics = Object.keys(metricNames) as readonly Metric[];

/** Labels of a metric that are not the usual ones; null for one that is left out. */
export type LabelChanges = Readonly<Record<string, TagValue | null>>;

/** What a proxy tells of one side of its traffic: of what it sends, as client, or of what it takes, as server. */
export interface Reporting {
  /** Those that are counted. */
  readonly metrics: Readonly<Partial<Record<Metric, LabelChanges>>>;
  /** Path that is logged to; "" for no log. */
  readonly accessLogFile: string;
}

/** Equal sides are the same object. */
export interface WorkloadTelemetry {
  readonly client: Reporting;
  readonly server: Reporting;
}

/** What the telemetry of a workload is made from. */
export interface TelemetryRules {
  readonly mesh: Pick<MeshConfig, "rootNamespace" | "accessLogFile">;
  readonly telemetries: PoliciesByNamespace<Telemetry>;
}

type Mode = "CLIENT" | "SERVER";

const isFor = (mode: Mode, wanted = "CLIENT_AND_SERVER"): boolean => wanted === "CLIENT_AND_SERVER" || wanted === mode;

type Rules<Field extends "metrics" | "accessLogging"> = readonly NonNullable<TelemetrySpec[Field]>[number][];

/** Providers of a rule stand for those before it, and hold for what comes after it too. */
const namesOf = (rule: { readonly providers?: readonly { readonly name: string }[] }, before: readonly string[]) =>
  (rule.providers ?? []).length === 0 ? before : rule.providers!.map(({ name }) => name);

const metricsOf = (rules: Rules<"metrics">, mode: Mode): Reporting["metrics"] => {
  let names: readonly string[] = [metricsProvider];
  const found = new Map<Metric, Record<string, TagValue | null> | undefined>(allMetrics.map((metric) => [metric, {}]));
  const disabled = new Set<Metric>();
  for (const rule of rules) {
    names = namesOf(rule, names);
    if (!names.includes(metricsProvider)) continue;
    for (const { match, disabled: isDisabled, tagOverrides } of rule.overrides ?? []) {
      if (!isFor(mode, match?.mode) || match?.customMetric !== undefined) continue;
      const wanted = match?.metric ?? "ALL_METRICS";
      for (const metric of wanted === "ALL_METRICS" ? allMetrics : allMetrics.filter((each) => each === wanted)) {
        if (isDisabled === true) disabled.add(metric);
        if (isDisabled === false) disabled.delete(metric);
        const changes = found.get(metric) ?? {};
        for (const [name, { operation = "UPSERT", value = "" }] of Object.entries(tagOverrides ?? {})) {
          const tag = operation === "REMOVE" ? null : tagValueOf(value);
          if (tag !== undefined) changes[name] = tag;
        }
      }
    }
  }
  if (!names.includes(metricsProvider)) return {};
  return Object.fromEntries([...found].filter(([metric]) => !disabled.has(metric)));
};

const standardOutput = "/dev/stdout";

/** Without a rule the mesh's own file; with one, whatever it says, that has no say any more. */
const accessLogFileOf = (
  rules: Rules<"accessLogging">,
  mode: Mode,
  { accessLogFile }: TelemetryRules["mesh"],
): string => {
  const relevant = rules.filter(({ match }) => isFor(mode, match?.mode));
  if (relevant.length === 0) return accessLogFile;
  let names: readonly string[] = accessLogFile === "" ? [] : [accessLogProvider];
  let isDisabled = false;
  for (const rule of relevant) {
    names = namesOf(rule, names);
    if (names.includes(accessLogProvider)) isDisabled = rule.disabled ?? false;
  }
  if (isDisabled || !names.includes(accessLogProvider)) return "";
  return accessLogFile === "" ? standardOutput : accessLogFile;
};

const latest = rememberLatest<Reporting>(1000);

const shared = (reporting: Reporting): Reporting => latest(JSON.stringify(reporting), () => reporting);

/** Mesh, then namespace, by the oldest that is for all of it each, then all that select the workload, by age. */
const inForce = ({ mesh, telemetries }: TelemetryRules, namespace: string, labels: Labels): readonly Telemetry[] => {
  const { rootNamespace } = mesh;
  const forAll = (home: string): readonly Telemetry[] =>
    policiesFor(telemetries, home, home, labels).filter(isForAll).slice(0, 1);
  return [
    ...forAll(rootNamespace),
    ...(namespace === rootNamespace ? [] : forAll(namespace)),
    ...policiesFor(telemetries, namespace, namespace, labels).filter((each) => !isForAll(each)),
  ];
};

/** Whether it is one of those that say what the workload tells. */
export const isTelemetryOf = (rules: TelemetryRules, object: Telemetry, namespace: string, labels: Labels): boolean =>
  inForce(rules, namespace, labels).includes(object);

const plain = new WeakMap<TelemetryRules["mesh"], WorkloadTelemetry>();

const made = (mesh: TelemetryRules["mesh"], objects: readonly Telemetry[]): WorkloadTelemetry => {
  const metrics = objects.flatMap(({ spec }) => spec.metrics ?? []);
  const accessLogging = objects.flatMap(({ spec }) => spec.accessLogging ?? []);
  const side = (mode: Mode): Reporting =>
    shared({ metrics: metricsOf(metrics, mode), accessLogFile: accessLogFileOf(accessLogging, mode, mesh) });
  return { client: side("CLIENT"), server: side("SERVER") };
};

/** What proxies tell that no Telemetry is about. */
export const standardTelemetry = (mesh: TelemetryRules["mesh"]): WorkloadTelemetry => {
  const before = plain.get(mesh);
  if (before !== undefined) return before;
  const standard = made(mesh, []);
  plain.set(mesh, standard);
  return standard;
};

export const telemetryOf = (rules: TelemetryRules, namespace: string, labels: Labels): WorkloadTelemetry => {
  if (rules.telemetries.size === 0) return standardTelemetry(rules.mesh);
  const objects = inForce(rules, namespace, labels);
  return objects.length === 0 ? standardTelemetry(rules.mesh) : made(rules.mesh, objects);
};
