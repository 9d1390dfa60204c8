import {
  type DescField,
  type DescMessage,
  type DescOneof,
  fromBinary,
  getOption,
  type Message,
} from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Any, FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { required } from "../../proto/validate/validate_pb.js";
import { extensionProblem } from "./extensions.js";
import { type Check, constraintsOf } from "./rules.js";
import { messageType, typeNameOf } from "./types.js";

export interface Violation {
  readonly path: string;
  readonly message: string;
}

interface Walk {
  /** Only what is set is judged: the rest comes from what the value is laid over. */
  readonly isPartial: boolean;
  readonly report: (path: string, message: string) => void;
}

const join = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

const run = (checks: readonly Check[], value: unknown, path: string, { report }: Walk, isShown = true): void => {
  for (const check of checks) {
    const problem = check(value);
    if (problem === undefined) continue;
    const isPlain = isShown && ["string", "number", "bigint", "boolean"].includes(typeof value);
    report(path, `${isPlain ? `${JSON.stringify(typeof value === "bigint" ? Number(value) : value)} ` : ""}${problem}`);
  }
};

/** The value that rules are about: a wrapper's content, a duration as it is. */
const content = (value: unknown): unknown => {
  if (!isReflectMessage(value)) return value;
  const { typeName } = value.desc;
  return /^google\.protobuf\.\w+Value$/.test(typeName)
    ? (value.message as Message & { readonly value?: unknown }).value
    : value.message;
};

const walkAny = (any: Any, path: string, walk: Walk): void => {
  const type = messageType(typeNameOf(any.typeUrl));
  if (type !== undefined && !type.typeName.startsWith("google.protobuf."))
    walkMessage(reflect(type, fromBinary(type, any.value)), path, walk);
};

const walkNested = (value: unknown, path: string, walk: Walk): void => {
  if (!isReflectMessage(value)) return;
  if (value.desc.typeName === "google.protobuf.Any") walkAny(value.message as Any, path, walk);
  else if (!value.desc.typeName.startsWith("google.protobuf.")) walkMessage(value, path, walk);
};

/** Of a list or map of so many entries. */
export const sizeViolations = (field: DescField, size: number): readonly Violation[] =>
  constraintsOf(field).checks.flatMap((check) => {
    const message = check(size);
    return message === undefined ? [] : [{ path: "", message }];
  });

const walkField = (message: ReflectMessage, field: DescField, path: string, walk: Walk): void => {
  const rules = constraintsOf(field);
  const isSet = message.isSet(field);
  if (!isSet && rules.isRequired && field.oneof === undefined && !walk.isPartial)
    walk.report(path, "is required; add it");
  // A plain text or number that is not said is "" or 0, which may break a rule; in a oneof it is another choice.
  const isOptional =
    field.oneof !== undefined ||
    (field.fieldKind !== "list" && field.fieldKind !== "map" && field.presence !== FeatureSet_FieldPresence.IMPLICIT);
  if (!isSet && (isOptional || walk.isPartial)) return;
  const whole: Walk = { ...walk, isPartial: false };
  if (field.fieldKind === "list") {
    const list = message.get(field);
    if (!walk.isPartial) run(rules.checks, list.size, path, walk, false);
    for (const [index, item] of [...list].entries()) {
      run(rules.ofItems, content(item), `${path}[${index}]`, walk);
      walkNested(item, `${path}[${index}]`, whole);
    }
  } else if (field.fieldKind === "map") {
    const map = message.get(field);
    if (!walk.isPartial) run(rules.checks, map.size, path, walk, false);
    for (const [key, item] of map) {
      const at = `${path}[${JSON.stringify(key)}]`;
      run(rules.ofKeys, key, at, walk);
      run(rules.ofItems, content(item), at, walk);
      // An Any in a map is opened and merged as a field is.
      walkNested(item, at, walk);
    }
  } else {
    const value = message.get(field);
    run(rules.checks, content(value), path, walk);
    if (!rules.isSkipped) walkNested(value, path, walk);
  }
};

const requiredOneofs = new WeakMap<DescOneof, boolean>();

const isRequired = (oneof: DescOneof): boolean => {
  let known = requiredOneofs.get(oneof);
  if (known === undefined) {
    known = oneof.proto.options !== undefined && getOption(oneof, required);
    requiredOneofs.set(oneof, known);
  }
  return known;
};

/** What the protos leave open, for the sake of listeners that no EnvoyFilter makes. */
const alwaysNeeded: Readonly<Record<string, readonly string[]>> = {
  "envoy.config.listener.v3.Listener": ["address", "filter_chains"],
};

const walkMessage = (message: ReflectMessage, path: string, walk: Walk): void => {
  for (const field of message.fields) walkField(message, field, join(path, field.name), walk);
  const problem = extensionProblem(message, walk.isPartial);
  if (problem !== undefined) walk.report(join(path, "typed_config"), problem);
  if (walk.isPartial) return;
  for (const name of alwaysNeeded[message.desc.typeName] ?? []) {
    const field = message.fields.find((each) => each.name === name);
    if (field !== undefined && !message.isSet(field)) walk.report(join(path, name), "is required; add it");
  }
  for (const oneof of message.desc.oneofs)
    if (isRequired(oneof) && message.oneofCase(oneof) === undefined)
      walk.report(path, `needs one of ${oneof.fields.map(({ name }) => name).join(", ")}; add one`);
};

/**
 * Where a message breaks the rules of Envoy's protos, for which Envoy would refuse it and all that comes with it. A value
 * that is to be merged (`isPartial`) is judged by what it sets alone.
 */
export const violationsOf = (type: DescMessage, message: Message, isPartial = false): readonly Violation[] => {
  const violations: Violation[] = [];
  walkMessage(reflect(type, message), "", {
    isPartial,
    report: (path, text) => violations.push({ path, message: text }),
  });
  return violations;
};
