import type { TSchema } from "typebox";
import { member, warning } from "./findings.js";
import type { Finding } from "./kind.js";
import { suggest } from "./suggest.js";

type Fields = Readonly<Record<string, unknown>>;

/** The part of JSON Schema that kinds are written in. */
export interface SchemaNode {
  readonly type?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly maxItems?: number;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
}

export const nodeOf = (schema: TSchema): SchemaNode => schema as SchemaNode;

export const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** More would help nobody, and looking for near misses of each would take long. */
const mostUnknown = 20;

/**
 * The value as protobuf's JSON would have it, for a schema: null is unset, whole numbers may be written as strings, and
 * unknown fields are left out, with a warning each. What is fine already is returned as it is; nothing is changed in
 * place. Free-form parts are not looked into.
 */
export const normalize = (
  schema: SchemaNode,
  value: unknown,
  path: string,
): { readonly value: unknown; readonly findings: readonly Finding[] } => {
  const findings: Finding[] = [];
  let unknown = 0;

  const tellUnknown = (name: string, at: string, known: readonly string[]): void => {
    unknown += 1;
    if (unknown <= mostUnknown)
      findings.push(warning(member(at, name), `unknown field, which is not used: ${suggest(name, known)}`));
    if (unknown === mostUnknown + 1) findings.push(warning(at, "more unknown fields follow, none of which is used"));
  };

  const ofObject = (properties: Readonly<Record<string, SchemaNode>>, fields: Fields, at: string): Fields => {
    let changed = false;
    const entries = Object.entries(fields).flatMap(([name, before]): (readonly [string, unknown])[] => {
      const node = Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (node === undefined || before === null) {
        changed = true;
        if (node === undefined) tellUnknown(name, at, Object.keys(properties));
        return [];
      }
      const after = of(node, before, `${at}.${name}`);
      changed ||= after !== before;
      return [[name, after]];
    });
    return changed ? Object.fromEntries(entries) : fields;
  };

  const ofMap = (node: SchemaNode, fields: Fields, at: string): Fields => {
    if (Object.keys(node).length === 0) return fields;
    const entries = Object.entries(fields).map(([name, before]) => [name, of(node, before, at)] as const);
    return entries.some(([name, after]) => after !== fields[name]) ? Object.fromEntries(entries) : fields;
  };

  const of = (node: SchemaNode, before: unknown, at: string): unknown => {
    if (node.type === "integer" && typeof before === "string" && /^-?\d{1,15}$/.test(before)) return Number(before);
    if (node.items !== undefined && Array.isArray(before)) {
      const { items, maxItems = Number.POSITIVE_INFINITY } = node;
      if (before.length > maxItems) return before;
      const after = before.map((item, index) => of(items, item, `${at}[${index}]`));
      return after.some((item, index) => item !== before[index]) ? after : before;
    }
    if (!isObject(before)) return before;
    if (node.properties !== undefined) return ofObject(node.properties, before, at);
    const [values] = Object.values(node.patternProperties ?? {});
    return values === undefined ? before : ofMap(values, before, at);
  };

  return { value: of(schema, value, path), findings };
};
