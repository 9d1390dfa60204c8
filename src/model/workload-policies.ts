import type { ConfigObject } from "../api/kind.js";
import { byAge } from "./age.js";
import type { Edit } from "./edit.js";
import type { Editing, Effects } from "./editing.js";
import { type Labels, selectsOrAll } from "./selector.js";
import { namespaceOf } from "./snapshot.js";

/** What a policy says of whom it is for. Without either it is for all of its namespace. */
export interface Selecting {
  readonly selector?: { readonly matchLabels?: Labels };
  readonly targetRef?: object;
  readonly targetRefs?: readonly object[];
}

/** Policies of a kind of which all that select a workload hold together; by namespace, oldest first. */
export type PoliciesByNamespace<Policy> = ReadonlyMap<string, readonly Policy[]>;

const isForWorkloads = ({ targetRef, targetRefs }: Selecting): boolean =>
  targetRef === undefined && (targetRefs ?? []).length === 0;

/** Whether it is for all workloads of its namespace, or of the mesh. */
export const isForAll = ({ spec }: ConfigObject<Selecting>): boolean =>
  Object.keys(spec.selector?.matchLabels ?? {}).length === 0;

/** By its key, `namespace/name`. */
export const policyAt = <Policy extends ConfigObject<Selecting>>(
  policies: PoliciesByNamespace<Policy>,
  key: string,
): Policy | undefined => {
  const namespace = namespaceOf(key);
  return policies.get(namespace)?.find(({ metadata }) => metadata?.name === key.slice(namespace.length + 1));
};

/** All that are for a workload with these labels: those of the root namespace, which is for all, then its own. */
export const policiesFor = <Policy extends ConfigObject<Selecting>>(
  policies: PoliciesByNamespace<Policy>,
  rootNamespace: string,
  namespace: string,
  labels: Labels,
): readonly Policy[] =>
  [...new Set([rootNamespace, namespace])].flatMap((each) =>
    (policies.get(each) ?? []).filter(
      ({ spec }) => isForWorkloads(spec) && selectsOrAll(spec.selector?.matchLabels, labels),
    ),
  );

/** Tells the namespaces in which workloads are, if the root's policies changed, else those of the changed ones. */
export const applyPolicies = <Policy extends ConfigObject<Selecting>>(
  edit: Pick<Editing, "mesh" | "podsOfNamespace">,
  policies: Edit<string, readonly Policy[]>,
  effects: Pick<Effects, "inbound">,
  changes: ReadonlyMap<string, Policy | undefined>,
): void => {
  for (const [namespace, own] of Map.groupBy(changes, ([key]) => namespaceOf(key))) {
    const names = new Set(own.map(([key]) => key.slice(namespace.length + 1)));
    const kept = (policies.get(namespace) ?? []).filter(({ metadata }) => !names.has(metadata?.name ?? ""));
    const next = [...kept, ...own.flatMap(([, policy]) => policy ?? [])].sort(byAge);
    policies.set(namespace, next.length === 0 ? undefined : next);
    effects.inbound.add(namespace);
    if (namespace !== edit.mesh.rootNamespace) continue;
    for (const each of edit.podsOfNamespace.result().keys()) effects.inbound.add(each);
  }
};
