import { constants, deflateRawSync } from "node:zlib";

/**
 * A zlib stream (RFC 1950) put together from parts that were compressed on their own: each ends on a byte and refers to
 * nothing before it (a full flush), so that the same compressed part serves in many streams.
 */
export interface DeflatedPart {
  readonly bytes: Buffer;
  readonly adler: number;
  /** Before compression. */
  readonly length: number;
}

const base = 65_521;
/** So many bytes cannot overflow the sums before they are reduced (RFC 1950, section 9). */
const chunk = 3800;

const adlerOf = (bytes: Uint8Array): number => {
  let low = 1;
  let high = 0;
  for (let start = 0; start < bytes.length; start += chunk) {
    const end = Math.min(start + chunk, bytes.length);
    for (let at = start; at < end; at++) {
      low += bytes[at]!;
      high += low;
    }
    low %= base;
    high %= base;
  }
  return high * 65_536 + low;
};

const combine = (first: number, second: number, secondLength: number): number => {
  const rest = secondLength % base;
  const [firstLow, firstHigh] = [first % 65_536, Math.floor(first / 65_536)];
  const [secondLow, secondHigh] = [second % 65_536, Math.floor(second / 65_536)];
  const low = (firstLow + secondLow + base - 1) % base;
  const high = (rest * firstLow + firstHigh + secondHigh + base - rest) % base;
  return high * 65_536 + low;
};

export const deflatePart = (bytes: Buffer): DeflatedPart => ({
  bytes: deflateRawSync(bytes, { level: 3, finishFlush: constants.Z_FULL_FLUSH }),
  adler: adlerOf(bytes),
  length: bytes.length,
});

const header = Buffer.from([0x78, 0x5e]);

/** The stream of these parts and of `last`, which is stored as it is (65,535 bytes at most). */
export const joinParts = (parts: readonly DeflatedPart[], last: Buffer): readonly Buffer[] => {
  const stored = Buffer.alloc(5);
  stored[0] = 1;
  stored.writeUInt16LE(last.length, 1);
  stored.writeUInt16LE(~last.length & 0xffff, 3);
  const trailer = Buffer.alloc(4);
  const all = [...parts, { adler: adlerOf(last), length: last.length }];
  trailer.writeUInt32BE(all.reduce((sum, { adler, length }) => combine(sum, adler, length), 1));
  return [header, ...parts.map(({ bytes }) => bytes), Buffer.concat([stored, last, trailer])];
};
