import { varint } from "../compile/encode.js";
import { type EncodedResource, type TypeUrl, typeUrls } from "../compile/resources.js";
import { type DeflatedPart, deflatePart, joinParts } from "./deflate.js";

/** Field tags of envoy.service.discovery.v3.DeltaDiscoveryResponse; all are length-delimited. */
const tags = { resources: 0x12, typeUrl: 0x22, nonce: 0x2a, removedResources: 0x32 } as const;

const field = (tag: number, value: Uint8Array): readonly Uint8Array[] => [
  Buffer.from([tag]),
  varint(value.length),
  value,
];

/** One response as gRPC frames it. Proxies that are sent the same share the bytes, and so the nonce. */
export interface ResponseMessage {
  readonly nonce: string;
  readonly buffers: readonly Buffer[];
  readonly length: number;
}

export interface ResponseEncoder {
  /**
   * A response with the resources of each layer, in order. A layer's part is encoded, and compressed, once for all
   * responses that hold it, and the response once for all proxies that are sent it, while they are remembered.
   */
  readonly message: (
    type: TypeUrl,
    layers: readonly (readonly EncodedResource[])[],
    removed: readonly string[],
    mayDeflate: boolean,
  ) => ResponseMessage;
  /** How many responses were really encoded. */
  readonly encodes: () => number;
}

interface Part {
  readonly id: number;
  readonly resources: readonly EncodedResource[];
  readonly size: number;
  plain: Buffer | undefined;
  deflated: DeflatedPart | undefined;
}

const rememberedBytes = 32 << 20;
/** Below this, compression saves less than a packet. */
const smallestDeflated = 1024;
/** What zlib can store in one block. */
const largestStored = 65_535;

const sameResources = (a: readonly EncodedResource[], b: readonly EncodedResource[]): boolean =>
  a.length === b.length &&
  a.every((one, at) => {
    const other = b[at]!;
    return one === other || (one.version === other.version && one.name === other.name);
  });

/** A map that forgets what was used least recently once it holds more than `limit` bytes. */
const createMemory = <Value>(limit: number) => {
  const entries = new Map<string, { readonly value: Value; readonly size: number }>();
  let total = 0;
  return {
    get: (key: string): Value | undefined => {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set: (key: string, value: Value, size: number): void => {
      total += size - (entries.get(key)?.size ?? 0);
      entries.delete(key);
      entries.set(key, { value, size });
      for (const [oldest, entry] of entries) {
        if (total <= limit || oldest === key) break;
        entries.delete(oldest);
        total -= entry.size;
      }
    },
  };
};

export const createResponseEncoder = (): ResponseEncoder => {
  const parts = createMemory<readonly Part[]>(rememberedBytes);
  const messages = createMemory<ResponseMessage>(rememberedBytes);
  let partsMade = 0;
  let encodes = 0;

  const newPart = (resources: readonly EncodedResource[]): Part => {
    const size = resources.reduce((sum, { encoded }) => sum + encoded.length + 6, 0);
    return { id: ++partsMade, resources, size, plain: undefined, deflated: undefined };
  };

  const partOf = (type: TypeUrl, resources: readonly EncodedResource[]): Part => {
    const [first, last] = [resources[0]!, resources.at(-1)!];
    const key = [type, resources.length, first.name, first.version, last.name, last.version].join("\u0000");
    const alike = parts.get(key) ?? [];
    const known = alike.find((part) => sameResources(part.resources, resources));
    if (known !== undefined) return known;
    const part = newPart(resources);
    const kept = [part, ...alike.slice(0, 7)];
    parts.set(
      key,
      kept,
      kept.reduce((sum, each) => sum + each.size, 0),
    );
    return part;
  };

  const plainOf = (part: Part): Buffer => {
    part.plain ??= Buffer.concat(part.resources.flatMap(({ encoded }) => field(tags.resources, encoded)));
    return part.plain;
  };

  const deflatedOf = (part: Part): DeflatedPart => {
    part.deflated ??= deflatePart(plainOf(part));
    part.plain = undefined;
    return part.deflated;
  };

  const encode = (
    type: TypeUrl,
    used: readonly Part[],
    removed: readonly string[],
    mayDeflate: boolean,
  ): ResponseMessage => {
    const nonce = (++encodes).toString(36);
    const rest = Buffer.concat([
      ...field(tags.typeUrl, Buffer.from(type)),
      ...removed.flatMap((name) => field(tags.removedResources, Buffer.from(name))),
      ...field(tags.nonce, Buffer.from(nonce)),
    ]);
    const size = used.reduce((sum, part) => sum + part.size, 0);
    const deflates = mayDeflate && size >= smallestDeflated && rest.length <= largestStored;
    const content = deflates ? joinParts(used.map(deflatedOf), rest) : [...used.map(plainOf), rest];
    const length = content.reduce((sum, { length: each }) => sum + each, 0);
    const header = Buffer.alloc(5);
    header[0] = deflates ? 1 : 0;
    header.writeUInt32BE(length, 1);
    const buffers = length < 16_384 ? [Buffer.concat([header, ...content])] : [header, ...content];
    return { nonce, buffers, length: length + header.length };
  };

  return {
    message: (type, layers, removed, mayDeflate) => {
      // A private key is one proxy's: nobody else is sent it, and it is not to outlive its proxy here.
      if (type === typeUrls.secret) return encode(type, layers.map(newPart), removed, false);
      const used = layers.filter((resources) => resources.length > 0).map((each) => partOf(type, each));
      const key = [type, mayDeflate, ...used.map(({ id }) => id), "-", ...removed].join("\u0000");
      const known = messages.get(key);
      if (known !== undefined) return known;
      const message = encode(type, used, removed, mayDeflate);
      messages.set(key, message, message.length + key.length);
      return message;
    },
    encodes: () => encodes,
  };
};
