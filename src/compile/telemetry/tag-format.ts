import type { Attribute, TagValue } from "../../api/telemetry/tag-value.js";

const formats: Readonly<Record<Attribute, string>> = {
  "request.host": "%REQ(:AUTHORITY)%",
  "request.method": "%REQ(:METHOD)%",
  "request.protocol": "%PROTOCOL%",
  "request.scheme": "%REQ(:SCHEME)%",
  "request.useragent": "%REQ(USER-AGENT)%",
  "response.code": "%RESPONSE_CODE%",
  "source.port": "%DOWNSTREAM_REMOTE_PORT%",
  "destination.port": "%DOWNSTREAM_LOCAL_PORT%",
  "connection.requested_server_name": "%REQUESTED_SERVER_NAME%",
};

/** The format string of Envoy that gives the value. */
export const tagFormat = (value: TagValue): string => {
  if ("literal" in value) return value.literal.replaceAll("%", "%%");
  if ("attribute" in value) return formats[value.attribute];
  return "requestHeader" in value ? `%REQ(${value.requestHeader})%` : `%RESP(${value.responseHeader})%`;
};
