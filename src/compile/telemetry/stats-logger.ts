import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AccessLog,
  AccessLogFilterSchema,
  AccessLogSchema,
} from "../../proto/envoy/config/accesslog/v3/accesslog_pb.js";
import type { AccessLogType } from "../../proto/envoy/data/accesslog/v3/accesslog_pb.js";
import { type StructFields, typedStruct } from "../typed-struct.js";

export type LogFilter = NonNullable<MessageInitShape<typeof AccessLogFilterSchema>["filterSpecifier"]>;

export const ofTypes = (types: readonly AccessLogType[], exclude = false): LogFilter => ({
  case: "logTypeFilter",
  value: { types: [...types], exclude },
});

/** Statistics that log entries make, in the shape of envoy.extensions.access_loggers.stats.v3.Config. */
export const statsLogger = (config: StructFields, filter: LogFilter | undefined): AccessLog =>
  create(AccessLogSchema, {
    name: "envoy.access_loggers.stats",
    ...(filter === undefined ? {} : { filter: create(AccessLogFilterSchema, { filterSpecifier: filter }) }),
    configType: {
      case: "typedConfig",
      value: typedStruct("envoy.extensions.access_loggers.stats.v3.Config", config),
    },
  });
