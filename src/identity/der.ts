/** DER (X.690), as much as X.509 and PKCS#10 need: a writer straight into bytes, and a strict reader. */
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

const readOne = (bytes: Buffer): Element => {
  const tagByte = bytes[0] ?? fault();
  let length = bytes[1] ?? fault();
  let start = 2;
  if (length >= 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 3 || bytes.length < 2 + count) fault();
    start = 2 + count;
    length = bytes.readUIntBE(2, count);
  }
  if ((tagByte & 0x1f) === 0x1f || start + length > bytes.length) fault();
  return {
    tag: tagByte,
    content: bytes.subarray(start, start + length),
    whole: bytes.subarray(0, start + length),
  };
};

/** The values that lie one after another in these bytes. Throws for bytes that are not DER. */
export const readAll = (bytes: Buffer): readonly Element[] => {
  const found: Element[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const element = readOne(rest);
    found.push(element);
    rest = rest.subarray(element.whole.length);
  }
  return found;
};

/** The one value of these bytes, which must have this tag. */
export const readExactly = (bytes: Buffer, tagByte: number): Element => {
  const [element, ...more] = readAll(bytes);
  return element === undefined || more.length > 0 || element.tag !== tagByte ? fault() : element;
};
