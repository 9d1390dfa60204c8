import forge from "node-forge";

/**
 * DER (X.690), as much as X.509 and PKCS#10 need: a writer straight into bytes, which signing needs to be quick, and
 * node-forge as the reader.
 */
export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Context-specific tags: [0] constructed is 0xa0, primitive 0x80. */
export const context = (number: number, isConstructed: boolean): number => (isConstructed ? 0xa0 : 0x80) | number;

const header = (tagByte: number, length: number): Buffer => {
  if (length < 0x80) return Buffer.from([tagByte, length]);
  if (length < 0x100) return Buffer.from([tagByte, 0x81, length]);
  if (length < 0x10000) return Buffer.from([tagByte, 0x82, length >> 8, length & 0xff]);
  return Buffer.from([tagByte, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]);
};

export const write = (tagByte: number, ...contents: readonly Uint8Array[]): Buffer => {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([header(tagByte, length), ...contents]);
};

export const sequence = (...items: readonly Uint8Array[]): Buffer => write(tag.sequence, ...items);

/** `1.2.840.113549.1.9.14` as its TLV. */
export const objectIdentifier = (text: string): Buffer => {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes: number[] = [];
  for (const arc of [40 * first + second, ...rest]) {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return write(tag.objectIdentifier, Buffer.from(bytes));
};

/** RFC 5280 4.1.2.5: UTCTime until 2049, GeneralizedTime after. */
export const time = (date: Date): Buffer => {
  const digits = date.toISOString().replace(/[-:T]|\.\d+Z$/g, "");
  return date.getUTCFullYear() < 2050
    ? write(tag.utcTime, Buffer.from(`${digits.slice(2)}Z`))
    : write(tag.generalizedTime, Buffer.from(`${digits}Z`));
};

/** One value within its bytes: `whole` with its header, `content` without. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

const fault = (): never => {
  throw new Error("the DER is malformed");
};

/** As the library has it; its types know only the older form of the second argument. */
const fromDer = forge.asn1.fromDer as unknown as (
  bytes: forge.util.ByteStringBuffer,
  options: { readonly strict: boolean; readonly parseAllBytes: boolean; readonly decodeBitStrings: boolean },
) => forge.asn1.Asn1;

const elementOf = (node: forge.asn1.Asn1): Element => {
  const whole = Buffer.from(forge.asn1.toDer(node).getBytes(), "binary");
  const length = whole[1] ?? 0;
  return { tag: whole[0] ?? 0, content: whole.subarray(length < 0x80 ? 2 : 2 + (length & 0x7f)), whole };
};

/** The values that lie one after another in these bytes. Throws for bytes that are not DER. */
export const readAll = (bytes: Buffer): readonly Element[] => {
  // In one sequence, since the parser reads one value.
  const wrapped = forge.util.createBuffer(sequence(bytes).toString("binary"));
  try {
    const { value } = fromDer(wrapped, { strict: true, parseAllBytes: true, decodeBitStrings: false });
    return (value as readonly forge.asn1.Asn1[]).map(elementOf);
  } catch {
    return fault();
  }
};

/** The one value of these bytes, which must have this tag. */
export const readExactly = (bytes: Buffer, tagByte: number): Element => {
  const [element, ...more] = readAll(bytes);
  return element === undefined || more.length > 0 || element.tag !== tagByte ? fault() : element;
};
