import { createPublicKey, type JsonWebKey } from "node:crypto";
import { show } from "../findings.js";
import { isObject } from "../normalize.js";

/** What a JSON Web Key Set (RFC 7517) holds for verifying signatures. */
export interface ReadKeys {
  /** The set again, with nothing in it but the public halves of usable keys, in one order; undefined without any. */
  readonly jwks: string | undefined;
  /** Why keys are left out, one line each, without their content. */
  readonly unusable: readonly string[];
  /** Indexes of keys that would let whoever reads them make tokens. */
  readonly secret: readonly number[];
}

/** A Google-sized set has a handful; more would cost every proxy time. */
const mostKeys = 100;
const smallestModulusBits = 2048;
const largestModulusBits = 8192;

/** What makes a public key of each type; the rest of a key says what it is for, or is private. */
const publicMembers: Readonly<Record<string, readonly string[]>> = {
  RSA: ["n", "e"],
  EC: ["crv", "x", "y"],
  OKP: ["crv", "x"],
};
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] as const;
const curves: ReadonlyMap<unknown, string> = new Map([
  ["P-256", "ES256"],
  ["P-384", "ES384"],
  ["P-521", "ES512"],
]);
const rsaAlgorithms: readonly string[] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/** The algorithms (RFC 7518, RFC 8037) that a key of this type verifies and the proxy knows. */
const algorithmsOf = (key: Readonly<Record<string, unknown>>): readonly string[] => {
  if (key["kty"] === "RSA") return rsaAlgorithms;
  if (key["kty"] === "OKP") return key["crv"] === "Ed25519" ? ["EdDSA"] : [];
  const algorithm = curves.get(key["crv"]);
  return algorithm === undefined ? [] : [algorithm];
};

/** The key's members as they are written in one way only, or what the proxy would not take. Throws for what is no key. */
const imported = (key: JsonWebKey): Readonly<Record<string, unknown>> | string => {
  const publicKey = createPublicKey({ key, format: "jwk" });
  const members = publicKey.export({ format: "jwk" });
  const { modulusLength: bits, publicExponent: exponent } = publicKey.asymmetricKeyDetails ?? {};
  if (bits === undefined || exponent === undefined) return { ...members };
  if (bits < smallestModulusBits || bits > largestModulusBits)
    return `has ${bits} bits; RSA keys have ${smallestModulusBits} to ${largestModulusBits}`;
  const isOdd = (Buffer.from(members.n ?? "", "base64url").at(-1) ?? 0) % 2 === 1;
  return isOdd && exponent % 2n === 1n && exponent > 1n && exponent < 2n ** 32n
    ? { ...members }
    : "is no RSA key: its n or e cannot be";
};

type Usability = { readonly usable: Readonly<Record<string, unknown>> } | { readonly fault: string };

const usabilityOf = (key: Readonly<Record<string, unknown>>): Usability => {
  const { kty, use, key_ops: operations, alg, kid } = key;
  const members = typeof kty === "string" && Object.hasOwn(publicMembers, kty) ? publicMembers[kty] : undefined;
  if (members === undefined) return { fault: `is of type ${show(kty)}; use RSA, EC or OKP` };
  if (use !== undefined && use !== "sig") return { fault: `is for ${show(use)}, not for signatures` };
  if (Array.isArray(operations) && !operations.includes("verify")) return { fault: "is not for verifying" };
  const algorithms = algorithmsOf(key);
  if (algorithms.length === 0) return { fault: `has curve ${show(key["crv"])}, which the proxy does not know` };
  if (alg !== undefined && !(typeof alg === "string" && algorithms.includes(alg)))
    return { fault: `is for algorithm ${show(alg)}; such a key takes ${algorithms.join(", ")}` };
  if (kid !== undefined && typeof kid !== "string") return { fault: "has a kid that is not a text" };
  const own = Object.fromEntries(["kty", ...members].map((member) => [member, key[member]]));
  if (Object.values(own).some((value) => typeof value !== "string"))
    return { fault: `lacks one of ${members.join(", ")}` };
  try {
    const canonical = imported(own as JsonWebKey);
    if (typeof canonical === "string") return { fault: canonical };
    return { usable: { ...(kid === undefined ? {} : { kid }), ...(alg === undefined ? {} : { alg }), ...canonical } };
  } catch {
    return { fault: `is no public key: its ${members.join(", ")} do not make one` };
  }
};

const holdsSecret = (key: Readonly<Record<string, unknown>>): boolean =>
  key["kty"] === "oct" || privateMembers.some((member) => key[member] !== undefined);

/**
 * Reads a set. Keys that are no use are left out, and so are secret ones: who publishes such a key lets everyone sign.
 * Gives a text that says what is wrong if it is no set at all.
 */
export const readKeys = (text: string): ReadKeys | string => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "is not JSON";
  }
  if (!isObject(value) || !Array.isArray(value["keys"])) return 'is no key set: an object with a list "keys"';
  const keys: readonly unknown[] = value["keys"];
  if (keys.length > mostKeys) return `has ${keys.length} keys; ${mostKeys} are the most`;
  const unusable: string[] = [];
  const secret: number[] = [];
  const usable = keys.flatMap((key, index) => {
    const tell = (fault: string): readonly string[] => {
      unusable.push(`keys[${index}] ${fault}`);
      return [];
    };
    if (!isObject(key)) return tell("is no object");
    if (holdsSecret(key)) {
      secret.push(index);
      return tell("is a secret key");
    }
    const usability = usabilityOf(key);
    return "fault" in usability ? tell(usability.fault) : [JSON.stringify(usability.usable)];
  });
  return {
    jwks: usable.length === 0 ? undefined : `{"keys":[${[...new Set(usable)].sort().join()}]}`,
    unusable,
    secret,
  };
};
