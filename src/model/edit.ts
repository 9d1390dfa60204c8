/** A map under change: the first change makes the copy, so that the map before stays as it was. */
export interface Edit<Key, Value> {
  readonly get: (key: Key) => Value | undefined;
  /** `undefined` takes the key away. */
  readonly set: (key: Key, value: Value | undefined) => void;
  readonly result: () => ReadonlyMap<Key, Value>;
  /** Values that were made in this change, which nobody else holds yet. */
  readonly own: WeakSet<object>;
}

export const editMap = <Key, Value>(before: ReadonlyMap<Key, Value>): Edit<Key, Value> => {
  let copy: Map<Key, Value> | undefined;
  return {
    get: (key) => (copy ?? before).get(key),
    set: (key, value) => {
      if (value === undefined && !(copy ?? before).has(key)) return;
      copy ??= new Map(before);
      if (value === undefined) copy.delete(key);
      else copy.set(key, value);
    },
    result: () => copy ?? before,
    own: new WeakSet(),
  };
};

/** Adds a member to, or takes it from, the set under a key, which is copied once a change; an empty set goes away. */
export const editMember = <Key, Member>(
  edit: Edit<Key, ReadonlySet<Member>>,
  key: Key,
  member: Member,
  present: boolean,
): void => {
  const before = edit.get(key);
  if ((before?.has(member) ?? false) === present) return;
  const after = before !== undefined && edit.own.has(before) ? (before as Set<Member>) : new Set(before);
  edit.own.add(after);
  if (present) after.add(member);
  else after.delete(member);
  if (after !== before || after.size === 0) edit.set(key, after.size === 0 ? undefined : after);
};
