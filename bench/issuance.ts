import { generateKeyPair, sign } from "node:crypto";
import { promisify } from "node:util";
import { openAuthority, spiffeId } from "../src/identity/authority.js";
import { createMemorySecrets } from "../src/identity/memory-secrets.js";

/**
 * Certificates a second, with and without making the key, beside bare P-256 signatures in the same run.
 * Usage: node --import tsx bench/issuance.ts [count]
 */
const count = Number(process.argv[2] ?? 3000);
const authority = await openAuthority(createMemorySecrets(), "cluster.local");
const { publicKey, privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
const uri = spiffeId("cluster.local", "shop", "cart");
const message = Buffer.alloc(500);

const rate = async (action: () => unknown): Promise<number> => {
  for (let warm = 0; warm < 200; warm++) await action();
  const began = performance.now();
  for (let done = 0; done < count; done++) await action();
  return (count / (performance.now() - began)) * 1000;
};

const bare = await rate(() => sign("sha256", message, privateKey));
const signed = await rate(() => authority.sign({ uri }, publicKey, 3600));
const issued = await rate(() => authority.issue({ uri }, 3600));
const line = (name: string, value: number): string =>
  `${name.padEnd(34)} ${value.toFixed(0).padStart(7)}/s  ${(value / bare).toFixed(3)} of bare signatures`;
console.log(line("bare P-256 signatures", bare));
console.log(line("certificates, key supplied", signed));
console.log(line("certificates, key made too", issued));
