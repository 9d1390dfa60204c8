import type { TSchema } from "typebox";
import { error, member, warning } from "./findings.js";
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
  readonly maxProperties?: number;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
}

export const nodeOf = (schema: TSchema): SchemaNode => schema as SchemaNode;

export const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Where a schema has no limit of its own; no resource that an API server takes comes near it. */
const mostEntries = 50_000;

/** More would help nobody, and looking for near misses of each would take long. */
const mostUnknown = 20;

/**
 * The value as protobuf's JSON would have it, for a schema: null is unset, whole numbers may be written as strings, and
 * unknown fields are left out, with a warning each. What is too long is an error, and cut so that looking at the rest
 * takes no time. What is fine already is returned as it is; nothing is changed in place. Free-form parts are not looked
 * into.
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

  const cut = (length: number, most: number, what: string, at: string): boolean => {
    if (length <= most) return false;
    findings.push(error(at, `has ${length} ${what}; give at most ${most}`));
    return true;
  };

  const ofMap = (values: SchemaNode, most: number, fields: Fields, at: string): Fields => {
    if (Object.keys(values).length === 0) return fields;
    const all = Object.entries(fields);
    const isCut = cut(all.length, most, "entries", at);
    const entries = all.slice(0, most).map(([name, before]) => [name, of(values, before, at)] as const);
    return isCut || entries.some(([name, after]) => after !== fields[name]) ? Object.fromEntries(entries) : fields;
  };

  const ofList = (items: SchemaNode, most: number, before: readonly unknown[], at: string): readonly unknown[] => {
    const isCut = cut(before.length, most, "items", at);
    const after = before.slice(0, most).map((item, index) => of(items, item, `${at}[${index}]`));
    return isCut || after.some((item, index) => item !== before[index]) ? after : before;
  };

  const of = (node: SchemaNode, before: unknown, at: string): unknown => {
    if (node.type === "integer" && typeof before === "string" && /^-?\d{1,15}$/.test(before)) return Number(before);
    if (node.items !== undefined && Array.isArray(before))
      return ofList(node.items, node.maxItems ?? mostEntries, before, at);
    if (!isObject(before)) return before;
    if (node.properties !== undefined) return ofObject(node.properties, before, at);
    const [values] = Object.values(node.patternProperties ?? {});
    return values === undefined ? before : ofMap(values, node.maxProperties ?? mostEntries, before, at);
  };

  return { value: of(schema, value, path), findings };
};
