import type { ObjectEvent, Pod } from "../api/kubernetes.js";
import { applyPeerAuthentications } from "./apply-peer-authentication.js";
import { editMember } from "./edit.js";
import { type Editing, type Effects, editing } from "./editing.js";
import { meshServiceOf, podsOfSlice, serviceOfSlice } from "./kubernetes-service.js";
import { applyKeySet } from "./request-authentication.js";
import {
  applyDestinationRules,
  applyEnvoyFilter,
  applySidecar,
  applyVirtualServices,
  keepClientLabels,
} from "./rules.js";
import { hostnameLabel, selects } from "./selector.js";
import type { MeshService } from "./service.js";
import { servicesOfEntry } from "./service-entry.js";
import { keyOf, namespaceOf, type Snapshot, type SnapshotDiff } from "./snapshot.js";
import { applyPolicies } from "./workload-policies.js";

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
        pod.status?.conditions?.find(({ type }) => type === "Ready")?.status,
      ]);

const touchHost = (effects: Effects, service: MeshService | undefined): void => {
  if (service !== undefined) effects.services.add(service.host);
};

const putService = (edit: Editing, effects: Effects, key: string, next: MeshService | undefined): void => {
  const before = edit.services.get(key);
  for (const service of [before, next]) {
    touchHost(effects, service);
    if (service === undefined) continue;
    const present = service === next;
    // The one that goes may leave a place that the one that comes takes again.
    editMember(edit.servicesOfHost, service.host, key, present);
    editMember(edit.servicesOfNamespace, service.namespace, key, present);
    if (service.externalName !== undefined) editMember(edit.servicesOfExternalName, service.externalName, key, present);
    effects.inbound.add(service.namespace);
  }
  edit.services.set(key, next);
  keepClientLabels(
    edit,
    effects,
    `Service ${key}`,
    next?.trafficDistribution === "PreferSameNode" ? [hostnameLabel] : [],
  );
};

/** Services and entries of a namespace that choose what carries these labels. */
const touchSelecting = (
  edit: Editing,
  effects: Effects,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): void => {
  for (const key of edit.servicesOfNamespace.get(namespace) ?? []) {
    const service = edit.services.get(key);
    if (service !== undefined && selects(service.selector, labels)) effects.endpoints.add(service.host);
  }
};

/** Hosts of ServiceEntries that choose the pod itself; a Service's pods are in its slices. */
const touchEntriesOf = (edit: Editing, effects: Effects, namespace: string, pod: Pod): void => {
  for (const key of edit.servicesOfNamespace.get(namespace) ?? []) {
    const service = edit.services.get(key);
    if (service?.origin === "ServiceEntry" && selects(service.selector, pod.metadata?.labels ?? {}))
      effects.endpoints.add(service.host);
  }
};

const applyPod = (edit: Editing, effects: Effects, key: string, next: Pod | undefined): void => {
  const before = edit.pods.get(key);
  edit.pods.set(key, next);
  editMember(edit.podsOfNamespace, namespaceOf(key), key, next !== undefined);
  effects.pods.add(key);
  if (podIdentity(before) === podIdentity(next)) return;
  for (const slice of edit.slicesOfPod.get(key) ?? []) {
    const service = edit.services.get(serviceOfSlice(edit.slices.get(slice)) ?? "");
    if (service !== undefined) effects.endpoints.add(service.host);
  }
  for (const pod of [before, next]) if (pod !== undefined) touchEntriesOf(edit, effects, namespaceOf(key), pod);
};

const applySlice = (
  edit: Editing,
  effects: Effects,
  key: string,
  next: (ObjectEvent & { kind: "EndpointSlice" })["object"],
): void => {
  const before = edit.slices.get(key);
  edit.slices.set(key, next);
  for (const slice of [before, next]) {
    if (slice === undefined) continue;
    const present = slice === next;
    const service = serviceOfSlice(slice);
    if (service !== undefined) {
      editMember(edit.slicesOfService, service, key, present);
      const host = edit.services.get(service)?.host;
      if (host !== undefined) effects.endpoints.add(host);
    }
    for (const pod of podsOfSlice(slice)) editMember(edit.slicesOfPod, pod, key, present);
  }
};

const applyServiceEntry = (
  edit: Editing,
  effects: Effects,
  key: string,
  next: (ObjectEvent & { kind: "ServiceEntry" })["object"],
): void => {
  const before = edit.serviceEntries.get(key);
  edit.serviceEntries.set(key, next);
  const was = before === undefined ? [] : servicesOfEntry(before, edit.mesh);
  const is = next === undefined ? [] : servicesOfEntry(next, edit.mesh);
  const wanted = new Map(is.map((service) => [service.key, service]));
  for (const service of was) if (!wanted.has(service.key)) putService(edit, effects, service.key, undefined);
  for (const service of wanted.values()) putService(edit, effects, service.key, service);
};

const applyWorkloadEntry = (
  edit: Editing,
  effects: Effects,
  key: string,
  next: (ObjectEvent & { kind: "WorkloadEntry" })["object"],
): void => {
  const before = edit.workloadEntries.get(key);
  edit.workloadEntries.set(key, next);
  editMember(edit.workloadEntriesOfNamespace, namespaceOf(key), key, next !== undefined);
  for (const entry of [before, next])
    if (entry !== undefined)
      touchSelecting(edit, effects, namespaceOf(key), { ...entry.spec.labels, ...entry.metadata?.labels });
};

/** Tells whether it stands elsewhere now; kubelets write their nodes all the time, and that hardly ever changes. */
const applyNode = (edit: Editing, name: string, next: (ObjectEvent & { kind: "Node" })["object"]): boolean => {
  const localityOf = (node: typeof next): string =>
    JSON.stringify(Object.entries(node?.metadata?.labels ?? {}).filter(([label]) => label.startsWith("topology.")));
  const isMoved = localityOf(edit.nodes.get(name)) !== localityOf(next);
  edit.nodes.set(name, next);
  return isMoved;
};

/** Once for all nodes of a batch: in the first one there are all of them. */
const touchOnNodes = (edit: Editing, effects: Effects, moved: ReadonlySet<string>): void => {
  if (moved.size === 0) return;
  effects.clients = true;
  for (const [, slice] of edit.slices.result())
    if (slice.endpoints?.some(({ nodeName }) => nodeName !== undefined && moved.has(nodeName))) {
      const host = edit.services.get(serviceOfSlice(slice) ?? "")?.host;
      if (host !== undefined) effects.endpoints.add(host);
    }
  for (const [key, pod] of edit.pods.result())
    if (pod.spec?.nodeName !== undefined && moved.has(pod.spec.nodeName))
      touchEntriesOf(edit, effects, namespaceOf(key), pod);
};

/** The next snapshot and what differs. The given one stays as it was. */
export const applyEvents = (
  before: Snapshot,
  events: readonly ObjectEvent[],
): { readonly snapshot: Snapshot; readonly diff: SnapshotDiff } => {
  const { edit, effects, finish } = editing(before);
  const virtualServices = new Map<string, (ObjectEvent & { kind: "VirtualService" })["object"]>();
  const moved = new Set<string>();
  const destinationRules = new Map<string, (ObjectEvent & { kind: "DestinationRule" })["object"]>();
  const peerAuthentications = new Map<string, (ObjectEvent & { kind: "PeerAuthentication" })["object"]>();
  const authorizationPolicies = new Map<string, (ObjectEvent & { kind: "AuthorizationPolicy" })["object"]>();
  const requestAuthentications = new Map<string, (ObjectEvent & { kind: "RequestAuthentication" })["object"]>();
  const telemetries = new Map<string, (ObjectEvent & { kind: "Telemetry" })["object"]>();
  for (const event of events) {
    const key = keyOf(event.namespace, event.name);
    switch (event.kind) {
      case "Namespace":
        edit.namespaces.set(event.name, event.object);
        break;
      case "Node":
        if (applyNode(edit, event.name, event.object)) moved.add(event.name);
        break;
      case "Pod":
        applyPod(edit, effects, key, event.object);
        break;
      case "Service":
        putService(edit, effects, key, event.object === undefined ? undefined : meshServiceOf(event.object, edit.mesh));
        break;
      case "EndpointSlice":
        applySlice(edit, effects, key, event.object);
        break;
      case "ServiceEntry":
        applyServiceEntry(edit, effects, key, event.object);
        break;
      case "WorkloadEntry":
        applyWorkloadEntry(edit, effects, key, event.object);
        break;
      case "VirtualService":
        virtualServices.set(key, event.object);
        break;
      case "DestinationRule":
        destinationRules.set(key, event.object);
        break;
      case "Sidecar":
        applySidecar(edit, effects, key, event.object);
        break;
      case "EnvoyFilter":
        applyEnvoyFilter(edit, effects, key, event.object);
        break;
      case "PeerAuthentication":
        peerAuthentications.set(key, event.object);
        break;
      case "AuthorizationPolicy":
        authorizationPolicies.set(key, event.object);
        break;
      case "RequestAuthentication":
        requestAuthentications.set(key, event.object);
        break;
      case "KeySet":
        applyKeySet(edit, effects, event.name, event.object);
        break;
      case "Telemetry":
        telemetries.set(key, event.object);
        // Also of what they send, which is another client's then.
        effects.clients = true;
        break;
    }
  }
  touchOnNodes(edit, effects, moved);
  applyDestinationRules(edit, effects, destinationRules);
  applyVirtualServices(edit, effects, virtualServices);
  applyPeerAuthentications(edit, effects, peerAuthentications);
  applyPolicies(edit, edit.authorizationPolicies, effects, authorizationPolicies);
  applyPolicies(edit, edit.requestAuthentications, effects, requestAuthentications);
  applyPolicies(edit, edit.telemetries, effects, telemetries);
  return finish();
};
