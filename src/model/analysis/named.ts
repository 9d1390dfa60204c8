import type { V1ObjectMeta } from "@kubernetes/client-node";
import type { Json } from "../../api/json.js";

export interface Named {
  readonly metadata?: Json<V1ObjectMeta>;
}

export const namespaceOf = ({ metadata }: Named): string => metadata?.namespace ?? "default";
export const nameOf = ({ metadata }: Named): string => metadata?.name ?? "";
export const keyOf = (object: Named): string => `${namespaceOf(object)}/${nameOf(object)}`;

/** Whether some namespace sees both. */
export const overlap = (left: ReadonlySet<string>, right: ReadonlySet<string>): boolean => {
  if (left.size === 0 || right.size === 0) return false;
  return left.has("*") || right.has("*") || [...left].some((namespace) => right.has(namespace));
};

/** Adds to the list at a key. */
export const push = <Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void => {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
};
