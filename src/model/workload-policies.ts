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

/** By its key, `namespace/name`. */
export const policyAt = <Policy extends ConfigObject<Selecting>>(
  policies: PoliciesByNamespace<Policy>,
  key: string,
): Policy | undefined => {
  const name = key.slice(key.indexOf("/") + 1);
  return policies.get(namespaceOf(key))?.find(({ metadata }) => metadata?.name === name);
};

/** Whether one policy is for a workload with these labels. */
export const isPolicyFor = (
  { metadata, spec }: ConfigObject<Selecting>,
  rootNamespace: string,
  namespace: string,
  labels: Labels,
): boolean => {
  const own = metadata?.namespace ?? "default";
  return (
    (own === namespace || own === rootNamespace) &&
    isForWorkloads(spec) &&
    selectsOrAll(spec.selector?.matchLabels, labels)
  );
};

/** Policies of one namespace in a form that finds those of a workload without looking at all of them. */
interface SelectionIndex<Policy> {
  readonly policies: readonly Policy[];
  /** Places of those without a selector. */
  readonly forAll: readonly number[];
  /** Places of the others, by one of the labels that they ask for. */
  readonly byLabel: ReadonlyMap<string, readonly number[]>;
}

const labelKey = (label: string, value: string): string => `${label}=${value}`;

const indexOf = <Policy extends ConfigObject<Selecting>>(policies: readonly Policy[]): SelectionIndex<Policy> => {
  const forAll: number[] = [];
  const byLabel = new Map<string, number[]>();
  for (const [place, { spec }] of policies.entries()) {
    if (!isForWorkloads(spec)) continue;
    const [first] = Object.entries(spec.selector?.matchLabels ?? {});
    if (first === undefined) forAll.push(place);
    else {
      const key = labelKey(...first);
      const places = byLabel.get(key);
      if (places === undefined) byLabel.set(key, [place]);
      else places.push(place);
    }
  }
  return { policies, forAll, byLabel };
};

/** A changed list is another list. */
const indexes = new WeakMap<readonly object[], SelectionIndex<unknown>>();

const indexed = <Policy extends ConfigObject<Selecting>>(policies: readonly Policy[]): SelectionIndex<Policy> => {
  const known = indexes.get(policies) as SelectionIndex<Policy> | undefined;
  if (known !== undefined) return known;
  const made = indexOf(policies);
  indexes.set(policies, made);
  return made;
};

/** All that are for a workload with these labels: those of the root namespace, which is for all, then its own. */
export const policiesFor = <Policy extends ConfigObject<Selecting>>(
  byNamespace: PoliciesByNamespace<Policy>,
  rootNamespace: string,
  namespace: string,
  labels: Labels,
): readonly Policy[] =>
  [...new Set([rootNamespace, namespace])].flatMap((each) => {
    const own = byNamespace.get(each);
    if (own === undefined) return [];
    const { policies, forAll, byLabel } = indexed(own);
    const places = [
      ...forAll,
      ...Object.entries(labels).flatMap(([label, value]) =>
        (byLabel.get(labelKey(label, value)) ?? []).filter((place) =>
          selectsOrAll(policies[place]?.spec.selector?.matchLabels, labels),
        ),
      ),
    ];
    return places.sort((a, b) => a - b).map((place) => policies[place]!);
  });

/** Workloads of the namespace are served otherwise; those of all namespaces if it is the root's. */
export const touchPolicies = (
  edit: Pick<Editing, "mesh" | "podsOfNamespace">,
  effects: Pick<Effects, "restricted">,
  namespace: string,
): void => {
  effects.restricted.add(namespace);
  if (namespace !== edit.mesh.rootNamespace) return;
  for (const each of edit.podsOfNamespace.result().keys()) effects.restricted.add(each);
};

/** The policies of one namespace after changes, by `namespace/name`, of some of them; oldest first. */
export const changedPolicies = <Policy extends Pick<ConfigObject<unknown>, "metadata">>(
  before: readonly Policy[] | undefined,
  changes: Iterable<readonly [key: string, next: Policy | undefined]>,
): readonly Policy[] => {
  const own = [...changes];
  const names = new Set(own.map(([key]) => key.slice(key.indexOf("/") + 1)));
  const kept = (before ?? []).filter(({ metadata }) => !names.has(metadata?.name ?? ""));
  return [...kept, ...own.flatMap(([, next]) => next ?? [])].sort(byAge);
};

/** Tells the namespaces in which workloads are, if the root's policies changed, else those of the changed ones. */
export const applyPolicies = <Policy extends ConfigObject<Selecting>>(
  edit: Pick<Editing, "mesh" | "podsOfNamespace">,
  policies: Edit<string, readonly Policy[]>,
  effects: Pick<Effects, "restricted">,
  changes: ReadonlyMap<string, Policy | undefined>,
): void => {
  for (const [namespace, own] of Map.groupBy(changes, ([key]) => namespaceOf(key))) {
    const next = changedPolicies(policies.get(namespace), own);
    policies.set(namespace, next.length === 0 ? undefined : next);
    touchPolicies(edit, effects, namespace);
  }
};
