import { BlockList, isIPv4, isIPv6 } from "node:net";
import { show } from "../findings.js";

/**
 * Addresses that no issuer has, and that a control plane must not be made to call: its own machine, whatever is on the
 * link (cloud metadata services above all), no single host. Private networks are not among them, since issuers run there.
 */
const forbidden = new BlockList();
for (const [network, length] of [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["192.0.0.0", 24],
  ["224.0.0.0", 3],
  // Metadata services outside of the link-local range: Alibaba, Azure.
  ["100.100.100.200", 32],
  ["168.63.129.16", 32],
] as const) {
  forbidden.addSubnet(network, length, "ipv4");
  // The same by way of NAT64 (RFC 6052).
  forbidden.addSubnet(`64:ff9b::${network}`, 96 + length, "ipv6");
}
for (const [network, length] of [
  ["::", 127],
  ["fe80::", 10],
  ["ff00::", 8],
  // Metadata service of AWS.
  ["fd00:ec2::", 32],
] as const)
  forbidden.addSubnet(network, length, "ipv6");

/** Whether keys may not be fetched from this IP address. */
export const isForbiddenAddress = (address: string): boolean =>
  isIPv4(address) ? forbidden.check(address, "ipv4") : isIPv6(address) ? forbidden.check(address, "ipv6") : true;

/** The host of a URL without the brackets of an IPv6 address. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "");

/** What is wrong with a URL to fetch keys from, and the cure; undefined if nothing is. */
export const keyUrlFault = (text: string): string | undefined => {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    return `${show(text)} is no URL of https or http; write one such as "https://issuer.example.com/keys"`;
  if (url.username !== "" || url.password !== "")
    return `${show(text.replace(/\/\/[^/]*@/, "//...@"))} holds credentials, which everyone could read; keys are public, so leave them out`;
  const host = hostOf(url);
  const isAddress = isIPv4(host) || isIPv6(host);
  if (/(^|\.)localhost\.?$/.test(host) || (isAddress && isForbiddenAddress(host)))
    return `${show(host)} is no address that keys are fetched from: it is local to a machine or its network; name the issuer's host`;
  return undefined;
};
