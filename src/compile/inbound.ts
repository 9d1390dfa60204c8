import type { Pod } from "../api/kubernetes.js";
import type { MeshConfig } from "../api/meshconfig.js";
import { rememberLatest } from "../model/latest.js";
import { mtlsModesOf } from "../model/peer-authentication.js";
import type { Snapshot } from "../model/snapshot.js";
import { type Reporting, telemetryOf } from "../model/telemetry.js";
import { type Cluster, ClusterSchema } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { TypedExtensionConfigSchema } from "../proto/envoy/config/core/v3/extension_pb.js";
import { type Listener, ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { type Client, familiesOf, numberOf } from "./client.js";
import { inboundCluster, ingressCluster } from "./clusters/inbound.js";
import { inboundClusterName, inboundPassthroughCluster } from "./clusters/names.js";
import { encodeResource } from "./encode.js";
import { boundAddress } from "./listeners/addresses.js";
import { boundInbound, virtualInbound } from "./listeners/inbound.js";
import { createPatcher, namesOf, type Patcher } from "./patcher.js";
import { arePoliciesSame, type PolicyCompiler, type WorkloadPolicies } from "./policy/policies.js";
import { type EncodedResource, type TypeUrl, typeUrls } from "./resources.js";
import { type ServedPort, servedPortsOf } from "./served-ports.js";
import { createView, type WritableView } from "./view.js";

/** What a pod serves: its listener, and clusters to its own application. */
export interface Inbound {
  readonly filtersOf: Patcher["filtersOf"];
  readonly view: WritableView;
  /** Whether other policies are for the pod than at the last update, or in another form. */
  readonly isRestrictedAnew: (snapshot: Snapshot, pod: Pod) => boolean;
  readonly update: (snapshot: Snapshot, pod: Pod, client: Client) => void;
}

const isTransparent = (pod: Pod): boolean =>
  pod.metadata?.annotations?.["sidecar.istio.io/interceptionMode"] === "TPROXY";

const clusterOf = ({ port, policy, endpoint, service }: ServedPort, common: Common): Cluster => {
  const options = { ...common, name: inboundClusterName(port), policy, service };
  if (endpoint === undefined) return inboundCluster(options);
  return ingressCluster(
    options,
    typeof endpoint === "string" ? boundAddress(endpoint, 0) : boundAddress(endpoint.address, endpoint.port),
  );
};

interface Common {
  readonly mesh: MeshConfig;
  readonly reporting: Reporting;
  readonly isTransparent: boolean;
}

interface Encoded {
  readonly patcher: Patcher;
  readonly extensions: readonly EncodedResource[];
  readonly clusters: readonly EncodedResource[];
  readonly listeners: readonly EncodedResource[];
}

const encode = (clusters: readonly Cluster[], listeners: readonly Listener[], patcher: Patcher): Encoded => {
  return {
    patcher,
    extensions: patcher
      .extensions()
      .map((extension) => encodeResource(typeUrls.extension, extension.name, TypedExtensionConfigSchema, extension)),
    clusters: [...clusters, ...patcher.addedClusters(namesOf(clusters))]
      .flatMap((cluster) => patcher.cluster(cluster) ?? [])
      .map((cluster) => encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster)),
    listeners: [...listeners, ...patcher.addedListeners(namesOf(listeners))]
      .flatMap((listener) => patcher.listener(listener) ?? [])
      .map((listener) => encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener)),
  };
};

const replaceAll = (view: WritableView, type: TypeUrl, resources: readonly EncodedResource[]): void => {
  const wanted = new Set(resources.map(({ name }) => name));
  for (const name of [...view.names(type)]) if (!wanted.has(name)) view.remove(type, name);
  for (const resource of resources) view.set(type, resource);
};

const rememberedShapes = 1000;

/** What pods of the same shape share. */
export const createShapes = () => rememberLatest<Encoded>(rememberedShapes);

export const createInbound = (shapeOf: ReturnType<typeof createShapes>, policyCompiler: PolicyCompiler): Inbound => {
  const view = createView();
  let made: string | undefined;
  let policies: WorkloadPolicies | undefined;
  const policiesOf = (snapshot: Snapshot, { metadata }: Pod): WorkloadPolicies =>
    policyCompiler.of(snapshot, metadata?.namespace ?? "default", metadata?.labels ?? {});
  let patcher = createPatcher([], "SIDECAR_INBOUND");
  return {
    view,
    isRestrictedAnew: (snapshot, pod) => !arePoliciesSame(policies, policiesOf(snapshot, pod)),
    filtersOf: (type, name) => patcher.filtersOf(type, name),
    update: (snapshot, pod, client) => {
      const { mesh } = snapshot;
      const labels = pod.metadata?.labels ?? {};
      const mtls = mtlsModesOf(snapshot, client.namespace, labels);
      const before = policies;
      policies = policiesOf(snapshot, pod);
      const ports = servedPortsOf(snapshot, pod, client, mtls);
      const families = familiesOf(pod);
      const { server: reporting } = telemetryOf(snapshot, client.namespace, labels);
      const common: Common = { mesh, reporting, isTransparent: isTransparent(pod) };
      const key = JSON.stringify([
        ...[ports, mtls.mode, [...mtls.ports], families, common.isTransparent, client.key],
        ...[policies.networkKey, numberOf(reporting)],
      ]);
      if (key === made && arePoliciesSame(before, policies)) return;
      made = key;
      const context = { mesh, reporting, network: policies.network };
      const redirected = ports.filter(({ bind }) => bind === undefined);
      const shape = shapeOf(key, () =>
        encode(
          [
            ...(client.isRedirected
              ? [inboundCluster({ ...common, name: inboundPassthroughCluster, policy: undefined })]
              : []),
            ...ports.map((port) => clusterOf(port, common)),
          ],
          [
            ...(client.isRedirected
              ? [virtualInbound({ ...common, ...context, ports: redirected, mtls, families })]
              : []),
            ...ports.flatMap((port) => (port.bind === undefined ? [] : [boundInbound(port, port.bind, context)])),
          ],
          createPatcher(client.filters, "SIDECAR_INBOUND"),
        ),
      );
      patcher = shape.patcher;
      replaceAll(view, typeUrls.extension, [policies.authentication, ...policies.authorization, ...shape.extensions]);
      replaceAll(view, typeUrls.cluster, shape.clusters);
      replaceAll(view, typeUrls.listener, shape.listeners);
    },
  };
};
