const prefixLength = 5;

/** A fault in what the peer framed; the message is fit for it. */
export class FramingFault extends Error {
  override readonly name = "FramingFault";
  readonly isTooLarge: boolean;
  constructor(message: string, isTooLarge = false) {
    super(message);
    this.isTooLarge = isTooLarge;
  }
}

/** Cuts a byte stream into gRPC's length-prefixed messages. `take` gets each; throws FramingFault. */
export const createMessageReader = (
  largest: () => number,
  take: (message: Buffer) => void,
): ((chunk: Buffer) => void) => {
  let chunks: Buffer[] = [];
  let size = 0;
  let wanted = prefixLength;
  return (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    while (size >= wanted) {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      chunks = [bytes];
      const length = bytes.readUInt32BE(1);
      if (bytes[0] !== 0) throw new FramingFault("a request is compressed; send it with grpc-encoding: identity");
      if (length > largest()) throw new FramingFault(`a request of ${length} bytes; ${largest()} are the most`, true);
      wanted = prefixLength + length;
      if (size < wanted) return;
      const message = bytes.subarray(prefixLength, wanted);
      const rest = bytes.subarray(wanted);
      chunks = rest.length === 0 ? [] : [rest];
      size = rest.length;
      wanted = prefixLength;
      take(message);
    }
  };
};

export const framed = (message: Uint8Array): Buffer => {
  const prefix = Buffer.alloc(prefixLength);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};
