import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../proto/envoy/config/core/v3/base_pb.js";
import { attempt, isMerge, mergedBy } from "./apply.js";
import { matchesCluster, type PatchContext, patchesFor } from "./match.js";
import { type CompiledPatch, isEmpty, type PatchSet } from "./patches.js";
import { type PatchReport, unreported } from "./report.js";

/** What Envoy would refuse in a mergedBy cluster, and with it the whole update. */
const problemOf = (before: Cluster, after: Cluster): string | undefined => {
  if (after.name !== before.name) return `its name cannot become ${after.name}; leave name out of the value`;
  const { clusterDiscoveryType: discovery, edsClusterConfig, loadAssignment } = after;
  const isOf = (type: Cluster_DiscoveryType): boolean => discovery.case === "type" && discovery.value === type;
  const isOriginal = isOf(Cluster_DiscoveryType.ORIGINAL_DST);
  const isProvided = after.lbPolicy === Cluster_LbPolicy.CLUSTER_PROVIDED;
  const isInconsistent =
    (edsClusterConfig !== undefined && !isOf(Cluster_DiscoveryType.EDS)) ||
    (loadAssignment !== undefined && isOriginal) ||
    (isProvided && !isOriginal && discovery.case !== "clusterType") ||
    (isOriginal && !isProvided);
  return isInconsistent
    ? "a cluster whose endpoints the mesh finds cannot take another type or way to balance; ADD a cluster and route to it"
    : undefined;
};

/**
 * A cluster that chooses the socket by endpoint has it in its matches, and one of its own would have no effect: the
 * value's is laid over the match of the same name.
 */
const withSocketInMatches = (patch: CompiledPatch, cluster: Cluster): Cluster => {
  const { transportSocket, ...value } = patch.value as Cluster;
  if (transportSocket === undefined || cluster.transportSocketMatches.length === 0) return mergedBy(patch, cluster);
  const index = cluster.transportSocketMatches.findIndex(
    (match) => match.transportSocket?.name === transportSocket.name,
  );
  const match = cluster.transportSocketMatches[index];
  if (match?.transportSocket === undefined)
    throw new Error(
      `it chooses the transport socket by endpoint, and none of them is named ${transportSocket.name}; merge ` +
        "transport_socket_matches with MERGE_AND_REPLACE_LIST",
    );
  const socketOnly = (socket: TransportSocket): Cluster => create(ClusterSchema, { transportSocket: socket });
  const socket = mergedBy({ ...patch, value: socketOnly(transportSocket) }, socketOnly(match.transportSocket));
  const after = mergedBy({ ...patch, value: value as Cluster }, cluster);
  return {
    ...after,
    transportSocketMatches: after.transportSocketMatches.map((other, at) =>
      at === index ? { ...other, transportSocket: socket.transportSocket! } : other,
    ),
  };
};

/**
 * A cluster after all patches for it, the same object if there are none; undefined when it is removed. `services` are
 * the hosts of the services that an inbound cluster serves, which its own name does not hold.
 */
export const patchCluster = (
  set: PatchSet,
  context: PatchContext,
  cluster: Cluster,
  services: readonly string[] = [],
  report: PatchReport = unreported,
): Cluster | undefined => {
  if (isEmpty(set)) return cluster;
  const patches = patchesFor(set, "CLUSTER", context).filter(
    (patch) => patch.operation !== "ADD" && matchesCluster(patch, cluster, services),
  );
  const removals = patches.filter(({ operation }) => operation === "REMOVE");
  for (const patch of removals) report.applied(patch);
  if (removals.length > 0) return undefined;
  return patches.filter(isMerge).reduce(
    (current, patch) =>
      attempt(
        patch,
        current,
        `cluster ${cluster.name}`,
        report,
        (before) => withSocketInMatches(patch, before),
        (after) => problemOf(cluster, after),
      ),
    cluster,
  );
};
