import { suggest } from "../../api/suggest.js";

/** What one value of an installation may be. `object` and `list` are free below: Kubernetes or the mesh reads them. */
export type Field =
  | { readonly kind: "string"; readonly default: string; readonly pattern?: RegExp; readonly hint: string }
  | { readonly kind: "choice"; readonly default: string; readonly choices: readonly string[]; readonly hint: string }
  | {
      readonly kind: "integer";
      readonly default: number;
      readonly minimum: number;
      readonly maximum: number;
      readonly hint: string;
    }
  | { readonly kind: "boolean"; readonly default: boolean; readonly hint: string }
  | { readonly kind: "object"; readonly default: Readonly<Record<string, unknown>>; readonly hint: string }
  | { readonly kind: "list"; readonly default: readonly unknown[]; readonly hint: string };

export type Tree = { readonly [name: string]: Field | Tree };

/** The values that a tree of fields describes. */
export type ValuesOf<T> = T extends { readonly kind: string; readonly default: infer Value }
  ? Value
  : { readonly [Key in keyof T]: ValuesOf<T[Key]> };

export const isField = (node: Field | Tree): node is Field => typeof node["kind"] === "string";

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Every leaf of the tree through `leaf`, in the same shape. */
export const mapTree = (
  tree: Tree,
  leaf: (path: string, field: Field) => unknown,
  under = "",
): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(tree).map(([name, node]) => {
      const path = under === "" ? name : `${under}.${name}`;
      return [name, isField(node) ? leaf(path, node) : mapTree(node, leaf, path)];
    }),
  );

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

const fault = (field: Field, value: unknown): string | undefined => {
  switch (field.kind) {
    case "string":
      return typeof value === "string" && (field.pattern?.test(value) ?? true) ? undefined : "is not such a text";
    case "choice":
      return field.choices.includes(value as string)
        ? undefined
        : `is none of ${field.choices.map((choice) => `"${choice}"`).join(", ")}`;
    case "integer":
      return Number.isInteger(value) && (value as number) >= field.minimum && (value as number) <= field.maximum
        ? undefined
        : `is not a whole number from ${field.minimum} to ${field.maximum}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : "is neither true nor false";
    case "object":
      return isObject(value) ? undefined : "is not an object";
    case "list":
      return Array.isArray(value) ? undefined : "is not a list";
  }
};

/** Everything wrong with `values`, which may leave out anything. One line each: value, what is wrong, what to write. */
export const faultsOf = (tree: Tree, values: unknown, under = ""): readonly string[] => {
  if (!isObject(values)) return [`${under === "" ? "the values" : under}: ${show(values)} is not an object`];
  return Object.entries(values).flatMap(([name, value]) => {
    const path = under === "" ? name : `${under}.${name}`;
    const node = Object.hasOwn(tree, name) ? tree[name] : undefined;
    if (node === undefined) {
      const paths = Object.keys(tree).map((known) => (under === "" ? known : `${under}.${known}`));
      return [`${path}: unknown value; ${suggest(path, paths)}`];
    }
    if (!isField(node)) return faultsOf(node, value, path);
    const wrong = fault(node, value);
    return wrong === undefined ? [] : [`${path}: ${show(value)} ${wrong}; give ${node.hint}`];
  });
};

/** `over` wins key by key; lists and scalars are replaced whole, and null takes a key away. */
export const merge = (
  under: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> => {
  const merged = new Map(Object.entries(under));
  for (const [name, value] of Object.entries(over)) {
    const below = merged.get(name);
    if (value === null) merged.delete(name);
    else merged.set(name, isObject(value) ? merge(isObject(below) ? below : {}, value) : value);
  }
  return Object.fromEntries(merged);
};
