import type { PeerAuthentication } from "../api/security/peer-authentication.js";
import type { Editing, Effects } from "./editing.js";
import { serviceOfSlice } from "./kubernetes-service.js";
import { type MtlsRules, mtlsModesOf, peerAuthenticationsOf, plaintextKey } from "./peer-authentication.js";
import { type Labels, selects } from "./selector.js";
import { namespaceOf } from "./snapshot.js";
import { changedPolicies } from "./workload-policies.js";

/** Namespaces whose policies differ; all that hold workloads if the mesh's own mode does. */
const namespacesOf = (edit: Editing, before: MtlsRules, after: MtlsRules, changed: Iterable<string>): Set<string> => {
  const { rootNamespace } = edit.mesh;
  const modeOf = ({ peerAuthentications }: MtlsRules) => peerAuthentications.get(rootNamespace)?.mode;
  return modeOf(before) === modeOf(after)
    ? new Set(changed)
    : new Set([
        ...changed,
        ...edit.podsOfNamespace.result().keys(),
        ...edit.workloadEntriesOfNamespace.result().keys(),
        ...edit.servicesOfNamespace.result().keys(),
      ]);
};

/** Hosts whose endpoints are sent mutual TLS where they were not, or no longer. */
const touchEndpoints = (
  edit: Editing,
  effects: Effects,
  namespace: string,
  isMoved: (labels: Labels) => boolean,
): void => {
  const moved: Labels[] = [];
  for (const key of edit.podsOfNamespace.get(namespace) ?? []) {
    const labels = edit.pods.get(key)?.metadata?.labels ?? {};
    if (!isMoved(labels)) continue;
    moved.push(labels);
    for (const slice of edit.slicesOfPod.get(key) ?? []) {
      const host = edit.services.get(serviceOfSlice(edit.slices.get(slice)) ?? "")?.host;
      if (host !== undefined) effects.endpoints.add(host);
    }
  }
  for (const key of edit.workloadEntriesOfNamespace.get(namespace) ?? []) {
    const entry = edit.workloadEntries.get(key);
    const labels = { ...entry?.spec.labels, ...entry?.metadata?.labels };
    if (isMoved(labels)) moved.push(labels);
  }
  for (const key of edit.servicesOfNamespace.get(namespace) ?? []) {
    const service = edit.services.get(key);
    if (service === undefined) continue;
    const hasWritten = service.origin === "ServiceEntry" && Object.keys(service.selector).length === 0;
    if (hasWritten || moved.some((labels) => selects(service.selector, labels))) effects.endpoints.add(service.host);
  }
};

/** After all other events of a batch, which may have moved pods. */
export const applyPeerAuthentications = (
  edit: Editing,
  effects: Effects,
  changes: ReadonlyMap<string, PeerAuthentication | undefined>,
): void => {
  if (changes.size === 0) return;
  const { mesh } = edit;
  const before: MtlsRules = { mesh, peerAuthentications: edit.peerAuthentications.result() };
  const changed = Map.groupBy(changes, ([key]) => namespaceOf(key));
  for (const [namespace, own] of changed) {
    const policies = changedPolicies(edit.peerAuthentications.get(namespace)?.policies, own);
    edit.peerAuthentications.set(namespace, policies.length === 0 ? undefined : peerAuthenticationsOf(policies));
  }
  const after: MtlsRules = { mesh, peerAuthentications: edit.peerAuthentications.result() };
  for (const namespace of namespacesOf(edit, before, after, changed.keys())) {
    effects.inbound.add(namespace);
    touchEndpoints(
      edit,
      effects,
      namespace,
      (labels) =>
        plaintextKey(mtlsModesOf(before, namespace, labels)) !== plaintextKey(mtlsModesOf(after, namespace, labels)),
    );
  }
};
