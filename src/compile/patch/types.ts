import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { createFileRegistry, type DescMessage, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** Set when the program is bundled into one file: the descriptors, compressed, in base64. */
declare const HEDDLE_DESCRIPTORS: string | undefined;

const descriptors = (): Uint8Array =>
  typeof HEDDLE_DESCRIPTORS === "string"
    ? gunzipSync(Buffer.from(HEDDLE_DESCRIPTORS, "base64"))
    : readFileSync(new URL("../../proto/envoy.binpb", import.meta.url));

let loaded: FileRegistry | undefined;

/** Every message of the Envoy API. A part of the program that is loaded when the first EnvoyFilter needs it. */
export const envoyTypes = (): FileRegistry => {
  loaded ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors()));
  return loaded;
};

/** `type.googleapis.com/a.b.C` to `a.b.C`. */
export const typeNameOf = (typeUrl: string): string => typeUrl.slice(typeUrl.lastIndexOf("/") + 1);

export const messageType = (typeName: string): DescMessage | undefined => envoyTypes().getMessage(typeName);

/** Throws for a name that the Envoy API does not have. */
export const knownType = (typeName: string): DescMessage => {
  const type = messageType(typeName);
  if (type === undefined) throw new Error(`${typeName} is not a message of the Envoy API`);
  return type;
};

export const isTypedStruct = (typeName: string): boolean =>
  typeName === "xds.type.v3.TypedStruct" || typeName === "udpa.type.v1.TypedStruct";
