import { type AppProbe, proberPort } from "./probes.js";
import { httpListener, type IpFamilies } from "./static-listener.js";

const clusterName = (probe: AppProbe): string =>
  probe.kind === "http" || probe.kind === "https"
    ? `probe|${probe.kind}|${probe.port}`
    : `probe|${probe.kind}|${probe.port}|${probe.path}`;

const http2Options = {
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    explicit_http_config: { http2_protocol_options: {} },
  },
} as const;

const grpcHealthCheck = (probe: AppProbe): object => ({
  // By default Envoy writes the cluster's name here, whose "|" an HTTP/2 server may refuse as no host name.
  authority: "localhost",
  ...(probe.service === undefined ? {} : { service_name: probe.service }),
});

const healthCheck = (probe: AppProbe): object => {
  const interval = `${Math.max(probe.periodSeconds / 2, 0.5)}s`;
  return {
    health_checks: [
      {
        timeout: `${probe.timeoutSeconds}s`,
        interval,
        no_traffic_interval: interval,
        no_traffic_healthy_interval: interval,
        unhealthy_threshold: 1,
        healthy_threshold: 1,
        reuse_connection: false,
        ...(probe.kind === "grpc" ? { grpc_health_check: grpcHealthCheck(probe) } : { tcp_health_check: {} }),
      },
    ],
    ...(probe.kind === "grpc" ? { typed_extension_protocol_options: http2Options } : {}),
  };
};

/** As the kubelet does, the application's certificate is not verified. */
const unverifiedTls = {
  transport_socket: {
    name: "envoy.transport_sockets.tls",
    typed_config: { "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext" },
  },
} as const;

const extras = (probe: AppProbe): object => {
  if (probe.kind === "http") return {};
  return probe.kind === "https" ? unverifiedTls : healthCheck(probe);
};

/** The clusters that probes are sent to: the application at the pod's own address. */
export const proberResources = (
  probes: readonly AppProbe[],
  podAddress: string,
  family: "IPv4" | "IPv6",
): readonly object[] => {
  const clusters = new Map<string, object>();
  for (const probe of probes) {
    const name = clusterName(probe);
    clusters.set(name, {
      name,
      type: "STATIC",
      connect_timeout: `${probe.timeoutSeconds}s`,
      // The redirect rules let this source pass; any other would come in again through the proxy.
      upstream_bind_config: {
        source_address: { address: family === "IPv4" ? "127.0.0.6" : "::1", port_value: 0 },
      },
      load_assignment: {
        cluster_name: name,
        endpoints: [
          {
            lb_endpoints: [
              { endpoint: { address: { socket_address: { address: podAddress, port_value: probe.port } } } },
            ],
          },
        ],
      },
      ...extras(probe),
    });
  }
  return [...clusters.values()];
};

const isForwarded = (probe: AppProbe): boolean => probe.kind === "http" || probe.kind === "https";

const healthFilter = (probe: AppProbe): object => ({
  name: `envoy.filters.http.health_check.${probe.path}`,
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck",
    pass_through_mode: false,
    headers: [{ name: ":path", string_match: { exact: probe.path } }],
    cluster_min_healthy_percentages: { [clusterName(probe)]: { value: 100 } },
  },
});

/** The listener on 15020 that the kubelet asks; none if the pod has no probe to answer for. */
export const proberListener = (
  probes: readonly AppProbe[],
  podAddress: string,
  ipFamilies: IpFamilies,
): readonly object[] => {
  if (probes.length === 0) return [];
  const host = ipFamilies[0] === "IPv6" ? `[${podAddress}]` : podAddress;
  const routes = probes.filter(isForwarded).map((probe) => ({
    match: { path: probe.path },
    route: {
      cluster: clusterName(probe),
      prefix_rewrite: probe.targetPath ?? "/",
      timeout: `${probe.timeoutSeconds}s`,
      ...(probe.hasHostHeader ? {} : { host_rewrite_literal: `${host}:${probe.port}` }),
    },
  }));
  const filters = probes.filter((probe) => !isForwarded(probe)).map(healthFilter);
  return [httpListener("app-probes", proberPort, ipFamilies, routes, filters)];
};
