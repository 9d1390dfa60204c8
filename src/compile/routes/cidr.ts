import { isIPv6 } from "node:net";

export interface CidrRange {
  readonly addressPrefix: string;
  readonly prefixLen: number;
}

const ipv4Number = (address: string): bigint =>
  address.split(".").reduce((number, part) => number * 256n + BigInt(part), 0n);

const ipv6Number = (address: string): bigint => {
  const [, before = "", dotted] = /^(.*:)?(\d+\.\d+\.\d+\.\d+)?$/.exec(address) ?? [undefined, address];
  const tail = dotted === undefined ? [] : [ipv4Number(dotted) >> 16n, ipv4Number(dotted) & 0xffffn];
  const hextets = (text: string): bigint[] =>
    text
      .split(":")
      .filter(Boolean)
      .map((part) => BigInt(`0x${part}`));
  const [head = "", rest] = (dotted === undefined ? address : before).split("::");
  const end = [...hextets(rest ?? ""), ...tail];
  const start = hextets(head);
  const all =
    rest === undefined ? [...start, ...tail] : [...start, ...Array(8 - start.length - end.length).fill(0n), ...end];
  return all.reduce((number: bigint, part: bigint) => number * 65536n + part, 0n);
};

const ipv4Text = (number: bigint): string => [24n, 16n, 8n, 0n].map((bits) => (number >> bits) & 255n).join(".");
const ipv6Text = (number: bigint): string =>
  Array.from({ length: 8 }, (_, index) => ((number >> BigInt(112 - 16 * index)) & 0xffffn).toString(16)).join(":");

/** One text for all forms of an address or range: the first address of the range and its length. */
export const cidrKey = (subnet: string): string => {
  const [address = "", length] = subnet.split("/");
  const isLong = isIPv6(address);
  const bits = isLong ? 128 : 32;
  const prefix = length === undefined ? bits : Number(length);
  const hostBits = BigInt(bits - prefix);
  const number = isLong ? ipv6Number(address) : ipv4Number(address);
  const first = (number >> hostBits) << hostBits;
  return `${isLong ? ipv6Text(first) : ipv4Text(first)}/${prefix}`;
};

export const cidrRange = (key: string): CidrRange => {
  const [addressPrefix = "", length] = key.split("/");
  return { addressPrefix, prefixLen: Number(length) };
};
