import { isIP } from "node:net";
import type { Node, Pod } from "../api/kubernetes.js";
import type { WorkloadEntry, WorkloadEntrySpec } from "../api/networking/workload-entry.js";
import { type MtlsModes, mtlsModesOf } from "./peer-authentication.js";
import { type Labels, selects } from "./selector.js";
import type { Endpoint, MeshService, ServicePort } from "./service.js";
import { entryOfService } from "./service-entry.js";
import { keyOf, type Snapshot } from "./snapshot.js";

const tlsModeLabel = "security.istio.io/tlsMode";

const isInMesh = (labels: Labels | undefined): boolean => labels?.[tlsModeLabel] === "istio";

const localityOf = (node: Node | undefined) => {
  const labels = node?.metadata?.labels ?? {};
  return {
    region: labels["topology.kubernetes.io/region"] ?? "",
    zone: labels["topology.kubernetes.io/zone"] ?? "",
    subzone: labels["topology.istio.io/subzone"] ?? "",
  };
};

/**
 * EndpointSlice readiness already honours publishNotReadyAddresses. Endpoints that end are left out at once, but for a
 * service whose clients persist: those go on with them while they serve.
 */
const sliceEndpoints = (snapshot: Snapshot, { key, persistentSession }: MeshService): readonly Endpoint[] => {
  const found = new Map<string, Endpoint>();
  for (const sliceKey of [...(snapshot.slicesOfService.get(key) ?? [])].sort()) {
    const slice = snapshot.slices.get(sliceKey);
    const namespace = slice?.metadata?.namespace ?? "";
    const ports = new Map<string, number>();
    for (const { name, port } of slice?.ports ?? []) if (port !== undefined) ports.set(name ?? "", port);
    for (const endpoint of slice?.endpoints ?? []) {
      const { ready, serving, terminating } = endpoint.conditions ?? {};
      const pod =
        endpoint.targetRef?.kind === "Pod"
          ? snapshot.pods.get(keyOf(namespace, endpoint.targetRef.name ?? ""))
          : undefined;
      // The pod's own event comes before its slice's, and every moment counts: the application is told to end by now.
      const isDraining = terminating === true || pod?.metadata?.deletionTimestamp !== undefined;
      const isUsable = isDraining ? persistentSession !== undefined && serving !== false : ready !== false;
      if (!isUsable) continue;
      const locality = localityOf(snapshot.nodes.get(endpoint.nodeName ?? ""));
      for (const address of endpoint.addresses) {
        found.set(address, {
          address,
          ports: new Map([...(found.get(address)?.ports ?? []), ...ports]),
          isInMesh: isInMesh(pod?.metadata?.labels),
          mtls: mtlsModesOf(snapshot, namespace, pod?.metadata?.labels ?? {}),
          namespace,
          serviceAccount: pod?.spec?.serviceAccountName,
          podName: pod?.metadata?.name,
          labels: pod?.metadata?.labels ?? {},
          ...locality,
          zone: endpoint.zone ?? locality.zone,
          nodeName: endpoint.nodeName,
          isDraining,
          weight: 1,
        });
      }
    }
  }
  return [...found.values()];
};

/** A WorkloadEntry of its own, or one written inside a ServiceEntry. Labels of the metadata win. */
const workloadEndpoint = (
  spec: WorkloadEntrySpec,
  namespace: string,
  labels: Labels,
  isExternal: boolean,
  mtls: MtlsModes,
  portOf: (port: ServicePort) => number | undefined,
  ports: readonly ServicePort[],
): Endpoint => {
  const [region = "", zone = "", subzone = ""] = (spec.locality ?? "").split("/");
  const mode = labels[tlsModeLabel];
  return {
    address: spec.address ?? "",
    ports: new Map(
      ports.flatMap((port): [string, number][] => {
        const number = portOf(port);
        return number === undefined ? [] : [[port.name, number]];
      }),
    ),
    isInMesh: !isExternal && (mode === undefined ? (spec.serviceAccount ?? "") !== "" : mode === "istio"),
    mtls,
    namespace,
    serviceAccount: spec.serviceAccount,
    podName: undefined,
    labels,
    region,
    zone,
    subzone,
    nodeName: undefined,
    isDraining: false,
    weight: spec.weight === undefined || spec.weight === 0 ? 1 : spec.weight,
  };
};

const labelsOf = ({ metadata, spec }: WorkloadEntry): Labels => ({ ...spec.labels, ...metadata?.labels });

const selectedEntries = (snapshot: Snapshot, namespace: string, selector: Labels): readonly WorkloadEntry[] =>
  [...(snapshot.workloadEntriesOfNamespace.get(namespace) ?? [])].flatMap((key) => {
    const entry = snapshot.workloadEntries.get(key);
    return entry !== undefined && selects(selector, labelsOf(entry)) ? [entry] : [];
  });

const numeric = (target: number | string, otherwise: number): number =>
  typeof target === "number" ? target : otherwise;

/** Ports of a workload: the one it names so, else the service's target. */
const portOfWorkload =
  (spec: WorkloadEntrySpec) =>
  (port: ServicePort): number | undefined =>
    spec.address?.startsWith("unix://") === true
      ? 0
      : (spec.ports?.[port.name] ??
        (typeof port.targetPort === "string" ? spec.ports?.[port.targetPort] : undefined) ??
        numeric(port.targetPort, port.port));

const podEndpoints = (snapshot: Snapshot, service: MeshService, pod: Pod): readonly Endpoint[] => {
  if (pod.metadata?.deletionTimestamp !== undefined) return [];
  const isReady = pod.status?.conditions?.find(({ type }) => type === "Ready")?.status !== "False";
  if (!isReady) return [];
  return (pod.status?.podIPs ?? []).map(({ ip }) => ({
    address: ip ?? "",
    ports: new Map(service.ports.map((port) => [port.name, numeric(port.targetPort, port.port)])),
    isInMesh: !service.isExternal && isInMesh(pod.metadata?.labels),
    mtls: mtlsModesOf(snapshot, pod.metadata?.namespace ?? "", pod.metadata?.labels ?? {}),
    namespace: pod.metadata?.namespace ?? "",
    serviceAccount: pod.spec?.serviceAccountName,
    podName: pod.metadata?.name,
    labels: pod.metadata?.labels ?? {},
    ...localityOf(snapshot.nodes.get(pod.spec?.nodeName ?? "")),
    nodeName: pod.spec?.nodeName,
    isDraining: false,
    weight: 1,
  }));
};

const entryEndpoints = (snapshot: Snapshot, service: MeshService): readonly Endpoint[] => {
  const { spec } = snapshot.serviceEntries.get(entryOfService(service)) ?? {};
  if (spec?.workloadSelector === undefined)
    return (spec?.endpoints ?? []).map((written) =>
      workloadEndpoint(
        written,
        service.namespace,
        written.labels ?? {},
        service.isExternal,
        mtlsModesOf(snapshot, service.namespace, written.labels ?? {}),
        portOfWorkload(written),
        service.ports,
      ),
    );
  const pods = [...(snapshot.podsOfNamespace.get(service.namespace) ?? [])].flatMap((key) => {
    const pod = snapshot.pods.get(key);
    return pod !== undefined && selects(service.selector, pod.metadata?.labels ?? {}) ? [pod] : [];
  });
  return [...pods.flatMap((pod) => podEndpoints(snapshot, service, pod)), ...selectedWorkloads(snapshot, service)];
};

const selectedWorkloads = (snapshot: Snapshot, service: MeshService): readonly Endpoint[] =>
  selectedEntries(snapshot, service.namespace, service.selector).map((entry) =>
    workloadEndpoint(
      entry.spec,
      service.namespace,
      labelsOf(entry),
      service.isExternal,
      mtlsModesOf(snapshot, service.namespace, labelsOf(entry)),
      portOfWorkload(entry.spec),
      service.ports,
    ),
  );

/** One address that is none makes a proxy refuse all of the service's; names are looked up where DNS is asked for. */
const isReachable = ({ resolution }: MeshService, { address }: Endpoint): boolean => {
  if (resolution === "dns" || resolution === "dns-round-robin") return address !== "";
  return isIP(address) !== 0 || (resolution === "eds" && address.startsWith("unix://"));
};

/** The endpoints that may be sent traffic, by address. */
export const endpointsOf = (snapshot: Snapshot, service: MeshService): readonly Endpoint[] => {
  const found =
    service.origin === "Service"
      ? [...sliceEndpoints(snapshot, service), ...selectedWorkloads(snapshot, service)]
      : entryEndpoints(snapshot, service);
  return found
    .filter((endpoint) => isReachable(service, endpoint))
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
};
