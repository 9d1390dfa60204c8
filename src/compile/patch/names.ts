const groups: Readonly<Record<string, readonly string[]>> = {
  "envoy.filters.listener.": ["http_inspector", "original_dst", "original_src", "proxy_protocol", "tls_inspector"],
  "envoy.filters.network.": [
    ...["client_ssl_auth", "echo", "ext_authz", "http_connection_manager", "mongo_proxy", "ratelimit"],
    ...["redis_proxy", "tcp_proxy"],
  ],
  "envoy.filters.http.": [
    ...["buffer", "cors", "csrf", "dynamo", "ext_authz", "fault", "grpc_http1_bridge", "grpc_json_transcoder"],
    ...["grpc_web", "gzip", "health_check", "ip_tagging", "lua", "router", "squash"],
  ],
};

const irregular: Readonly<Record<string, string>> = {
  "envoy.rate_limit": "envoy.filters.http.ratelimit",
  "envoy.http_dynamo_filter": "envoy.filters.http.dynamo",
};

export type FilterLevel = "listener" | "network" | "http";

const prefixOf = (level: FilterLevel): string => `envoy.filters.${level}.`;

/** The canonical name of a filter that may carry the one that Envoy knew it by before its version 1.14. */
export const canonicalName = (name: string, level: FilterLevel): string => {
  if (level === "http" && irregular[name] !== undefined) return irregular[name];
  const prefix = prefixOf(level);
  for (const old of [`envoy.${level}.`, "envoy."]) {
    if (!name.startsWith(old)) continue;
    const rest = name.slice(old.length);
    if (groups[prefix]?.includes(rest)) return `${prefix}${rest}`;
  }
  return name;
};
