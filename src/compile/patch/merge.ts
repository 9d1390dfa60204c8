import {
  clone,
  create,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonObject,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { envoyTypes, isTypedStruct, messageType, typeNameOf } from "./types.js";

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

/** The source as bytes of the target's type: a TypedStruct may hold that type in JSON. */
const sourceOf = (source: Any, type: DescMessage): Message | undefined => {
  const name = typeNameOf(source.typeUrl);
  if (name === type.typeName) return fromBinary(type, source.value);
  const struct = isTypedStruct(name) ? messageType(name) : undefined;
  if (struct === undefined) return undefined;
  const { typeUrl, value } = fromBinary(struct, source.value) as TypedStruct;
  if (typeNameOf(typeUrl) !== type.typeName) return undefined;
  return fromJson(type, value ?? {}, { registry: envoyTypes() });
};

/** Whether the two hold the same type, so that one can be laid over the other. */
export const areMergeable = (target: Any, source: Any): boolean => {
  const type = messageType(typeNameOf(target.typeUrl));
  return type !== undefined && sourceOf(source, type) !== undefined;
};

const mergedAny = (target: Any, source: Any): Any => {
  const type = messageType(typeNameOf(target.typeUrl));
  const from = type === undefined ? undefined : sourceOf(source, type);
  if (type === undefined || from === undefined) return clone(AnySchema, source);
  const into = fromBinary(type, target.value);
  merge(type, into, from, { replaceLists: false });
  return create(AnySchema, { typeUrl: target.typeUrl, value: toBinary(type, into) });
};

const nameOf = (message: Message): unknown => (message as Message & { readonly name?: unknown }).name;

const mergedMessage = (type: DescMessage, target: Message, source: Message, options: MergeOptions): Message => {
  if (type.typeName === "google.protobuf.Any") return mergedAny(target as Any, source as Any);
  const isOtherSocket = type.typeName === "envoy.config.core.v3.TransportSocket" && nameOf(target) !== nameOf(source);
  if (isValue(type) || isOtherSocket) return clone(type, source);
  merge(type, target, source, options);
  return target;
};

const cloned = (message: ReflectMessage): ReflectMessage => reflect(message.desc, clone(message.desc, message.message));

/**
 * Lays `source` over `target`, which is changed: what the source sets wins, messages go field by field, lists grow, map
 * entries are replaced, and messages in an Any are opened when they are of one type.
 */
export const merge = (type: DescMessage, target: Message, source: Message, options: MergeOptions): void => {
  const into = reflect(type, target);
  const from = reflect(type, source);
  for (const field of type.fields) {
    if (!from.isSet(field)) continue;
    switch (field.fieldKind) {
      case "scalar":
      case "enum":
        into.set(field, from.get(field));
        break;
      case "list": {
        const items = into.get(field);
        if (options.replaceLists) items.clear();
        for (const item of from.get(field))
          items.add(field.listKind === "message" ? cloned(item as ReflectMessage) : item);
        break;
      }
      case "map": {
        const entries = into.get(field);
        for (const [key, value] of from.get(field)) {
          const before = entries.get(key as never) as ReflectMessage | undefined;
          if (field.mapKind !== "message") entries.set(key as never, value);
          else if (before !== undefined && field.message.typeName === "google.protobuf.Any")
            entries.set(
              key as never,
              reflect(AnySchema, mergedAny(before.message as Any, (value as ReflectMessage).message as Any)),
            );
          else entries.set(key as never, cloned(value as ReflectMessage));
        }
        break;
      }
      case "message": {
        const value = from.get(field);
        if (!into.isSet(field)) into.set(field, cloned(value));
        else {
          const merged = mergedMessage(field.message, into.get(field).message, value.message, options);
          into.set(field, reflect(field.message, merged));
        }
      }
    }
  }
};
