import { proberListener, proberResources } from "./prober.js";
import type { AppProbe } from "./probes.js";
import { type SpireAgent, spireClusters } from "./spire.js";
import { httpListener, type IpFamilies } from "./static-listener.js";
import { istioStatistics, statisticsNamespaceExtension } from "./telemetry.js";

/** What an Envoy bootstrap is made of. Texts may hold anything: they are escaped for Kubernetes' `$(NAME)` expansion. */
export interface BootstrapInput {
  readonly controlPlaneHost: string;
  readonly controlPlanePort: number;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly clusterId: string;
  /** Empty for a mesh of one network. */
  readonly network: string;
  readonly ipFamilies: IpFamilies;
  /** Who gives the proxy its certificates; the control plane if it is not there. */
  readonly spire?: SpireAgent | undefined;
  readonly interceptionMode: "REDIRECT" | "TPROXY";
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly proxyMetadata: Readonly<Record<string, string>>;
  readonly probes: readonly AppProbe[];
  readonly statsInclusionPrefixes: readonly string[];
  readonly statsInclusionSuffixes: readonly string[];
  readonly statsInclusionRegexps: readonly string[];
}

export const adminPort = 15000;
export const readinessPort = 15021;
export const statsPort = 15090;

const tokenFile = "/var/run/secrets/tokens/istio-token";
const rootCertificateFile = "/var/run/secrets/istio/root-cert.pem";

/** Few enough that memory grows with what is asked for, not with the mesh; the rest by annotation. */
const statsPrefixes = [
  ...[
    istioStatistics,
    "cluster_manager.",
    "control_plane.",
    "heddle.",
    "listener_manager.",
    "server.",
    "cluster.xds-grpc.",
  ],
  // The health_check filter reads a probe cluster's membership from its gauges: without them it finds nobody healthy.
  "cluster.probe|",
];
const statsSuffixes = [
  "ssl.handshake",
  "ssl.fail_verify_error",
  "upstream_rq_total",
  "upstream_rq_5xx",
  "upstream_rq_pending_overflow",
  "upstream_cx_total",
  "upstream_cx_connect_fail",
  "downstream_rq_total",
  "downstream_rq_5xx",
  "downstream_cx_total",
  // What AuthorizationPolicies decide, or would decide in a dry run.
  ...["rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied"],
];

/**
 * What `heddle mtls check` reads: who calls in plaintext, and how much comes in at all. Not by `usedonly`, which leaves
 * out what has not changed since statistics were looked through for idle ones.
 */
const inboundStatistics = "^(heddle\\.|(http|tcp)\\.inbound.*\\.downstream_(cx|rq)_total)";

/** A downward-API value, expanded by the kubelet in the container's arguments. */
const fromPod = (name: string): string => `\u0000${name}\u0000`;

const matcher = (field: "prefix" | "suffix", values: readonly string[]): readonly object[] =>
  values.map((value) => ({ [field]: value }));

/** Cluster and connection-manager names hold dots, which Envoy's own patterns would cut at. */
const statsTags = (clusterDomain: string): readonly object[] => {
  const domain = clusterDomain.replaceAll(".", "\\.");
  return [
    { tag_name: "cluster_name", regex: `^cluster\\.(((?:outbound|inbound)[^ ]*?\\.svc\\.${domain}|[^.]+)\\.)` },
    {
      tag_name: "http_conn_manager_prefix",
      regex: "^http\\.(((?:inbound|outbound)_[0-9a-fA-F.:]+_\\d+(?:_plaintext)?|[^.]+)\\.)",
    },
    { tag_name: "listener_address", regex: "^listener\\.(((?:[_.\\d]+|[_\\[\\]a-fA-F\\d]+)_\\d+|[^.]+)\\.)" },
    { tag_name: "tcp_prefix", regex: "^tcp\\.((.+?)\\.)\\w+?$" },
    { tag_name: "response_code", regex: "_rq(_(\\d{3}))$" },
    { tag_name: "response_code_class", regex: "_rq(_(\\dxx))$" },
  ];
};

const adminRoute = (path: string, target: string): object => ({
  match: { path },
  route: { cluster: "prometheus_stats", prefix_rewrite: target },
});

/** All clusters come in one message, which in a large mesh is more than the 4 MiB that gRPC takes by itself. */
export const channelArguments = {
  args: {
    "grpc.max_receive_message_length": { int_value: -1 },
    "grpc.keepalive_time_ms": { int_value: 30000 },
    "grpc.keepalive_timeout_ms": { int_value: 10000 },
    "grpc.max_reconnect_backoff_ms": { int_value: 10000 },
    "grpc.initial_reconnect_backoff_ms": { int_value: 500 },
  },
} as const;

const controlPlane = (input: BootstrapInput): object => ({
  google_grpc: {
    target_uri: `${input.controlPlaneHost}:${input.controlPlanePort}`,
    stat_prefix: "xds-grpc",
    channel_credentials: { ssl_credentials: { root_certs: { filename: rootCertificateFile } } },
    credentials_factory_name: "envoy.grpc_credentials.file_based_metadata",
    call_credentials: [
      {
        from_plugin: {
          name: "envoy.grpc_credentials.file_based_metadata",
          typed_config: {
            "@type": "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
            secret_data: { filename: tokenFile },
            header_key: "authorization",
            header_prefix: "Bearer ",
          },
        },
      },
    ],
    channel_args: channelArguments,
  },
});

/** Instructions; VirtualServices are checked against it. */
const largestRegexProgram = 32768;

const fromStream = { ads: {}, initial_fetch_timeout: "0s", resource_api_version: "V3" } as const;

const bootstrapOf = (input: BootstrapInput): object => ({
  node: {
    id: `sidecar~${fromPod("INSTANCE_IP")}~${fromPod("POD_NAME")}.${fromPod("POD_NAMESPACE")}~${fromPod("POD_NAMESPACE")}.svc.${input.clusterDomain}`,
    cluster: `${input.canonicalName}.${fromPod("POD_NAMESPACE")}`,
    metadata: {
      ...input.proxyMetadata,
      NAME: fromPod("POD_NAME"),
      NAMESPACE: fromPod("POD_NAMESPACE"),
      POD_UID: fromPod("POD_UID"),
      INSTANCE_IPS: fromPod("INSTANCE_IP"),
      SERVICE_ACCOUNT: fromPod("SERVICE_ACCOUNT"),
      NODE_NAME: fromPod("NODE_NAME"),
      CLUSTER_ID: input.clusterId,
      NETWORK: input.network,
      MESH_ID: input.trustDomain,
      INTERCEPTION_MODE: input.interceptionMode,
      CANONICAL_NAME: input.canonicalName,
      CANONICAL_REVISION: input.canonicalRevision,
    },
  },
  admin: { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } },
  // Envoy's own 100 is less than a list of a few paths takes; one larger would cost all routes beside it.
  layered_runtime: {
    layers: [
      {
        name: "mesh",
        static_layer: {
          "re2.max_program_size.error_level": largestRegexProgram,
          // A connection that sends requests without end lets others have their turn.
          "http.max_requests_per_io_cycle": 32,
          // One that resets half of so many streams within a second of their beginning is closed.
          "overload.premature_reset_total_stream_count": 500,
          "overload.premature_reset_min_stream_lifetime_seconds": 1,
        },
      },
    ],
  },
  // Of the scopes that allow it: statistics of who has not come for so long, or up to twice as long.
  stats_eviction_interval: "86400s",
  bootstrap_extensions: [statisticsNamespaceExtension()],
  stats_config: {
    use_all_default_tags: false,
    stats_tags: statsTags(input.clusterDomain),
    stats_matcher: {
      inclusion_list: {
        patterns: [
          ...matcher("prefix", [...statsPrefixes, ...input.statsInclusionPrefixes]),
          ...matcher("suffix", [...statsSuffixes, ...input.statsInclusionSuffixes]),
          ...input.statsInclusionRegexps.map((regex) => ({ safe_regex: { regex } })),
        ],
      },
    },
  },
  dynamic_resources: {
    // Without a deadline, so that the proxy is not ready before it holds its configuration.
    lds_config: fromStream,
    cds_config: fromStream,
    ads_config: {
      api_type: "DELTA_GRPC",
      transport_api_version: "V3",
      set_node_on_first_message_only: true,
      grpc_services: [controlPlane(input)],
    },
  },
  static_resources: {
    clusters: [
      {
        name: "prometheus_stats",
        type: "STATIC",
        connect_timeout: "1s",
        load_assignment: {
          cluster_name: "prometheus_stats",
          endpoints: [
            {
              lb_endpoints: [
                { endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } } },
              ],
            },
          ],
        },
      },
      ...spireClusters(input.spire),
      ...proberResources(input.probes, fromPod("INSTANCE_IP"), input.ipFamilies[0] ?? "IPv4"),
    ],
    listeners: [
      httpListener("readiness", readinessPort, input.ipFamilies, [adminRoute("/healthz/ready", "/ready")]),
      httpListener("prometheus", statsPort, input.ipFamilies, [
        adminRoute("/stats/prometheus", "/stats/prometheus?usedonly"),
        adminRoute("/stats/inbound", `/stats/prometheus?filter=${encodeURIComponent(inboundStatistics)}`),
      ]),
      ...proberListener(input.probes, fromPod("INSTANCE_IP"), input.ipFamilies),
    ],
  },
});

/**
 * Envoy's bootstrap as JSON on one line, for `--config-yaml` in a container's arguments. `$(POD_NAME)`,
 * `$(POD_NAMESPACE)`, `$(POD_UID)`, `$(INSTANCE_IP)`, `$(SERVICE_ACCOUNT)` and `$(NODE_NAME)` are left to the kubelet.
 */
export const renderBootstrap = (input: BootstrapInput): string =>
  JSON.stringify(bootstrapOf(input))
    .replaceAll("$", "$$$$")
    .replace(/\\u0000([A-Z_]+)\\u0000/g, "$($1)");
