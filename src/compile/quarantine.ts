import type { EnvoyFilter } from "../api/networking/envoy-filter.js";

type EnvoyFilters = ReadonlyMap<string, EnvoyFilter>;

/** EnvoyFilters that proxies have rejected, and what is applied in their place. */
export interface Quarantine {
  /** To be called with each snapshot: an edited filter is another one, which nobody has rejected. */
  readonly follow: (filters: EnvoyFilters) => void;
  /** The version in force falls back to the one before it, then to none. Tells whether that changes anything. */
  readonly add: (key: string) => boolean;
  readonly inForce: (filter: EnvoyFilter) => EnvoyFilter | undefined;
  /** `namespace/name` of those that are not in force as they are written. */
  readonly keys: () => readonly string[];
}

interface StandIn {
  readonly filter: EnvoyFilter | undefined;
}

export const createQuarantine = (): Quarantine => {
  let current: EnvoyFilters = new Map();
  const standIns = new WeakMap<EnvoyFilter, StandIn>();
  /** The version that was in force before this one. */
  const earlier = new WeakMap<EnvoyFilter, EnvoyFilter>();
  const inForce = (filter: EnvoyFilter): EnvoyFilter | undefined => {
    const standIn = standIns.get(filter);
    return standIn === undefined ? filter : standIn.filter;
  };
  return {
    inForce,
    follow: (filters) => {
      if (filters === current) return;
      for (const [key, filter] of filters) {
        const before = current.get(key);
        if (before === undefined || before === filter) continue;
        const good = inForce(before);
        if (good !== undefined) earlier.set(filter, good);
        earlier.delete(before);
      }
      current = filters;
    },
    add: (key) => {
      const filter = current.get(key);
      if (filter === undefined || inForce(filter) === undefined) return false;
      standIns.set(filter, { filter: standIns.has(filter) ? undefined : earlier.get(filter) });
      return true;
    },
    keys: () => [...current].flatMap(([key, filter]) => (standIns.has(filter) ? [key] : [])),
  };
};
