import type { DestinationRule } from "../api/networking/destination-rule.js";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { Sidecar } from "../api/networking/sidecar.js";
import type { VirtualService } from "../api/networking/virtual-service.js";
import { emptyDestinationRules } from "./destination-rule.js";
import { editMember } from "./edit.js";
import type { Editing, Effects } from "./editing.js";
import { qualifiedHost } from "./host.js";
import { keyOf, namespaceOf } from "./snapshot.js";
import {
  delegateKeysOf,
  destinationHostsOf,
  type ResolvedVirtualService,
  resolveVirtualService,
} from "./virtual-service.js";

const sourceLabelsOf = (rule: VirtualService | undefined): readonly string[] =>
  [...(rule?.spec.http ?? []), ...(rule?.spec.tls ?? []), ...(rule?.spec.tcp ?? [])].flatMap(({ match }) =>
    (match ?? []).flatMap(({ sourceLabels }) => Object.keys(sourceLabels ?? {})),
  );

const policyLabelsOf = (rule: DestinationRule | undefined): readonly string[] => {
  const policies = [rule?.spec.trafficPolicy, ...(rule?.spec.subsets ?? []).map(({ trafficPolicy }) => trafficPolicy)];
  const balancers = policies.flatMap((policy) => [
    policy?.loadBalancer,
    ...(policy?.portLevelSettings ?? []).map(({ loadBalancer }) => loadBalancer),
  ]);
  return [
    ...Object.keys(rule?.spec.workloadSelector?.matchLabels ?? {}),
    ...balancers.flatMap((balancer) =>
      [
        ...(balancer?.localityLbSetting?.failoverPriority ?? []),
        ...(balancer?.zoneAwareLbSetting?.failoverPriority ?? []),
      ].map((label) => label.split("=")[0]!),
    ),
  ];
};

/** Notes by which labels a rule, or a service, tells clients apart. */
export const keepClientLabels = (edit: Editing, effects: Effects, rule: string, labels: readonly string[]): void => {
  const before = edit.clientLabels.get(rule);
  if (before === undefined && labels.length === 0) return;
  edit.clientLabels.set(rule, labels.length === 0 ? undefined : new Set(labels));
  effects.clients = true;
};

export const applySidecar = (edit: Editing, effects: Effects, key: string, next: Sidecar | undefined): void => {
  edit.sidecars.set(key, next);
  editMember(edit.sidecarsOfNamespace, namespaceOf(key), key, next !== undefined);
  effects.clients = true;
};

export const applyEnvoyFilter = (edit: Editing, effects: Effects, key: string, next: EnvoyFilter | undefined): void => {
  edit.envoyFilters.set(key, next);
  effects.clients = true;
};

/** What of a rule decides how the pods of its service are called from within. */
const inboundPartOf = (rule: DestinationRule | undefined): string =>
  rule === undefined
    ? ""
    : JSON.stringify([rule.spec.host, rule.spec.exportTo, rule.spec.workloadSelector, rule.spec.trafficPolicy]);

/** Namespaces whose pods serve a host of the rule: its own, or any for one in the root namespace. */
const touchServing = (edit: Editing, effects: Effects, namespace: string, host: string): void => {
  const isOfMesh = namespace === edit.mesh.rootNamespace;
  if (host.startsWith("*")) {
    for (const each of isOfMesh ? edit.servicesOfNamespace.result().keys() : [namespace]) effects.inbound.add(each);
    return;
  }
  for (const key of edit.servicesOfHost.get(host) ?? []) {
    const home = edit.services.get(key)?.namespace;
    if (home !== undefined && (isOfMesh || home === namespace)) effects.inbound.add(home);
  }
};

export const applyDestinationRules = (
  edit: Editing,
  effects: Effects,
  changes: ReadonlyMap<string, DestinationRule | undefined>,
): void => {
  const byNamespace = new Map<string, Map<string, DestinationRule | undefined>>();
  for (const [key, next] of changes) {
    const namespace = namespaceOf(key);
    const before = edit.destinationRules.get(key);
    const isServedAlike = inboundPartOf(before) === inboundPartOf(next);
    for (const rule of [before, next]) {
      if (rule === undefined) continue;
      const host = qualifiedHost(rule.spec.host, namespace, edit.mesh.clusterDomain);
      effects.policies.add(host);
      if (!isServedAlike) touchServing(edit, effects, namespace, host);
    }
    edit.destinationRules.set(key, next);
    keepClientLabels(edit, effects, `DestinationRule ${key}`, policyLabelsOf(next));
    const names = byNamespace.get(namespace) ?? new Map<string, DestinationRule | undefined>();
    names.set(key.slice(namespace.length + 1), next);
    byNamespace.set(namespace, names);
  }
  for (const [namespace, names] of byNamespace) {
    const rules = (edit.destinationRulesOfNamespace.get(namespace) ?? emptyDestinationRules(namespace, edit.mesh)).with(
      names,
    );
    edit.destinationRulesOfNamespace.set(namespace, rules.size === 0 ? undefined : rules);
  }
};

const index = (edit: Editing, key: string, rule: ResolvedVirtualService | undefined, present: boolean): void => {
  for (const host of rule?.hosts ?? []) editMember(edit.virtualServices.byHost, host, key, present);
  for (const host of rule === undefined ? [] : destinationHostsOf(rule))
    editMember(edit.virtualServices.byDestination, host, key, present);
};

/** Through a Sidecar a client sees what a rule that it sees leads to, though it does not import it. */
const impliedBy = (rule: ResolvedVirtualService | undefined): string =>
  rule === undefined
    ? ""
    : JSON.stringify([rule.hosts, rule.gateways, [...rule.exportTo], [...destinationHostsOf(rule)]]);

const touchImplied = (
  effects: Effects,
  before: ResolvedVirtualService | undefined,
  after: ResolvedVirtualService | undefined,
): void => {
  if (impliedBy(before) === impliedBy(after)) return;
  for (const rule of [before, after])
    for (const host of rule === undefined ? [] : destinationHostsOf(rule)) effects.services.add(host);
};

/** Resolves what changed, and what has changed delegates. */
export const applyVirtualServices = (
  edit: Editing,
  effects: Effects,
  changes: ReadonlyMap<string, VirtualService | undefined>,
): void => {
  if (changes.size === 0) return;
  const { written, resolved, byDelegate } = edit.virtualServices;
  for (const [key, next] of changes) {
    const before = written.get(key);
    for (const delegate of before === undefined ? [] : delegateKeysOf(before))
      editMember(byDelegate, delegate, key, false);
    for (const delegate of next === undefined ? [] : delegateKeysOf(next)) editMember(byDelegate, delegate, key, true);
    written.set(key, next);
    keepClientLabels(edit, effects, `VirtualService ${key}`, sourceLabelsOf(next));
  }
  const roots = new Set([...changes.keys()].flatMap((key) => [key, ...(byDelegate.get(key) ?? [])]));
  for (const key of roots) {
    const before = resolved.get(key);
    const object = written.get(key);
    const after =
      object === undefined
        ? undefined
        : resolveVirtualService(object, (namespace, name) => written.get(keyOf(namespace, name)), edit.mesh);
    index(edit, key, before, false);
    index(edit, key, after, true);
    resolved.set(key, after);
    if (edit.sidecars.result().size > 0) touchImplied(effects, before, after);
    for (const host of [...(before?.hosts ?? []), ...(after?.hosts ?? [])]) effects.routes.add(host);
  }
};
