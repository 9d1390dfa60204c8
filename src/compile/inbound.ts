import type { Pod } from "../api/kubernetes.js";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import { findDestinationRule, policyFor } from "../model/destination-rule.js";
import { type InboundPort, inboundPortsOf } from "../model/inbound.js";
import type { Snapshot } from "../model/snapshot.js";
import { type Cluster, ClusterSchema } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { type Listener, ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { type Client, familiesOf } from "./client.js";
import { inboundCluster } from "./clusters/inbound.js";
import { inboundClusterName, inboundPassthroughCluster } from "./clusters/names.js";
import { encodeResource } from "./encode.js";
import { virtualInbound } from "./listeners/inbound.js";
import { createPatcher } from "./patcher.js";
import { type EncodedResource, type TypeUrl, typeUrls } from "./resources.js";
import { createView, type WritableView } from "./view.js";

/** What a pod serves: its listener, and clusters to its own application. */
export interface Inbound {
  readonly view: WritableView;
  readonly update: (snapshot: Snapshot, pod: Pod, client: Client) => void;
}

const isTransparent = (pod: Pod): boolean =>
  pod.metadata?.annotations?.["sidecar.istio.io/interceptionMode"] === "TPROXY";

/** The policy of the service's own DestinationRule, as a client of its namespace has it. */
const poolOf = (snapshot: Snapshot, { service, servicePort }: InboundPort, client: Client) => {
  const rule = findDestinationRule(
    snapshot.destinationRulesOfNamespace,
    { namespace: service.namespace, labels: client.labels },
    service,
    snapshot.mesh.rootNamespace,
  );
  return rule === undefined ? undefined : policyFor(rule, servicePort.port, "", snapshot.mesh);
};

interface Encoded {
  readonly clusters: readonly EncodedResource[];
  readonly listeners: readonly EncodedResource[];
}

const encode = (
  clusters: readonly Cluster[],
  listeners: readonly Listener[],
  filters: readonly EnvoyFilter[],
): Encoded => {
  const patcher = createPatcher(filters, "SIDECAR_INBOUND");
  return {
    clusters: clusters
      .flatMap((cluster) => patcher.cluster(cluster) ?? [])
      .map((cluster) => encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster)),
    listeners: listeners
      .flatMap((listener) => patcher.listener(listener) ?? [])
      .map((listener) => encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener)),
  };
};

const replaceAll = (view: WritableView, type: TypeUrl, resources: readonly EncodedResource[]): void => {
  const wanted = new Set(resources.map(({ name }) => name));
  for (const name of [...view.names(type)]) if (!wanted.has(name)) view.remove(type, name);
  for (const resource of resources) view.set(type, resource);
};

/** Pods that serve alike have equal resources, which `encodeResource` makes one; this only spares making them. */
export const createInbound = (): Inbound => {
  const view = createView();
  let made: string | undefined;
  return {
    view,
    update: (snapshot, pod, client) => {
      const { mesh } = snapshot;
      const ports = inboundPortsOf(snapshot, pod).map((port) => ({ ...port, policy: poolOf(snapshot, port, client) }));
      const families = familiesOf(pod);
      const key = JSON.stringify([
        ports.map(({ port, protocol, policy }) => [port, protocol, policy]),
        families,
        isTransparent(pod),
        client.filters.map(({ metadata }) => [metadata?.namespace, metadata?.name, metadata?.resourceVersion]),
      ]);
      if (key === made) return;
      made = key;
      const common = { mesh, isTransparent: isTransparent(pod) };
      const { clusters, listeners } = encode(
        [
          inboundCluster({ ...common, name: inboundPassthroughCluster, policy: undefined }),
          ...ports.map(({ port, policy }) => inboundCluster({ ...common, name: inboundClusterName(port), policy })),
        ],
        [virtualInbound({ ...common, ports, families })],
        client.filters,
      );
      replaceAll(view, typeUrls.cluster, clusters);
      replaceAll(view, typeUrls.listener, listeners);
    },
  };
};
