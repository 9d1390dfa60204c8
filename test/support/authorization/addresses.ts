import { BlockList, isIPv6 } from "node:net";

const familyOf = (address: string): "ipv4" | "ipv6" => (isIPv6(address) ? "ipv6" : "ipv4");

/** Whether an address is the one written, or within the CIDR block; what is beyond the block's length does not count. */
export const isWithin = (block: string, address: string): boolean => {
  const [base = "", length] = block.split("/");
  if (familyOf(base) !== familyOf(address)) return false;
  const blocks = new BlockList();
  if (length === undefined) blocks.addAddress(base, familyOf(base));
  else blocks.addSubnet(base, Number(length), familyOf(base));
  return blocks.check(address, familyOf(address));
};
