import { createHash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import type { EncodedResource, TypeUrl } from "./resources.js";

/** A message in an Any, built from its initial values. */
export const packed = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any =>
  anyPack(schema, message);

/** An unsigned number in the wire format. */
export const varint = (value: number): Uint8Array => {
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

/** Some of a message's fields, encoded; messages that share them are neither encoded nor hashed anew. */
export interface Fragment {
  readonly bytes: Uint8Array;
  readonly digest: string;
}

const digestOf = (content: Uint8Array | string): string =>
  createHash("sha256").update(content).digest("base64url").slice(0, 16);

export const fragmentOf = (bytes: Uint8Array): Fragment => ({ bytes, digest: digestOf(bytes) });

/** Not of the pool of small buffers, a part of which would keep all of it. */
const joined = (parts: readonly Uint8Array[]): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

export const bytesOf = (fragments: readonly Fragment[]): Uint8Array => joined(fragments.map(({ bytes }) => bytes));

/** The `envoy.service.discovery.v3.Resource` (version 1, resource 2, name 3) with its Any (type_url 1, value 2). */
const wrapped = (type: TypeUrl, name: string, version: string, fragments: readonly Fragment[]): Uint8Array => {
  const header = (field: number, length: number): Uint8Array =>
    Buffer.from([...varint((field << 3) | 2), ...varint(length)]);
  const typeField = lengthDelimited(1, Buffer.from(type));
  const length = fragments.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const valueHeader = length === 0 ? new Uint8Array() : header(2, length);
  return joined([
    lengthDelimited(1, Buffer.from(version)),
    header(2, typeField.length + valueHeader.length + length),
    typeField,
    valueHeader,
    ...fragments.map(({ bytes }) => bytes),
    lengthDelimited(3, Buffer.from(name)),
  ]);
};

/** A resource of these bytes; the same bytes under the same name are one object, whoever made them. */
export const resourceOf = (type: TypeUrl, name: string, fragments: readonly Fragment[]): EncodedResource => {
  const digests = fragments.map(({ digest }) => digest);
  const version = digests.length === 1 ? digests[0]! : digestOf(digests.join());
  const key = `${type} ${name} ${version}`;
  const before = known.get(key)?.deref();
  if (before !== undefined) return before;
  const made = { name, version, encoded: wrapped(type, name, version, fragments) };
  known.set(key, new WeakRef(made));
  forgotten.register(made, key);
  return made;
};

export const encodeResource = <Desc extends DescMessage>(
  type: TypeUrl,
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): EncodedResource => resourceOf(type, name, [fragmentOf(toBinary(schema, message))]);
