import { createHash } from "node:crypto";
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { ResourceSchema } from "../proto/envoy/service/discovery/v3/discovery_pb.js";
import type { EncodedResource, TypeUrl } from "./resources.js";

/** A message in an Any, built from its initial values. */
export const packed = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any =>
  anyPack(schema, message);

const varint = (value: number): Uint8Array => {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
};

/** A field of the wire format that holds bytes: a message in it, or a text. */
export const lengthDelimited = (field: number, value: Uint8Array): Uint8Array =>
  Buffer.concat([varint((field << 3) | 2), varint(value.length), value]);

const known = new Map<string, WeakRef<EncodedResource>>();
const forgotten = new FinalizationRegistry<string>((key) => {
  if (known.get(key)?.deref() === undefined) known.delete(key);
});

/** A resource of these bytes; the same bytes under the same name are one object, whoever made them. */
export const resourceOf = (type: TypeUrl, name: string, value: Uint8Array): EncodedResource => {
  const version = createHash("sha256").update(value).digest("base64url").slice(0, 16);
  const key = `${type} ${name} ${version}`;
  const before = known.get(key)?.deref();
  if (before !== undefined) return before;
  const resource = create(ResourceSchema, { name, version, resource: create(AnySchema, { typeUrl: type, value }) });
  const made = { name, version, encoded: toBinary(ResourceSchema, resource) };
  known.set(key, new WeakRef(made));
  forgotten.register(made, key);
  return made;
};

export const encodeResource = <Desc extends DescMessage>(
  type: TypeUrl,
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): EncodedResource => resourceOf(type, name, toBinary(schema, message));
