import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../api/meshconfig.js";
import { type AccessLog, AccessLogSchema } from "../proto/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../proto/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { packed } from "./encode.js";

/** The fields of Istio's own format, by the names that they have in JSON. */
const fields = {
  start_time: "%START_TIME%",
  method: "%REQ(:METHOD)%",
  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  protocol: "%PROTOCOL%",
  response_code: "%RESPONSE_CODE%",
  response_flags: "%RESPONSE_FLAGS%",
  response_code_details: "%RESPONSE_CODE_DETAILS%",
  connection_termination_details: "%CONNECTION_TERMINATION_DETAILS%",
  upstream_transport_failure_reason: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  duration: "%DURATION%",
  upstream_service_time: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
  x_forwarded_for: "%REQ(X-FORWARDED-FOR)%",
  user_agent: "%REQ(USER-AGENT)%",
  request_id: "%REQ(X-REQUEST-ID)%",
  authority: "%REQ(:AUTHORITY)%",
  upstream_host: "%UPSTREAM_HOST%",
  upstream_cluster: "%UPSTREAM_CLUSTER%",
  upstream_local_address: "%UPSTREAM_LOCAL_ADDRESS%",
  downstream_local_address: "%DOWNSTREAM_LOCAL_ADDRESS%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  requested_server_name: "%REQUESTED_SERVER_NAME%",
  route_name: "%ROUTE_NAME%",
} as const;

/** Istio's text format, in which what can hold spaces is quoted. */
const text = [
  `[${fields.start_time}] "${fields.method} ${fields.path} ${fields.protocol}" ${fields.response_code}`,
  `${fields.response_flags} ${fields.response_code_details} ${fields.connection_termination_details}`,
  `"${fields.upstream_transport_failure_reason}" ${fields.bytes_received} ${fields.bytes_sent} ${fields.duration}`,
  `${fields.upstream_service_time} "${fields.x_forwarded_for}" "${fields.user_agent}" "${fields.request_id}"`,
  `"${fields.authority}" "${fields.upstream_host}" ${fields.upstream_cluster} ${fields.upstream_local_address}`,
  `${fields.downstream_local_address} ${fields.downstream_remote_address} ${fields.requested_server_name}`,
  `${fields.route_name}\n`,
].join(" ");

const jsonOf = (format: string): Readonly<Record<string, string>> => {
  try {
    const parsed: unknown = JSON.parse(format);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
      return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)]));
  } catch {
    // Istio reads no format at all as its own, and so is a broken one read here.
  }
  return fields;
};

const formatOf = ({ accessLogEncoding, accessLogFormat }: MeshConfig) => {
  if (accessLogEncoding === "JSON")
    return {
      format: {
        case: "jsonFormat" as const,
        value: { ...(accessLogFormat === "" ? fields : jsonOf(accessLogFormat)) },
      },
    };
  const inline = accessLogFormat === "" ? text : accessLogFormat.replace(/\n?$/, "\n");
  return {
    format: {
      case: "textFormatSource" as const,
      value: { specifier: { case: "inlineString" as const, value: inline } },
    },
  };
};

/** The access log to a file, in the mesh's format; none if the path is empty. */
export const accessLogs = (path: string, mesh: MeshConfig): AccessLog[] =>
  path === ""
    ? []
    : [
        create(AccessLogSchema, {
          name: "envoy.access_loggers.file",
          configType: {
            case: "typedConfig",
            value: packed(
              FileAccessLogSchema,
              create(FileAccessLogSchema, {
                path,
                accessLogFormat: { case: "logFormat", value: formatOf(mesh) },
              }),
            ),
          },
        }),
      ];
