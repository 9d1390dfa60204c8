import { isMap, isNode, isScalar, isSeq, type Pair } from "yaml";

const offsetOf = (node: unknown): number | undefined => (isNode(node) ? node.range?.[0] : undefined);

const keyOf = ({ key }: Pair): string => (isScalar(key) ? String(key.value) : "");

/** What is left of a path after a member of this name: `name`, `.name`, `[name]` or `["name"]`. */
const after = (path: string, name: string): string | undefined => {
  for (const form of [`.${name}`, name, `["${name}"]`, `[${name}]`]) {
    const rest = path.slice(form.length);
    if (path.startsWith(form) && (rest === "" || rest.startsWith(".") || rest.startsWith("["))) return rest;
  }
  return undefined;
};

/** Names of members may hold dots, so the longest that fits is taken. */
const memberOf = (pairs: readonly Pair[], path: string): { readonly pair: Pair; readonly rest: string } | undefined =>
  pairs
    .flatMap((pair) => {
      const rest = after(path, keyOf(pair));
      return rest === undefined || keyOf(pair) === "" ? [] : [{ pair, rest }];
    })
    .sort((left, right) => left.rest.length - right.rest.length)[0];

/** Offset in the text of the field that a path such as `spec.http[0].match` names, or of the nearest one around it. */
export const locate = (contents: unknown, path: string): number | undefined => {
  let node = contents;
  let rest = path;
  let offset = offsetOf(node);
  while (rest !== "") {
    if (isMap(node)) {
      const member = memberOf(node.items as readonly Pair[], rest);
      if (member === undefined) return offset;
      offset = offsetOf(member.pair.key) ?? offset;
      node = member.pair.value;
      rest = member.rest;
    } else if (isSeq(node)) {
      const index = /^\[(\d+)\]/.exec(rest);
      const item = index === null ? undefined : node.items[Number(index[1])];
      if (index === null || item === undefined) return offset;
      offset = offsetOf(item) ?? offset;
      node = item;
      rest = rest.slice(index[0].length);
    } else return offset;
  }
  return offset;
};
