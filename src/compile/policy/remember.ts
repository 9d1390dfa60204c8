const mostByFirst = 256;

interface Entry<Result> {
  readonly parts: readonly unknown[];
  readonly result: Result;
}

/**
 * What is made from the same objects, and the same further values, is made once. Results go with the first of the objects;
 * of those of one first object the latest are kept.
 */
export const rememberByParts = <Result>(): ((
  objects: readonly object[],
  values: readonly unknown[],
  make: () => Result,
) => Result) => {
  const known = new WeakMap<object, Entry<Result>[]>();
  return (objects, values, make) => {
    const [first] = objects;
    if (first === undefined) return make();
    const parts = [...objects, ...values];
    const entries = known.get(first) ?? [];
    const found = entries.find(
      (entry) => entry.parts.length === parts.length && entry.parts.every((part, index) => part === parts[index]),
    );
    if (found !== undefined) return found.result;
    const result = make();
    entries.push({ parts, result });
    if (entries.length > mostByFirst) entries.shift();
    known.set(first, entries);
    return result;
  };
};
