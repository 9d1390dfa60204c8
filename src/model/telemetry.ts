import type { Labels } from "./selector.js";
import type { Snapshot } from "./snapshot.js";

/** By Istio's names in the configuration API; without its prefix and in lower case also those that Prometheus sees. */
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

/** Labels of a metric that are not the usual ones: a format string of the proxy, or nothing for one that is left out. */
export type LabelChanges = Readonly<Record<string, string | null>>;

/** What a proxy tells of one side of its traffic: of what it sends, as client, or of what it takes, as server. */
export interface Reporting {
  /** Those that are counted. */
  readonly metrics: Readonly<Partial<Record<Metric, LabelChanges>>>;
}

/** Equal ones are the same object. */
export interface Telemetry {
  readonly client: Reporting;
  readonly server: Reporting;
}

const everything: Reporting = {
  metrics: Object.fromEntries(Object.keys(metricNames).map((metric) => [metric, {}])),
};

/** Of workloads that no Telemetry is about. */
export const standardTelemetry: Telemetry = { client: everything, server: everything };

export const telemetryOf = (_snapshot: Snapshot, _namespace: string, _labels: Labels): Telemetry => standardTelemetry;
