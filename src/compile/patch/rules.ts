import { type DescField, getOption, type Message } from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { RE2JS } from "re2js";
import {
  type FieldRules,
  FieldRulesSchema,
  KnownRegex,
  rules as rulesOption,
} from "../../proto/validate/validate_pb.js";

/** What is wrong with a value, or undefined. */
export type Check = (value: unknown) => string | undefined;

export interface Constraints {
  readonly isRequired: boolean;
  readonly isSkipped: boolean;
  /** On the value itself: text, number, duration, or the size of a list or map. */
  readonly checks: readonly Check[];
  readonly ofItems: readonly Check[];
  readonly ofKeys: readonly Check[];
}

const seconds = ({ seconds: whole, nanos }: Duration): number => Number(whole) + nanos / 1e9;

const isDuration = (value: unknown): value is Duration =>
  typeof value === "object" && value !== null && "seconds" in value && "nanos" in value;

/** Numbers and durations alike, so that they can be compared. */
const numeric = (value: unknown): number => (isDuration(value) ? seconds(value) : Number(value));
const shown = (value: unknown): string => (isDuration(value) ? `${seconds(value)}s` : String(value));

const headerPatterns: Readonly<Record<number, readonly [strict: RegExp, lax: RegExp]>> = {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that no header may hold
  [KnownRegex.HTTP_HEADER_NAME]: [/^:?[\w!#$%&'*+\-.^|~`]+$/, /^[^\u0000\n\r]+$/],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that no header may hold
  [KnownRegex.HTTP_HEADER_VALUE]: [/^[^\u0000-\u0008\u000a-\u001f\u007f]*$/, /^[^\u0000\n\r]*$/],
};

type Make = (limit: never, all: Readonly<Record<string, unknown>>) => Check;

const bound =
  (fits: (value: number, limit: number) => boolean, words: string): Make =>
  (limit: unknown) =>
  (value) =>
    fits(numeric(value), numeric(limit)) ? undefined : `must be ${words} ${shown(limit)}`;
const size =
  (of: (value: string | Uint8Array) => number, fits: (value: number, limit: number) => boolean, words: string): Make =>
  (limit: bigint) =>
  (value) =>
    fits(of(value as string), Number(limit)) ? undefined : `must have ${words} ${limit}`;

const atLeast = (value: number, limit: number): boolean => value >= limit;
const atMost = (value: number, limit: number): boolean => value <= limit;
const characters = (value: string | Uint8Array): number =>
  typeof value === "string" ? [...value].length : value.length;
const bytes = (value: string | Uint8Array): number =>
  typeof value === "string" ? Buffer.byteLength(value) : value.length;
const listed = (values: Iterable<unknown>): readonly unknown[] => [...values];

/** By the name of the rule in validate.proto; a rule that is not here is left to the proxy. */
const makers: Readonly<Record<string, Make>> = {
  lt: bound((value, limit) => value < limit, "less than"),
  lte: bound(atMost, "at most"),
  gt: bound((value, limit) => value > limit, "more than"),
  gte: bound(atLeast, "at least"),
  in: (allowed: Iterable<unknown>) => (value) =>
    listed(allowed).includes(value) ? undefined : `must be one of ${listed(allowed).join(", ")}`,
  not_in: (refused: Iterable<unknown>) => (value) =>
    listed(refused).includes(value) ? `must not be one of ${listed(refused).join(", ")}` : undefined,
  const: (wanted: unknown) => (value) => (value === wanted ? undefined : `must be ${shown(wanted)}`),
  min_len: size(characters, atLeast, "at least this many characters:"),
  max_len: size(characters, atMost, "at most this many characters:"),
  min_bytes: size(bytes, atLeast, "at least this many bytes:"),
  max_bytes: size(bytes, atMost, "at most this many bytes:"),
  prefix: (wanted: string) => (value) =>
    String(value).startsWith(wanted) ? undefined : `must begin with ${JSON.stringify(wanted)}`,
  suffix: (wanted: string) => (value) =>
    String(value).endsWith(wanted) ? undefined : `must end with ${JSON.stringify(wanted)}`,
  pattern: (text: string) => {
    const pattern = RE2JS.compile(text);
    return (value) => (pattern.matcher(String(value)).find() ? undefined : `must match ${text}`);
  },
  well_known_regex: (known: KnownRegex, { strict }) => {
    const pattern = headerPatterns[known]?.[strict === false ? 1 : 0];
    return (value) => (pattern?.test(String(value)) === false ? "is not fit for an HTTP header" : undefined);
  },
  min_items: (limit: bigint) => (value) => (numeric(value) < limit ? `needs at least ${limit}` : undefined),
  max_items: (limit: bigint) => (value) => (numeric(value) > limit ? `takes at most ${limit}` : undefined),
  min_pairs: (limit: bigint) => (value) => (numeric(value) < limit ? `needs at least ${limit}` : undefined),
  max_pairs: (limit: bigint) => (value) => (numeric(value) > limit ? `takes at most ${limit}` : undefined),
};

const valuesOf = (rules: ReflectMessage): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    rules.fields
      .filter((field) => rules.isSet(field))
      .map((field) => {
        const value = rules.get(field);
        return [field.name, isReflectMessage(value) ? value.message : value];
      }),
  );

const checksOf = (values: Readonly<Record<string, unknown>>): readonly Check[] =>
  Object.entries(values).flatMap(([name, limit]) => {
    const check = makers[name]?.(limit as never, values);
    if (check === undefined) return [];
    return values["ignore_empty"] === true ? [(value) => (value === "" ? undefined : check(value))] : [check];
  });

const none: Constraints = { isRequired: false, isSkipped: false, checks: [], ofItems: [], ofKeys: [] };

const constraintsIn = (rules: FieldRules | undefined): Constraints => {
  if (rules === undefined) return none;
  const { message, type } = rules;
  const required = message?.required === true;
  const skipped = message?.skip === true;
  if (type.case === undefined) return { ...none, isRequired: required, isSkipped: skipped };
  const field = FieldRulesSchema.fields.find(({ localName }) => localName === type.case)!;
  const values = valuesOf(reflect(field.message!, type.value as Message));
  const nested = (name: string): readonly Check[] => constraintsIn(values[name] as FieldRules | undefined).checks;
  return {
    isRequired: required || values["required"] === true,
    isSkipped: skipped,
    checks: checksOf(values),
    ofItems: type.case === "map" ? nested("values") : nested("items"),
    ofKeys: nested("keys"),
  };
};

const known = new WeakMap<DescField, Constraints>();

/** The rules that Envoy's own protos lay down for a field, and Envoy checks on receipt. */
export const constraintsOf = (field: DescField): Constraints => {
  const before = known.get(field);
  if (before !== undefined) return before;
  const made = field.proto.options === undefined ? none : constraintsIn(getOption(field, rulesOption));
  known.set(field, made);
  return made;
};
