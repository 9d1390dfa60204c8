import { createHash } from "node:crypto";
import type { EncodedResource, TypeUrl } from "../compile/resources.js";

/** Field tags of envoy.service.discovery.v3.DeltaDiscoveryResponse; all are length-delimited. */
const tags = { systemVersionInfo: 0x0a, resources: 0x12, typeUrl: 0x22, nonce: 0x2a, removedResources: 0x32 } as const;

const lengthOf = (size: number): Buffer => {
  const bytes: number[] = [];
  let rest = size;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
};

const field = (tag: number, value: Uint8Array): readonly Uint8Array[] => [
  Buffer.from([tag]),
  lengthOf(value.length),
  value,
];

export interface ResponseEncoder {
  /** Encodes a response without its nonce; equal contents give the same bytes while they are remembered. */
  readonly body: (type: TypeUrl, resources: readonly EncodedResource[], removed: readonly string[]) => Buffer;
  /** How many bodies were really encoded. */
  readonly encodes: () => number;
}

const rememberedBytes = 64 << 20;

export const createResponseEncoder = (): ResponseEncoder => {
  const remembered = new Map<string, Buffer>();
  let size = 0;
  let encodes = 0;
  const keyOf = (type: TypeUrl, resources: readonly EncodedResource[], removed: readonly string[]): string => {
    const hash = createHash("sha256").update(type);
    for (const { name, version } of resources) hash.update("\u0000+").update(name).update("\u0000").update(version);
    for (const name of removed) hash.update("\u0000-").update(name);
    return hash.digest("base64");
  };
  return {
    body: (type, resources, removed) => {
      const key = keyOf(type, resources, removed);
      const known = remembered.get(key);
      if (known !== undefined) return known;
      encodes++;
      const body = Buffer.concat([
        ...resources.flatMap(({ encoded }) => field(tags.resources, encoded)),
        ...field(tags.typeUrl, Buffer.from(type)),
        ...removed.flatMap((name) => field(tags.removedResources, Buffer.from(name))),
      ]);
      remembered.set(key, body);
      size += body.length;
      for (const [oldest, bytes] of remembered) {
        if (size <= rememberedBytes || oldest === key) break;
        remembered.delete(oldest);
        size -= bytes.length;
      }
      return body;
    },
    encodes: () => encodes,
  };
};

/** The whole message: a shared body and this stream's nonce. */
export const withNonce = (body: Buffer, nonce: string): Buffer =>
  Buffer.concat([body, ...field(tags.nonce, Buffer.from(nonce))]);
