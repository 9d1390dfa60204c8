import type { ConfigurationKind } from "../../api/kinds.js";
import { qualifiedHost } from "../../model/host.js";
import { keyOf, namespaceOf, type Snapshot, type SnapshotDiff } from "../../model/snapshot.js";

export type ResourceKey = readonly [kind: ConfigurationKind, key: string];

/** Pods and endpoints come and go all the time; what they mean for a status waits for the next regular look. */
const isRuleChange = (before: Snapshot, after: Snapshot): boolean =>
  before.services !== after.services ||
  before.virtualServices !== after.virtualServices ||
  before.destinationRules !== after.destinationRules ||
  before.serviceEntries !== after.serviceEntries ||
  before.sidecars !== after.sidecars ||
  before.envoyFilters !== after.envoyFilters ||
  before.peerAuthentications !== after.peerAuthentications ||
  before.authorizationPolicies !== after.authorizationPolicies ||
  before.requestAuthentications !== after.requestAuthentications ||
  before.keySets !== after.keySets ||
  before.telemetries !== after.telemetries ||
  before.namespaces !== after.namespaces;

const keysOf = (
  kind: ConfigurationKind,
  namespace: string,
  objects: readonly { readonly metadata?: { readonly name?: string } }[],
): readonly ResourceKey[] => objects.map(({ metadata }) => [kind, keyOf(namespace, metadata?.name ?? "")]);

/** The resources whose findings may have changed because others did. */
export const affectedBy = (before: Snapshot, after: Snapshot, diff: SnapshotDiff): readonly ResourceKey[] => {
  if (!isRuleChange(before, after)) return [];
  const affected: ResourceKey[] = [];
  const { virtualServices, destinationRulesOfNamespace, serviceEntries, mesh } = after;
  for (const host of diff.hosts) {
    for (const index of [virtualServices.byHost, virtualServices.byDestination])
      for (const key of index.get(host) ?? []) affected.push(["VirtualService", key]);
    for (const rules of destinationRulesOfNamespace.values())
      for (const { sources } of rules.merged(host)) for (const key of sources) affected.push(["DestinationRule", key]);
  }
  for (const [key, { spec }] of serviceEntries)
    if (spec.hosts?.some((host) => diff.hosts.has(qualifiedHost(host, namespaceOf(key), mesh.clusterDomain))))
      affected.push(["ServiceEntry", key]);
  if (before.sidecars !== after.sidecars) for (const key of after.sidecars.keys()) affected.push(["Sidecar", key]);
  if (before.peerAuthentications !== after.peerAuthentications) {
    for (const [namespace, { policies }] of after.peerAuthentications)
      affected.push(...keysOf("PeerAuthentication", namespace, policies));
    // What workloads take decides whether what rules send is right.
    for (const key of after.destinationRules.keys()) affected.push(["DestinationRule", key]);
  }
  const mayBeOtherwise = before.peerAuthentications !== after.peerAuthentications || before.services !== after.services;
  if (mayBeOtherwise || before.authorizationPolicies !== after.authorizationPolicies)
    // Of other policies only those that ask someone have to know: all ask the same.
    for (const [namespace, policies] of after.authorizationPolicies) {
      const concerned = policies.filter(({ spec }) => mayBeOtherwise || spec.action === "CUSTOM");
      affected.push(...keysOf("AuthorizationPolicy", namespace, concerned));
    }
  if (
    before.requestAuthentications !== after.requestAuthentications ||
    before.authorizationPolicies !== after.authorizationPolicies ||
    before.keySets !== after.keySets
  )
    for (const [namespace, policies] of after.requestAuthentications)
      affected.push(...keysOf("RequestAuthentication", namespace, policies));
  if (before.telemetries !== after.telemetries)
    for (const [namespace, objects] of after.telemetries) affected.push(...keysOf("Telemetry", namespace, objects));
  return affected;
};
