import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { Reporting } from "../../model/telemetry.js";
import {
  type AccessLog,
  AccessLogFilterSchema,
  AccessLogSchema,
} from "../../proto/envoy/config/accesslog/v3/accesslog_pb.js";
import { AccessLogType } from "../../proto/envoy/data/accesslog/v3/accesslog_pb.js";
import type { TcpProxySchema } from "../../proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { accessLogs } from "../access-log.js";
import type { Init } from "../init.js";
import type { Security, Side } from "./labels.js";
import { connectionMetrics, requestMetrics } from "./metrics.js";
import { ofTypes } from "./stats-logger.js";

/** What all listeners of one side have in common. */
export interface Common {
  readonly mesh: MeshConfig;
  readonly reporting: Reporting;
}

/** What is to be told of some traffic. */
export interface Told extends Common {
  readonly side: Side;
  readonly security: Security;
}

/** Of requests. */
export const requestLogs = ({ mesh, reporting, side, security }: Told, isHttp1 = false): AccessLog[] => [
  ...accessLogs(reporting.accessLogFile, mesh),
  ...requestMetrics(reporting, side, security, isHttp1),
];

/** Of connections; `further` are loggers that may be for their beginning too. */
export const connectionLogs = (
  { mesh, reporting, side, security }: Told,
  further: readonly AccessLog[] = [],
): Init<typeof TcpProxySchema> => {
  const statistics = [...connectionMetrics(reporting, side, security), ...further];
  if (statistics.length === 0) return { accessLog: accessLogs(reporting.accessLogFile, mesh) };
  const atTheEnd = create(AccessLogFilterSchema, {
    filterSpecifier: ofTypes([AccessLogType.TcpUpstreamConnected], true),
  });
  return {
    accessLogOptions: { flushAccessLogOnConnected: true },
    accessLog: [
      ...accessLogs(reporting.accessLogFile, mesh).map((log) => create(AccessLogSchema, { ...log, filter: atTheEnd })),
      ...statistics,
    ],
  };
};
