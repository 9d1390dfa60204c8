import { type Edit, editMap } from "./edit.js";
import { wildcardsOf } from "./hosts.js";
import type { Snapshot, SnapshotDiff, VirtualServices } from "./snapshot.js";

type EditOf<Value> = Value extends ReadonlyMap<infer Key, infer Item> ? Edit<Key, Item> : Value;

/** The maps of a snapshot, each open for change. */
export type Editing = {
  readonly [Field in Exclude<keyof Snapshot, "version" | "virtualServices">]: EditOf<Snapshot[Field]>;
} & {
  readonly virtualServices: { readonly [Field in keyof VirtualServices]: EditOf<VirtualServices[Field]> };
};

/** What the events of a batch did, by host, before it is known which rules that concerns. */
export interface Effects {
  /** Hosts of services that came, went or changed. */
  readonly services: Set<string>;
  /** Hosts whose endpoints changed. */
  readonly endpoints: Set<string>;
  /** Hosts, and wildcards, of VirtualServices that changed. */
  readonly routes: Set<string>;
  /** Hosts, and wildcards, of DestinationRules that changed. */
  readonly policies: Set<string>;
  readonly pods: Set<string>;
  readonly inbound: Set<string>;
  /** Namespaces whose policies of requests and connections changed. */
  readonly restricted: Set<string>;
  clients: boolean;
}

/** Every known host that is one of these, or that one of these wildcards stands for. */
const expand = (hosts: ReadonlySet<string>, known: ReadonlyMap<string, unknown>): ReadonlySet<string> => {
  const found = new Set<string>();
  const wildcards = new Set<string>();
  for (const host of hosts) {
    found.add(host);
    if (host.startsWith("*")) wildcards.add(host);
  }
  if (wildcards.size > 0)
    for (const host of known.keys()) if (wildcardsOf(host).some((pattern) => wildcards.has(pattern))) found.add(host);
  return found;
};

const diffOf = (snapshot: Snapshot, effects: Effects): SnapshotDiff => {
  const policies = expand(effects.policies, snapshot.servicesOfHost);
  const hosts = new Set([...effects.endpoints, ...effects.services, ...policies]);
  for (const host of expand(effects.routes, snapshot.servicesOfHost)) hosts.add(host);
  // Routes hold what a destination's service and policy say: its only port, its hash policy. An alias is its target.
  const destinations = new Set([...effects.services, ...policies]);
  for (const host of [...destinations])
    for (const key of snapshot.servicesOfExternalName.get(host) ?? []) {
      const alias = snapshot.services.get(key)?.host;
      if (alias === undefined) continue;
      hosts.add(alias);
      destinations.add(alias);
    }
  for (const destination of destinations)
    for (const key of snapshot.virtualServices.byDestination.get(destination) ?? [])
      for (const host of expand(new Set(snapshot.virtualServices.resolved.get(key)?.hosts), snapshot.servicesOfHost))
        hosts.add(host);
  return {
    hosts,
    pods: effects.pods,
    inbound: effects.inbound,
    restricted: effects.restricted,
    clients: effects.clients,
  };
};

export const editing = (
  before: Snapshot,
): {
  readonly edit: Editing;
  readonly effects: Effects;
  readonly finish: () => { readonly snapshot: Snapshot; readonly diff: SnapshotDiff };
} => {
  const open = <Shape extends object>(shape: Shape): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(shape).map(([field, value]) => [field, value instanceof Map ? editMap(value) : value]),
    );
  const close = (opened: object): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(opened).map(([field, value]) => [
        field,
        typeof value === "object" && value !== null && "result" in value
          ? (value as Edit<unknown, unknown>).result()
          : value,
      ]),
    );
  const edit = { ...open(before), virtualServices: open(before.virtualServices) } as unknown as Editing;
  const effects: Effects = {
    services: new Set(),
    endpoints: new Set(),
    routes: new Set(),
    policies: new Set(),
    pods: new Set(),
    inbound: new Set(),
    restricted: new Set(),
    clients: false,
  };
  return {
    edit,
    effects,
    finish: () => {
      const snapshot = {
        ...close(edit),
        virtualServices: close(edit.virtualServices),
        version: before.version + 1,
      } as unknown as Snapshot;
      return { snapshot, diff: diffOf(snapshot, effects) };
    },
  };
};
