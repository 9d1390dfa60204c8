import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../api/meshconfig.js";
import type { Protocol } from "../model/protocol.js";
import type { Endpoint, MeshService, ServicePort } from "../model/service.js";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { HttpProtocolOptionsSchema } from "../proto/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { packed } from "./encode.js";
import { clientAlpn, clientTls, fromStream, plaintext } from "./tls.js";

export const passthroughCluster = "PassthroughCluster";
export const blackHoleCluster = "BlackHoleCluster";
export const inboundPassthroughCluster = "InboundPassthroughCluster";

export const outboundClusterName = (host: string, port: number, subset = ""): string =>
  `outbound|${port}|${subset}|${host}`;
export const inboundClusterName = (port: number): string => `inbound|${port}||`;
/** The SNI of mutual TLS: the cluster's name in the form that fits a DNS name. */
export const sniOf = (host: string, port: number, subset = ""): string => `outbound_.${port}_.${subset}_.${host}`;

const duration = (milliseconds: number) => ({
  seconds: BigInt(Math.floor(milliseconds / 1000)),
  nanos: (milliseconds % 1000) * 1_000_000,
});

/** Istio's thresholds: no limit but the type's, where Envoy's own would be 1024. */
const unlimited = 4_294_967_295;

const base = (name: string, mesh: MeshConfig) => ({
  name,
  connectTimeout: duration(mesh.connectTimeoutMilliseconds),
  circuitBreakers: {
    thresholds: [
      {
        maxConnections: unlimited,
        maxPendingRequests: unlimited,
        maxRequests: unlimited,
        maxRetries: unlimited,
        trackRemaining: true,
      },
    ],
  },
});

const protocolOptions = (protocol: Protocol) => {
  if (protocol === "tcp") return {};
  const upstream =
    protocol === "auto"
      ? ({ case: "useDownstreamProtocolConfig", value: { httpProtocolOptions: {}, http2ProtocolOptions: {} } } as const)
      : ({
          case: "explicitHttpConfig",
          value: {
            protocolConfig:
              protocol === "http2"
                ? ({ case: "http2ProtocolOptions", value: {} } as const)
                : ({ case: "httpProtocolOptions", value: {} } as const),
          },
        } as const);
  return {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(
      HttpProtocolOptionsSchema,
      create(HttpProtocolOptionsSchema, { upstreamProtocolOptions: upstream }),
    ),
  };
};

const peersOf = (service: MeshService, endpoints: readonly Endpoint[], trustDomain: string) => {
  const accounts = new Set(
    endpoints
      .filter(({ isInMesh }) => isInMesh)
      .map(
        ({ namespace, serviceAccount }) => `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount ?? "default"}`,
      ),
  );
  return accounts.size === 0
    ? [{ case: "prefix" as const, value: `spiffe://${trustDomain}/ns/${service.namespace}/sa/` }]
    : [...accounts].sort().map((value) => ({ case: "exact" as const, value }));
};

/** The identities that a service's clusters accept; a change of them changes the clusters. */
export const peerKey = (service: MeshService, endpoints: readonly Endpoint[], trustDomain: string): string =>
  `${peersOf(service, endpoints, trustDomain)
    .map(({ value }) => value)
    .join()}|${service.isHeadless && endpoints.every(({ isInMesh }) => isInMesh)}`;

const alpnOf = (protocol: Protocol): readonly string[] => (protocol === "auto" ? clientAlpn.tcp : clientAlpn[protocol]);

/** One port of a service: mutual TLS to endpoints that carry `tlsMode: istio`, plaintext to the others. */
export const outboundCluster = (
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
  mesh: MeshConfig,
): Cluster => {
  const name = outboundClusterName(service.host, port.port);
  const tls = (): ReturnType<typeof clientTls> =>
    clientTls(sniOf(service.host, port.port), alpnOf(port.protocol), peersOf(service, endpoints, mesh.trustDomain));
  const common = { ...base(name, mesh), typedExtensionProtocolOptions: protocolOptions(port.protocol) };
  if (service.isHeadless) {
    // An original-destination host carries no metadata to choose by: all endpoints in the mesh, or plaintext.
    const allInMesh = endpoints.length > 0 && endpoints.every(({ isInMesh }) => isInMesh);
    return create(ClusterSchema, {
      ...common,
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
      lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
      ...(allInMesh && mesh.enableAutoMtls ? { transportSocket: tls() } : {}),
    });
  }
  return create(ClusterSchema, {
    ...common,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: fromStream(), serviceName: name },
    lbPolicy: service.clientAffinity ? Cluster_LbPolicy.MAGLEV : Cluster_LbPolicy.LEAST_REQUEST,
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    ...(mesh.enableAutoMtls
      ? {
          transportSocketMatches: [
            { name: "tlsMode-istio", match: { tlsMode: "istio" }, transportSocket: tls() },
            { name: "tlsMode-disabled", match: {}, transportSocket: plaintext() },
          ],
        }
      : {}),
  });
};

const originalDestination = (
  name: string,
  mesh: MeshConfig,
  upstreamBindConfig?: ReturnType<typeof loopbackSource>,
): Cluster =>
  create(ClusterSchema, {
    ...base(name, mesh),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    typedExtensionProtocolOptions: protocolOptions("auto"),
    ...(upstreamBindConfig === undefined ? {} : { upstreamBindConfig }),
  });

/** Sources that the redirect rules let pass to the application. */
const loopbackSource = () => ({
  sourceAddress: { address: "127.0.0.6", portSpecifier: { case: "portValue" as const, value: 0 } },
  extraSourceAddresses: [{ address: { address: "::1", portSpecifier: { case: "portValue" as const, value: 0 } } }],
});

/** To the application of the proxy's own pod, at the address that the caller meant; as the caller if transparent. */
export const inboundCluster = (name: string, isTransparent: boolean, mesh: MeshConfig): Cluster =>
  originalDestination(name, mesh, isTransparent ? undefined : loopbackSource());

export const staticClusters = (mesh: MeshConfig): readonly Cluster[] => [
  originalDestination(passthroughCluster, mesh),
  create(ClusterSchema, {
    ...base(blackHoleCluster, mesh),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
  }),
];
