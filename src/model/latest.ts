/** Makes once what is asked for by a key, and keeps what was asked for last, `most` of it. */
export type Latest<Value> = (key: string, make: () => Value) => Value;

export const rememberLatest = <Value>(most: number): Latest<Value> => {
  const known = new Map<string, Value>();
  return (key, make) => {
    const value = known.has(key) ? (known.get(key) as Value) : make();
    known.delete(key);
    known.set(key, value);
    if (known.size > most) known.delete(known.keys().next().value!);
    return value;
  };
};
