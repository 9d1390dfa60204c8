import { type LabelChanges, type Metric, metricNames, type Reporting } from "../../model/telemetry.js";
import type { AccessLog } from "../../proto/envoy/config/accesslog/v3/accesslog_pb.js";
import { AccessLogType } from "../../proto/envoy/data/accesslog/v3/accesslog_pb.js";
import type { StructFields } from "../typed-struct.js";
import { type Labels, labelsOf, type Security, type Side } from "./labels.js";
import { type LogFilter, ofTypes, statsLogger } from "./stats-logger.js";
import { tagFormat } from "./tag-format.js";

/**
 * The namespace that Envoy leaves out of what Prometheus is told, `istio_requests_total` as it stands. The bootstrap
 * registers it.
 */
const namespace = "wasmcustom";

/**
 * Of one filter chain and protocol, for each kind; what is beyond is not counted. What has not changed for a day or two makes room. A
 * scope that all chains share (`sharing_name`) would crash Envoy 1.40 when it only validates a configuration.
 */
const rememberedSeries = 2000;

const scope = {
  prefix: namespace,
  max_counters: rememberedSeries,
  max_histograms: rememberedSeries,
  enable_eviction: true,
};

interface Statistic {
  readonly metric: Metric;
  readonly kind: "counters" | "histograms";
  readonly value: StructFields;
}

const requestStatistics: readonly Statistic[] = [
  { metric: "REQUEST_COUNT", kind: "counters", value: { value_fixed: 1 } },
  { metric: "REQUEST_DURATION", kind: "histograms", value: { unit: "Milliseconds", value_format: "%DURATION%" } },
  { metric: "REQUEST_SIZE", kind: "histograms", value: { unit: "Bytes", value_format: "%BYTES_RECEIVED%" } },
  { metric: "RESPONSE_SIZE", kind: "histograms", value: { unit: "Bytes", value_format: "%BYTES_SENT%" } },
];

const opened: readonly Statistic[] = [
  { metric: "TCP_OPENED_CONNECTIONS", kind: "counters", value: { value_fixed: 1 } },
];

const closed: readonly Statistic[] = [
  { metric: "TCP_CLOSED_CONNECTIONS", kind: "counters", value: { value_fixed: 1 } },
  { metric: "TCP_SENT_BYTES", kind: "counters", value: { value_format: "%BYTES_SENT%" } },
  { metric: "TCP_RECEIVED_BYTES", kind: "counters", value: { value_format: "%BYTES_RECEIVED%" } },
];

const tagsOf = (labels: Labels, changes: LabelChanges): readonly StructFields[] =>
  Object.entries({ ...labels, ...changes }).flatMap(([name, value]) => {
    if (value === null) return [];
    return [{ name, value_format: typeof value === "string" ? value : tagFormat(value) }];
  });

/** One logger of all that are counted; none if none is. */
const loggerOf = (
  statistics: readonly Statistic[],
  labels: Labels,
  { metrics }: Reporting,
  filter: LogFilter | undefined,
): readonly AccessLog[] => {
  const of = (wanted: Statistic["kind"]) =>
    statistics.flatMap(({ metric, kind, value }) => {
      const changes = metrics[metric];
      if (kind !== wanted || changes === undefined) return [];
      return [{ stat: { name: `istio_${metricNames[metric]}`, tags: [...tagsOf(labels, changes)] }, ...value }];
    });
  const [counters, histograms] = [of("counters"), of("histograms")];
  if (counters.length + histograms.length === 0) return [];
  return [statsLogger({ stats_scope: scope, counters, histograms }, filter)];
};

const isGrpc = (invertMatch: boolean): LogFilter => ({
  case: "headerFilter",
  value: {
    header: {
      name: "content-type",
      headerMatchSpecifier: {
        case: "stringMatch",
        value: { matchPattern: { case: "safeRegex", value: { regex: "application/grpc([+;].*)?" } } },
      },
      invertMatch,
      treatMissingHeaderAsEmpty: true,
    },
  },
});

/** Of requests, when they have ended. Those of HTTP/1 are never gRPC. */
export const requestMetrics = (
  reporting: Reporting,
  side: Side,
  security: Security,
  isHttp1: boolean,
): readonly AccessLog[] => {
  const http = labelsOf(side, security, "http");
  if (isHttp1) return loggerOf(requestStatistics, http, reporting, undefined);
  return [
    ...loggerOf(requestStatistics, http, reporting, isGrpc(true)),
    ...loggerOf(requestStatistics, labelsOf(side, security, "grpc"), reporting, isGrpc(false)),
  ];
};

/** Of connections, when they have reached the other side, for which the TCP proxy logs that too, and have ended. */
export const connectionMetrics = (reporting: Reporting, side: Side, security: Security): readonly AccessLog[] => {
  const labels = labelsOf(side, security, "tcp");
  return [
    ...loggerOf(opened, labels, reporting, ofTypes([AccessLogType.TcpUpstreamConnected])),
    ...loggerOf(closed, labels, reporting, ofTypes([AccessLogType.TcpConnectionEnd])),
  ];
};
