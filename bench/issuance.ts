import { generateKeyPair, sign } from "node:crypto";
import { promisify } from "node:util";
import { openAuthority, spiffeId } from "../src/identity/authority.js";
import { createMemorySecrets } from "../src/identity/memory-secrets.js";
import { numberOption, report } from "./support/report.js";

/**
 * Certificates a second, with and without making the key, beside bare P-256 signatures in the same run.
 * Usage: node --import tsx bench/issuance.ts [--count 3000] [--json]
 */
const count = numberOption("count", 3000);
const authority = await openAuthority(createMemorySecrets(), "cluster.local");
const { publicKey, privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
const uri = spiffeId("cluster.local", "shop", "cart");
const message = Buffer.alloc(500);

const rateOf = async (action: () => unknown): Promise<number> => {
  for (let warm = 0; warm < 200; warm++) await action();
  const began = performance.now();
  for (let done = 0; done < count; done++) await action();
  return (count / (performance.now() - began)) * 1000;
};

const bare = await rateOf(() => sign("sha256", message, privateKey));
const signed = await rateOf(() => authority.sign({ uri }, publicKey, 3600));
const issued = await rateOf(() => authority.issue({ uri }, 3600));
report(
  "issuance",
  Object.entries({
    "bare P-256 signatures": bare,
    "certificates, key supplied": signed,
    "certificates, key made too": issued,
  }).map(([what, rate]) => ({ what, "a second": Math.round(rate), "of bare signatures": rate / bare })),
);
