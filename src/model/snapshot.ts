import type { EndpointSlice, Namespace, Node, ObjectEvent, Pod, Service } from "../api/kubernetes.js";
import { defaultMeshConfig, type MeshConfig } from "../api/meshconfig.js";
import { isTlsPort, type Protocol, protocolOf } from "./protocol.js";
import type { Endpoint, MeshService } from "./service.js";

/** An immutable view of the cluster. Maps are keyed `namespace/name`. */
export interface Snapshot {
  readonly version: number;
  readonly mesh: MeshConfig;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly services: ReadonlyMap<string, MeshService>;
  readonly slices: ReadonlyMap<string, EndpointSlice>;
  /** Slice keys by the service they belong to. */
  readonly slicesOfService: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Keys of what a batch of events changed; `endpoints` holds services whose endpoints changed. */
export interface SnapshotDiff {
  readonly services: ReadonlySet<string>;
  readonly endpoints: ReadonlySet<string>;
  readonly pods: ReadonlySet<string>;
}

export const emptySnapshot = (mesh: MeshConfig = defaultMeshConfig): Snapshot => ({
  version: 0,
  mesh,
  namespaces: new Map(),
  nodes: new Map(),
  pods: new Map(),
  services: new Map(),
  slices: new Map(),
  slicesOfService: new Map(),
});

export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

const isAddress = (value: string): boolean => value !== "" && value !== "None";

/** The annotation's namespaces, comma-separated; `.` is the service's own, `~` none. */
const exportedTo = (annotation: string | undefined, namespace: string): ReadonlySet<string> =>
  annotation === undefined
    ? new Set(["*"])
    : new Set(
        annotation
          .split(",")
          .map((target) => target.trim())
          .filter((target) => target !== "" && target !== "~")
          .map((target) => (target === "." ? namespace : target)),
      );

export const meshServiceOf = (service: Service, mesh: MeshConfig): MeshService => {
  const { metadata, spec } = service;
  const namespace = metadata?.namespace ?? "default";
  const name = metadata?.name ?? "";
  const addresses = (spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP])).filter(isAddress);
  const externalName = spec?.type === "ExternalName" ? spec.externalName : undefined;
  const isHeadless = externalName === undefined && addresses.length === 0;
  return {
    key: keyOf(namespace, name),
    origin: "Service",
    namespace,
    name,
    host: `${name}.${namespace}.svc.${mesh.clusterDomain}`,
    addresses,
    ports: (spec?.ports ?? [])
      .filter(({ protocol }) => protocol === undefined || protocol === "TCP")
      .map((port) => ({
        name: port.name ?? "",
        port: port.port,
        protocol: protocolOf(port),
        targetPort: (port.targetPort as number | string | undefined) ?? port.port,
        isTls: isTlsPort(port),
      })),
    selector: spec?.selector ?? {},
    resolution: isHeadless ? "original-destination" : "eds",
    isHeadless,
    externalName,
    clientAffinity: spec?.sessionAffinity === "ClientIP",
    isExternal: false,
    subjectAltNames: [],
    exportTo: exportedTo(metadata?.annotations?.["networking.istio.io/exportTo"], namespace),
    createdAt: (metadata?.creationTimestamp as string | undefined) ?? "",
  };
};

const serviceOfSlice = (slice: EndpointSlice | undefined): string | undefined => {
  const name = slice?.metadata?.labels?.["kubernetes.io/service-name"];
  return name === undefined ? undefined : keyOf(slice?.metadata?.namespace ?? "default", name);
};

const change = <Value>(map: ReadonlyMap<string, Value>, key: string, value: Value | undefined): Map<string, Value> => {
  const changed = map as Map<string, Value>;
  if (value === undefined) changed.delete(key);
  else changed.set(key, value);
  return changed;
};

/** What of a pod others depend on; a change of anything else in it is of no interest to them. */
const podIdentity = (pod: Pod | undefined): string =>
  pod === undefined
    ? ""
    : JSON.stringify([
        pod.metadata?.deletionTimestamp,
        pod.metadata?.labels,
        pod.spec?.serviceAccountName,
        pod.status?.podIPs,
        pod.spec?.nodeName,
      ]);

const servicesWithPod = (snapshot: Snapshot, podKey: string): readonly string[] => {
  const [namespace = "", name = ""] = podKey.split("/");
  const found: string[] = [];
  for (const [key, slices] of snapshot.slicesOfService) {
    if (!key.startsWith(`${namespace}/`)) continue;
    for (const slice of slices) {
      const endpoints = snapshot.slices.get(slice)?.endpoints ?? [];
      if (endpoints.some(({ targetRef }) => targetRef?.kind === "Pod" && targetRef.name === name)) found.push(key);
    }
  }
  return found;
};

/** The next snapshot and what differs. The given one stays as it was. */
export const applyEvents = (
  before: Snapshot,
  events: readonly ObjectEvent[],
): { readonly snapshot: Snapshot; readonly diff: SnapshotDiff } => {
  const touches = (kind: ObjectEvent["kind"]): boolean => events.some((event) => event.kind === kind);
  const copy = <Value>(map: ReadonlyMap<string, Value>, kind: ObjectEvent["kind"]): ReadonlyMap<string, Value> =>
    touches(kind) ? new Map(map) : map;
  const snapshot: Snapshot = {
    version: before.version + 1,
    mesh: before.mesh,
    namespaces: copy(before.namespaces, "Namespace"),
    nodes: copy(before.nodes, "Node"),
    pods: copy(before.pods, "Pod"),
    services: copy(before.services, "Service"),
    slices: copy(before.slices, "EndpointSlice"),
    slicesOfService: copy(before.slicesOfService, "EndpointSlice"),
  };
  const services = new Set<string>();
  const endpoints = new Set<string>();
  const pods = new Set<string>();
  const changedPods: string[] = [];
  for (const event of events) {
    const key = keyOf(event.namespace, event.name);
    switch (event.kind) {
      case "Namespace":
        change(snapshot.namespaces, event.name, event.object);
        break;
      case "Node":
        change(snapshot.nodes, event.name, event.object);
        break;
      case "Pod":
        if (podIdentity(snapshot.pods.get(key)) !== podIdentity(event.object)) changedPods.push(key);
        change(snapshot.pods, key, event.object);
        pods.add(key);
        break;
      case "Service":
        change(
          snapshot.services,
          key,
          event.object === undefined ? undefined : meshServiceOf(event.object, before.mesh),
        );
        services.add(key);
        break;
      case "EndpointSlice": {
        const was = serviceOfSlice(snapshot.slices.get(key));
        const is = serviceOfSlice(event.object);
        change(snapshot.slices, key, event.object);
        for (const service of new Set([was, is])) {
          if (service === undefined) continue;
          const keys = new Set(snapshot.slicesOfService.get(service));
          if (service === is) keys.add(key);
          else keys.delete(key);
          change(snapshot.slicesOfService, service, keys.size === 0 ? undefined : keys);
          endpoints.add(service);
        }
        break;
      }
    }
  }
  for (const key of changedPods) for (const service of servicesWithPod(snapshot, key)) endpoints.add(service);
  return { snapshot, diff: { services, endpoints, pods } };
};

export const isInMesh = (pod: Pod | undefined): boolean =>
  pod?.metadata?.labels?.["security.istio.io/tlsMode"] === "istio";

/** The endpoints that may be sent traffic; EndpointSlice readiness already honours publishNotReadyAddresses. */
export const endpointsOf = (snapshot: Snapshot, serviceKey: string): readonly Endpoint[] => {
  const found = new Map<string, Endpoint>();
  for (const sliceKey of [...(snapshot.slicesOfService.get(serviceKey) ?? [])].sort()) {
    const slice = snapshot.slices.get(sliceKey);
    const ports = new Map<string, number>();
    for (const { name, port } of slice?.ports ?? []) if (port !== undefined) ports.set(name ?? "", port);
    for (const endpoint of slice?.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      const pod =
        endpoint.targetRef?.kind === "Pod"
          ? snapshot.pods.get(keyOf(slice?.metadata?.namespace ?? "", endpoint.targetRef.name ?? ""))
          : undefined;
      // The pod's own event comes before its slice's, and every moment counts: the application is told to end by now.
      if (pod?.metadata?.deletionTimestamp !== undefined) continue;
      const node = snapshot.nodes.get(endpoint.nodeName ?? "");
      for (const address of endpoint.addresses) {
        found.set(address, {
          address,
          ports: new Map([...(found.get(address)?.ports ?? []), ...ports]),
          isInMesh: isInMesh(pod),
          namespace: slice?.metadata?.namespace ?? "",
          serviceAccount: pod?.spec?.serviceAccountName,
          podName: pod?.metadata?.name,
          labels: pod?.metadata?.labels ?? {},
          region: node?.metadata?.labels?.["topology.kubernetes.io/region"] ?? "",
          zone: endpoint.zone ?? node?.metadata?.labels?.["topology.kubernetes.io/zone"] ?? "",
          subzone: node?.metadata?.labels?.["topology.istio.io/subzone"] ?? "",
          nodeName: endpoint.nodeName,
          weight: 1,
        });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
};

const selects = (selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean => {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([label, value]) => labels[label] === value);
};

/** One port that the workload serves for some Service. */
export interface InboundPort {
  readonly port: number;
  readonly protocol: Protocol;
}

/** The workload's ports that Services of its namespace name, ascending. Where two disagree, detection decides. */
export const inboundPortsOf = (snapshot: Snapshot, pod: Pod): readonly InboundPort[] => {
  const labels = pod.metadata?.labels ?? {};
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const numberOf = (target: number | string): number | undefined =>
    typeof target === "number"
      ? target
      : containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === target)?.containerPort;
  const found = new Map<number, Protocol>();
  for (const service of snapshot.services.values()) {
    if (service.namespace !== pod.metadata?.namespace || !selects(service.selector, labels)) continue;
    for (const { targetPort, protocol } of service.ports) {
      const port = numberOf(targetPort);
      if (port === undefined) continue;
      const known = found.get(port);
      found.set(port, known === undefined || known === protocol ? protocol : "auto");
    }
  }
  return [...found].map(([port, protocol]) => ({ port, protocol })).sort((a, b) => a.port - b.port);
};
