import type { MeshConfig } from "../api/meshconfig.js";
import type { Endpoint, MeshService, ServicePort } from "../model/service.js";
import type { Cluster } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { outboundCluster as clusterOf } from "./clusters/outbound.js";

export { inboundCluster, staticClusters } from "./clusters/inbound.js";
export {
  blackHoleCluster,
  inboundClusterName,
  inboundPassthroughCluster,
  outboundClusterName,
  passthroughCluster,
  sniOf,
} from "./clusters/names.js";

/** One port of a service that no DestinationRule is about. */
export const outboundCluster = (
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
  mesh: MeshConfig,
): Cluster => clusterOf({ service, port, subset: "", policy: {}, endpoints, mesh, source: undefined });
