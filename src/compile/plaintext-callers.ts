import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { MeshConfig } from "../api/meshconfig.js";
import {
  type AccessLog,
  AccessLogFilterSchema,
  AccessLogSchema,
} from "../proto/envoy/config/accesslog/v3/accesslog_pb.js";
import { AccessLogType } from "../proto/envoy/data/accesslog/v3/accesslog_pb.js";
import type { RouterSchema } from "../proto/envoy/extensions/filters/http/router/v3/router_pb.js";
import type { TcpProxySchema } from "../proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { TypedStructSchema } from "../proto/xds/type/v3/typed_struct_pb.js";
import { accessLogs } from "./access-log.js";
import { packed } from "./encode.js";
import type { Init } from "./init.js";

/**
 * Who calls in plaintext: statistics by port and by the address that the connection comes from, whatever headers say. The
 * chains that take mutual TLS have none of this, and so no cost.
 */

/** Of one filter chain; callers beyond are in its totals alone. Those who stay away for a day or two make room (bootstrap). */
const rememberedCallers = 1000;

const tags = [
  { name: "destination_port", value_format: "%DOWNSTREAM_LOCAL_PORT%" },
  { name: "source_address", value_format: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%" },
];

const ofTypes = (types: readonly AccessLogType[], exclude = false) =>
  create(AccessLogFilterSchema, { filterSpecifier: { case: "logTypeFilter", value: { types: [...types], exclude } } });

type Statistics = NonNullable<MessageInitShape<typeof TypedStructSchema>["value"]>;

/**
 * The logger is newer than our Envoy types. A scope shared by all chains (`sharing_name`) would crash Envoy 1.40 when it only
 * validates a configuration.
 */
const statsLogger = (statistics: Statistics, types: readonly AccessLogType[]): AccessLog =>
  create(AccessLogSchema, {
    name: "envoy.access_loggers.stats",
    filter: ofTypes(types),
    configType: {
      case: "typedConfig",
      value: packed(
        TypedStructSchema,
        create(TypedStructSchema, {
          typeUrl: "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
          value: {
            stats_scope: {
              prefix: "heddle",
              max_counters: rememberedCallers,
              max_gauges: rememberedCallers,
              enable_eviction: true,
            },
            ...statistics,
          },
        }),
      ),
    },
  });

/** A counter of what began, and a gauge of what is under way, which a stream or connection of days stays in. */
const loggers = (what: string, begin: keyof typeof AccessLogType, end: keyof typeof AccessLogType): AccessLog[] => {
  const [began, ended] = [AccessLogType[begin], AccessLogType[end]];
  return [
    statsLogger({ counters: [{ stat: { name: `inbound_plaintext_${what}`, tags }, value_fixed: 1 }] }, [began]),
    statsLogger(
      {
        gauges: [
          {
            stat: { name: `inbound_plaintext_${what}_open`, tags },
            value_fixed: 1,
            add_subtract: { add_log_type: begin, sub_log_type: end },
          },
        ],
      },
      [began, ended],
    ),
  ];
};

/**
 * Of HTTP: requests that reach the application. By the router's own log, since one of the connection manager that also
 * tells of beginnings would do so to every access log beside it.
 */
export const plaintextRequests: Init<typeof RouterSchema> = {
  upstreamLog: loggers("requests", "UpstreamPoolReady", "UpstreamEnd"),
  upstreamLogOptions: { flushUpstreamLogOnUpstreamStream: true },
};

/** Of TCP: connections that reach the application. */
export const plaintextConnections = (mesh: MeshConfig): Init<typeof TcpProxySchema> => ({
  accessLogOptions: { flushAccessLogOnConnected: true },
  accessLog: [
    ...accessLogs(mesh).map((log) =>
      create(AccessLogSchema, {
        ...log,
        filter: ofTypes([AccessLogType.TcpUpstreamConnected], true),
      }),
    ),
    ...loggers("connections", "TcpUpstreamConnected", "TcpConnectionEnd"),
  ],
});
