/** An immutable set of resource names; equal ones are the same object, so that a name is held once for all proxies. */
export interface NameSet {
  readonly size: number;
  readonly has: (name: string) => boolean;
  readonly [Symbol.iterator]: () => Iterator<string>;
}

interface Fingerprint {
  readonly low: number;
  readonly high: number;
}

const shared = new Map<string, WeakRef<Set<string>>>();
const fingerprints = new WeakMap<NameSet, Fingerprint>();
const forgotten = new FinalizationRegistry<string>((key) => {
  if (shared.get(key)?.deref() === undefined) shared.delete(key);
});

/** Two independent FNV-1a sums; a set's is the sum of its names', whatever their order. */
const fingerprintOf = (name: string): Fingerprint => {
  let low = 0x811c9dc5;
  let high = 0x01234567;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b);
  }
  return { low, high };
};

const share = (names: Set<string>, fingerprint: Fingerprint): NameSet => {
  const key = `${names.size} ${fingerprint.low} ${fingerprint.high}`;
  const known = shared.get(key)?.deref();
  if (known !== undefined) {
    // Names come from proxies: equal sums prove nothing.
    for (const name of names) if (!known.has(name)) return names;
    return known;
  }
  shared.set(key, new WeakRef(names));
  fingerprints.set(names, fingerprint);
  forgotten.register(names, key);
  return names;
};

export const noNames: NameSet = new Set<string>();
fingerprints.set(noNames, { low: 0, high: 0 });

/** The set with some names added, then some removed. */
export const changeNames = (set: NameSet, added: readonly string[], removed: readonly string[]): NameSet => {
  const isChange = added.some((name) => !set.has(name)) || removed.some((name) => set.has(name));
  if (!isChange) return set;
  const names = new Set(set);
  for (const name of added) names.add(name);
  for (const name of removed) names.delete(name);
  if (names.size === 0) return noNames;
  let { low, high } = fingerprints.get(set) ?? { low: 0, high: 0 };
  const isKnown = fingerprints.has(set);
  const add = (name: string, sign: 1 | -1): void => {
    const of = fingerprintOf(name);
    low = (low + sign * of.low) | 0;
    high = (high + sign * of.high) | 0;
  };
  if (isKnown) {
    for (const name of new Set([...added, ...removed])) {
      const was = set.has(name);
      if (was !== names.has(name)) add(name, was ? -1 : 1);
    }
  } else for (const name of names) add(name, 1);
  return share(names, { low, high });
};

/** How many different sets are held. */
export const sharedNameSets = (): number => shared.size;
