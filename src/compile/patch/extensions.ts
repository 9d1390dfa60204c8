import { fromBinary, type Message } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import type { Any } from "@bufbuild/protobuf/wkt";
import { isTypedStruct, messageType, typeNameOf } from "./types.js";

/** Messages that stand for an extension, which Envoy finds by the type of `config_type`; and where its types live. */
const holders: Readonly<Record<string, string | undefined>> = {
  "envoy.config.listener.v3.ListenerFilter": "listener",
  "envoy.config.listener.v3.Filter": "network",
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": "http",
  "envoy.config.core.v3.TransportSocket": undefined,
};

/** The name of the type that the configuration is of, also within a TypedStruct. */
export const configuredType = (any: Any): string => {
  const name = typeNameOf(any.typeUrl);
  const struct = isTypedStruct(name) ? messageType(name) : undefined;
  if (struct === undefined) return name;
  return typeNameOf((fromBinary(struct, any.value) as Message & { readonly typeUrl: string }).typeUrl);
};

/** What is wrong with the configuration of an extension, beyond the rules of the protos; undefined for other messages. */
export const extensionProblem = (holder: ReflectMessage, isPartial: boolean): string | undefined => {
  if (!Object.hasOwn(holders, holder.desc.typeName)) return undefined;
  const choice = holder.oneofs.find(({ name }) => name === "config_type");
  const field = choice === undefined ? undefined : holder.oneofCase(choice);
  if (field === undefined) return isPartial ? undefined : "is required: Envoy finds an extension by its type; add it";
  const level = holders[holder.desc.typeName];
  if (level === undefined || field.name !== "typed_config" || field.fieldKind !== "message") return undefined;
  const type = configuredType(holder.get(field).message as Any);
  const other = /^envoy\.extensions\.filters\.(listener|network|http|udp)\./.exec(type)?.[1];
  return other === undefined || other === level
    ? undefined
    : `${type} is a filter of the ${other} level and not of the ${level} level; use it there`;
};
