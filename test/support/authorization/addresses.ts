import { BlockList } from "node:net";

const familyOf = (address: string): "ipv4" | "ipv6" => (address.includes(":") ? "ipv6" : "ipv4");

const blocks = new Map<string, BlockList>();

const blockOf = (text: string): BlockList => {
  const known = blocks.get(text) ?? new BlockList();
  if (blocks.has(text)) return known;
  const [base = "", length] = text.split("/");
  if (length === undefined) known.addAddress(base, familyOf(base));
  else known.addSubnet(base, Number(length), familyOf(base));
  blocks.set(text, known);
  return known;
};

/** Whether an address is the one written, or within the CIDR block; what is beyond the block's length does not count. */
export const isWithin = (block: string, address: string): boolean =>
  familyOf(block) === familyOf(address) && blockOf(block).check(address, familyOf(address));
