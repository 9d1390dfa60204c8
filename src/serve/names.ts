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

/** The set of this size and fingerprint that holds all these names, if there is one. */
const find = (key: string, size: number, names: Iterable<string>): NameSet | undefined => {
  const known = shared.get(key)?.deref();
  if (known?.size !== size) return undefined;
  // Names come from proxies: equal sums prove nothing.
  for (const name of names) if (!known.has(name)) return undefined;
  return known;
};

const keyOf = (size: number, { low, high }: Fingerprint): string => `${size} ${low} ${high}`;

export const noNames: NameSet = new Set<string>();
fingerprints.set(noNames, { low: 0, high: 0 });

const sumOf = (start: Fingerprint, added: Iterable<string>, removed: Iterable<string> = []): Fingerprint => {
  let { low, high } = start;
  for (const name of added) {
    const of = fingerprintOf(name);
    low = (low + of.low) | 0;
    high = (high + of.high) | 0;
  }
  for (const name of removed) {
    const of = fingerprintOf(name);
    low = (low - of.low) | 0;
    high = (high - of.high) | 0;
  }
  return { low, high };
};

/** The set with some names added, then some removed. */
export const changeNames = (set: NameSet, added: readonly string[], removed: readonly string[]): NameSet => {
  const unwanted = new Set(removed);
  const gone = [...unwanted].filter((name) => set.has(name));
  const fresh = added.filter((name) => !set.has(name) && !unwanted.has(name));
  if (gone.length === 0 && fresh.length === 0) return set;
  const fingerprint = sumOf(fingerprints.get(set) ?? sumOf({ low: 0, high: 0 }, set), fresh, gone);
  if (set === noNames) {
    const known = find(keyOf(fresh.length, fingerprint), fresh.length, fresh);
    if (known !== undefined) return known;
  }
  const names = new Set(set);
  for (const name of fresh) names.add(name);
  for (const name of gone) names.delete(name);
  if (names.size === 0) return noNames;
  const isExact = names.size === set.size + fresh.length - gone.length;
  const own = isExact ? fingerprint : sumOf({ low: 0, high: 0 }, names);
  const key = keyOf(names.size, own);
  const known = find(key, names.size, names);
  if (known !== undefined) return known;
  shared.set(key, new WeakRef(names));
  fingerprints.set(names, own);
  forgotten.register(names, key);
  return names;
};
