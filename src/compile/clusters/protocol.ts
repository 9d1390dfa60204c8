import { create, toJson } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { Protocol } from "../../model/protocol.js";
import type { Http2ProtocolOptionsSchema } from "../../proto/envoy/config/core/v3/protocol_pb.js";
import { HttpProtocolOptionsSchema } from "../../proto/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { durationOfText } from "../duration.js";
import { packed } from "../encode.js";
import type { Init } from "../init.js";
import { typedStruct } from "../typed-struct.js";

const extensionName = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

type Policy = Pick<TrafficPolicy, "connectionPool" | "outlierDetection">;

/**
 * What the cluster speaks: a port of plain HTTP may be upgraded, a port whose protocol is told from the client's first
 * bytes never is, since the client's version is all that is known of the server.
 */
export const spokenProtocol = (declared: Protocol, policy: Policy, mesh: MeshConfig): Protocol => {
  const { useClientProtocol, h2UpgradePolicy } = policy.connectionPool?.http ?? {};
  if (useClientProtocol === true || declared === "auto" || declared === "http2") return declared;
  if (h2UpgradePolicy === "UPGRADE") return "http2";
  if (declared === "http" && h2UpgradePolicy !== "DO_NOT_UPGRADE" && mesh.h2UpgradePolicy === "UPGRADE") return "http2";
  return declared;
};

const http2Options = ({ connectionPool }: Policy): Init<typeof Http2ProtocolOptionsSchema> => {
  const { maxConcurrentStreams = 0, http2KeepAlive } = connectionPool?.http ?? {};
  const interval = durationOfText(http2KeepAlive?.interval);
  const timeout = durationOfText(http2KeepAlive?.timeout);
  return {
    ...(maxConcurrentStreams > 0 ? { maxConcurrentStreams } : {}),
    ...(interval !== undefined && timeout !== undefined ? { connectionKeepalive: { interval, timeout } } : {}),
  };
};

const upstreamProtocol = (protocol: Protocol, policy: Policy) => {
  if (protocol === "auto" || policy.connectionPool?.http?.useClientProtocol === true)
    return {
      case: "useDownstreamProtocolConfig" as const,
      value: { httpProtocolOptions: {}, http2ProtocolOptions: http2Options(policy) },
    };
  const protocolConfig =
    protocol === "http2"
      ? ({ case: "http2ProtocolOptions", value: http2Options(policy) } as const)
      : ({ case: "httpProtocolOptions", value: {} } as const);
  return { case: "explicitHttpConfig" as const, value: { protocolConfig } };
};

const connectionOptions = ({ connectionPool }: Policy) => {
  const { http, tcp } = connectionPool ?? {};
  const idleTimeout = durationOfText(http?.idleTimeout ?? tcp?.idleTimeout);
  const maxConnectionDuration = durationOfText(tcp?.maxConnectionDuration);
  const maxRequestsPerConnection = http?.maxRequestsPerConnection ?? 0;
  return {
    ...(idleTimeout === undefined ? {} : { idleTimeout }),
    ...(maxConnectionDuration === undefined ? {} : { maxConnectionDuration }),
    ...(maxRequestsPerConnection > 0 ? { maxRequestsPerConnection } : {}),
  };
};

/** Statuses that outlier detection counts. The field is newer than our Envoy types, so that the whole goes as a TypedStruct. */
const withErrorCodes = (options: Init<typeof HttpProtocolOptionsSchema>, codes: readonly number[]): Any => {
  const rules = [...new Set(codes)].sort().map((code) => ({
    httpResponseHeadersMatch: { headers: [{ name: ":status", stringMatch: { exact: String(code) } }] },
  }));
  const json = toJson(HttpProtocolOptionsSchema, create(HttpProtocolOptionsSchema, options));
  const value = {
    ...(json as Record<string, never>),
    outlierDetection: { errorMatcher: rules.length === 1 ? rules[0]! : { orMatch: { rules } } },
  };
  return typedStruct(extensionName, value);
};

/** How HTTP is spoken to the endpoints; a port of plain TCP has none of it. `auto` TLS takes names from the request. */
export const protocolOptions = (
  protocol: Protocol,
  policy: Policy,
  auto: { readonly sni: boolean; readonly subjectAltName: boolean } = { sni: false, subjectAltName: false },
): Record<string, Any> => {
  if (protocol === "tcp") return {};
  const common = connectionOptions(policy);
  const options: Init<typeof HttpProtocolOptionsSchema> = {
    upstreamProtocolOptions: upstreamProtocol(protocol, policy),
    ...(Object.keys(common).length > 0 ? { commonHttpProtocolOptions: common } : {}),
    ...(auto.sni || auto.subjectAltName
      ? { upstreamHttpProtocolOptions: { autoSni: auto.sni, autoSanValidation: auto.subjectAltName } }
      : {}),
  };
  const codes = policy.outlierDetection?.outlierDetectionHttpErrorCodes ?? [];
  return {
    [extensionName]:
      codes.length > 0
        ? withErrorCodes(options, codes)
        : packed(HttpProtocolOptionsSchema, create(HttpProtocolOptionsSchema, options)),
  };
};
