import { inflateSync } from "node:zlib";

/** As much of gRPC's framing and of delta xDS as a load client needs, without decoding a resource. */
export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  /** Names of the resources, if asked for. */
  readonly names: readonly string[];
}

const readVarint = (bytes: Uint8Array, at: number): readonly [value: number, next: number] => {
  let value = 0;
  let shift = 0;
  let next = at;
  for (;;) {
    const byte = bytes[next++]!;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, next];
    shift += 7;
  }
};

const fieldsOf = function* (bytes: Buffer): Generator<readonly [field: number, value: Buffer]> {
  for (let at = 0; at < bytes.length; ) {
    const [tag, afterTag] = readVarint(bytes, at);
    const [size, start] = readVarint(bytes, afterTag);
    if ((tag & 7) === 0) at = start;
    else {
      at = start + size;
      yield [tag >> 3, bytes.subarray(start, at)];
    }
  }
};

const nameOf = (resource: Buffer): string => {
  for (const [field, value] of fieldsOf(resource)) if (field === 3) return value.toString("utf8");
  return "";
};

const readResponse = (message: Buffer, withNames: boolean): DeltaResponse => {
  let typeUrl = "";
  let nonce = "";
  const names: string[] = [];
  for (const [field, value] of fieldsOf(message)) {
    if (field === 2 && withNames) names.push(nameOf(value));
    else if (field === 4) typeUrl = value.toString("utf8");
    else if (field === 5) nonce = value.toString("utf8");
  }
  return { typeUrl, nonce, names };
};

/** Reads a message once for all connections that are sent the same compressed bytes, or this process would be the limit. */
export const createMessageReader = (): ((
  message: Buffer,
  isDeflated: boolean,
  withNames: boolean,
) => DeltaResponse) => {
  const read = new Map<string, DeltaResponse>();
  return (message, isDeflated, withNames) => {
    if (!isDeflated) return readResponse(message, withNames);
    const checksum = `${message.length} ${message.subarray(-64).toString("latin1")}`;
    const known = read.get(checksum);
    if (known !== undefined) return known;
    const response = readResponse(inflateSync(message), withNames);
    read.set(checksum, response);
    return response;
  };
};

/** Cuts a stream of gRPC frames into messages. */
export const createFrameReader = (take: (message: Buffer, isDeflated: boolean) => void): ((chunk: Buffer) => void) => {
  let chunks: Buffer[] = [];
  let size = 0;
  let wanted = 5;
  return (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    while (size >= wanted) {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      chunks = [bytes];
      const length = bytes.readUInt32BE(1) + 5;
      wanted = length;
      if (size < length) return;
      const message = bytes.subarray(5, length);
      chunks = size === length ? [] : [bytes.subarray(length)];
      size -= length;
      wanted = 5;
      take(message, bytes[0] === 1);
    }
  };
};

export const frame = (message: Uint8Array): Buffer => {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
};
