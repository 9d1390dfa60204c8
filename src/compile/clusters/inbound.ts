import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { Address } from "../../proto/envoy/config/core/v3/address_pb.js";
import { metadataKey, type ServiceName } from "../telemetry/keys.js";
import { baseCluster } from "./base.js";
import { blackHoleCluster, passthroughCluster } from "./names.js";
import { protocolOptions } from "./protocol.js";

type InboundPolicy = Pick<TrafficPolicy, "connectionPool" | "retryBudget">;

/** Of what is for no service the cluster's own name tells. */
const metadataOf = (name: string, service: ServiceName | undefined) => ({
  metadata: { filterMetadata: { [metadataKey]: service === undefined ? { name } : { ...service } } },
});

const originalDestination = (
  name: string,
  mesh: MeshConfig,
  policy: InboundPolicy = {},
  service?: ServiceName,
  upstreamBindConfig?: ReturnType<typeof loopbackSource>,
): Cluster =>
  create(ClusterSchema, {
    ...metadataOf(name, service),
    ...baseCluster(name, mesh, policy),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    typedExtensionProtocolOptions: protocolOptions("auto", policy),
    ...(upstreamBindConfig === undefined ? {} : { upstreamBindConfig }),
  });

/** Sources that the redirect rules let pass to the application. */
const loopbackSource = () => ({
  sourceAddress: { address: "127.0.0.6", portSpecifier: { case: "portValue" as const, value: 0 } },
  extraSourceAddresses: [{ address: { address: "::1", portSpecifier: { case: "portValue" as const, value: 0 } } }],
});

export interface InboundClusterOptions {
  readonly name: string;
  readonly mesh: MeshConfig;
  /** The limits of connections and requests: of the DestinationRule of the pod's service, or of its Sidecar. */
  readonly policy: InboundPolicy | undefined;
  /** TPROXY: the application is called from the caller's address. */
  readonly isTransparent: boolean;
  readonly service?: ServiceName | undefined;
}

/** To the application of the proxy's own pod, at the address that the caller meant. */
export const inboundCluster = ({ name, mesh, policy, service, isTransparent }: InboundClusterOptions): Cluster =>
  originalDestination(name, mesh, policy, service, isTransparent ? undefined : loopbackSource());

/** To the application at an address of the pod's own, or on a Unix domain socket, as a Sidecar's ingress says. */
export const ingressCluster = (
  { name, mesh, policy = {}, service }: Omit<InboundClusterOptions, "isTransparent">,
  address: Address,
): Cluster =>
  create(ClusterSchema, {
    ...metadataOf(name, service),
    ...baseCluster(name, mesh, policy),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address } } }] }],
    },
    typedExtensionProtocolOptions: protocolOptions("auto", policy),
    ...(address.address.case === "pipe" ? {} : { upstreamBindConfig: loopbackSource() }),
  });

export const staticClusters = (mesh: MeshConfig): readonly Cluster[] => [
  originalDestination(passthroughCluster, mesh),
  create(ClusterSchema, {
    ...metadataOf(blackHoleCluster, undefined),
    ...baseCluster(blackHoleCluster, mesh),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
  }),
];
