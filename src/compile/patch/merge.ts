import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  isFieldSet,
  type JsonObject,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { envoyTypes, isTypedStruct, messageType, typeNameOf } from "./types.js";
import { sizeViolations, type Violation, violationsOf } from "./violations.js";

export interface MergeOptions {
  /** Lists of the source take the place of the target's instead of being appended; not within an Any. */
  readonly replaceLists: boolean;
}

/** Values, although the wire form of them is a message: half of one and half of another means nothing. */
const isValue = ({ typeName }: DescMessage): boolean =>
  /^google\.protobuf\.(Duration|Timestamp|FieldMask|Value|ListValue|\w+Value)$/.test(typeName);

interface TypedStruct extends Message {
  readonly typeUrl: string;
  readonly value?: JsonObject;
}

/** The source decoded as the target's type, which a TypedStruct may hold in JSON; undefined if it is another. */
const decodedAs = (source: Any, type: DescMessage): Message | undefined => {
  const name = typeNameOf(source.typeUrl);
  if (name === type.typeName) return fromBinary(type, source.value);
  const struct = isTypedStruct(name) ? messageType(name) : undefined;
  if (struct === undefined) return undefined;
  const { typeUrl, value } = fromBinary(struct, source.value) as TypedStruct;
  if (typeNameOf(typeUrl) !== type.typeName) return undefined;
  return fromJson(type, value ?? {}, { registry: envoyTypes() });
};

/** By an Any of a patch's value, which is laid over many. */
const decoded = new WeakMap<Any, { readonly type: DescMessage; readonly message: Message | undefined }>();

const sourceOf = (source: Any, type: DescMessage): Message | undefined => {
  const known = decoded.get(source);
  if (known?.type === type) return known.message;
  const message = decodedAs(source, type);
  decoded.set(source, { type, message });
  return message;
};

/** Whether the two hold the same type, so that one can be laid over the other. */
export const areMergeable = (target: Any, source: Any): boolean => {
  const type = messageType(typeNameOf(target.typeUrl));
  return type !== undefined && sourceOf(source, type) !== undefined;
};

type Fields = Record<string, unknown>;
type Choice = { readonly case?: string | undefined; readonly value?: unknown };

const valueIn = (message: Message, field: DescField): unknown => {
  if (field.oneof === undefined) return (message as unknown as Fields)[field.localName];
  const choice = (message as unknown as Fields)[field.oneof.localName] as Choice;
  return choice.case === field.localName ? choice.value : undefined;
};

const withValue = (field: DescField, value: unknown): Fields =>
  field.oneof === undefined
    ? { [field.localName]: value }
    : { [field.oneof.localName]: { case: field.localName, value } };

const check = (violations: readonly Violation[], path: string): void => {
  const [first] = violations;
  if (first !== undefined) throw new Error(`${path}${first.path === "" ? "" : `.${first.path}`} ${first.message}`);
};

/** By message of a patch's value, which is laid over many objects: whether it can stand by itself. */
const judged = new WeakMap<Message, readonly Violation[]>();

/** A message that comes into a place where none was must be whole. */
const whole = <T extends Message>(type: DescMessage, message: T, path: string): T => {
  let violations = judged.get(message);
  if (violations === undefined) {
    violations = violationsOf(type, message);
    judged.set(message, violations);
  }
  check(violations, path);
  return message;
};

const isMessage = (value: unknown): value is Message =>
  typeof value === "object" && value !== null && "$typeName" in value;

const nameOf = (message: Message): unknown => (message as Message & { readonly name?: unknown }).name;

const mergedAny = (target: Any, source: Any, path: string): Any => {
  const type = messageType(typeNameOf(target.typeUrl));
  const from = type === undefined ? undefined : sourceOf(source, type);
  if (type === undefined || from === undefined) return whole(AnySchema, source, path);
  const into = merged(type, fromBinary(type, target.value), from, { replaceLists: false }, path);
  return create(AnySchema, { typeUrl: target.typeUrl, value: toBinary(type, into) });
};

const mergedValue = (
  type: DescMessage,
  before: unknown,
  value: unknown,
  options: MergeOptions,
  path: string,
): unknown => {
  if (type.typeName === "google.protobuf.Struct")
    return { ...(before as JsonObject | undefined), ...(value as JsonObject) };
  if (!isMessage(value) || isValue(type)) return value;
  if (!isMessage(before)) return whole(type, value, path);
  if (type.typeName === "google.protobuf.Any") return mergedAny(before as Any, value as Any, path);
  const isOtherSocket = type.typeName === "envoy.config.core.v3.TransportSocket" && nameOf(before) !== nameOf(value);
  return isOtherSocket ? whole(type, value, path) : merged(type, before, value, options, path);
};

const mergedMap = (field: DescField & { fieldKind: "map" }, before: Fields, value: Fields, path: string): Fields => {
  const isAny = field.mapKind === "message" && field.message.typeName === "google.protobuf.Any";
  const entries = Object.entries(value).map(([key, item]) => {
    const at = `${path}[${JSON.stringify(key)}]`;
    if (isAny && before[key] !== undefined) return [key, mergedAny(before[key] as Any, item as Any, at)];
    return [key, isAny ? whole(AnySchema, item as Any, at) : item];
  });
  return { ...before, ...Object.fromEntries(entries) };
};

/**
 * `source` laid over `target`: what the source sets wins, messages go field by field, lists grow, map entries are
 * replaced, and messages in an Any are opened when they are of one type. Neither is changed; the outcome shares what it
 * can with both. Throws when it would lack what Envoy requires.
 */
export const merged = <T extends Message>(
  type: DescMessage,
  target: T,
  source: Message,
  options: MergeOptions,
  path = "",
): T => {
  let result: Message = target;
  for (const field of type.fields) {
    if (!isFieldSet(source, field)) continue;
    const at = path === "" ? field.name : `${path}.${field.name}`;
    const before = valueIn(target, field);
    const value = valueIn(source, field);
    let next = value;
    if (field.fieldKind === "list") {
      next = options.replaceLists ? value : [...(before as unknown[]), ...(value as unknown[])];
      check(sizeViolations(field, (next as unknown[]).length), at);
    } else if (field.fieldKind === "map") {
      next = mergedMap(field, before as Fields, value as Fields, at);
      check(sizeViolations(field, Object.keys(next as Fields).length), at);
    } else if (field.fieldKind === "message") next = mergedValue(field.message, before, value, options, at);
    result = { ...result, ...withValue(field, next) };
  }
  return result as T;
};
