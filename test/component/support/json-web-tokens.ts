import { createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from "node:crypto";

type Fields = Readonly<Record<string, unknown>>;

export interface Issuer {
  /** The `iss` of its tokens. */
  readonly name: string;
  /** The public half of its key, as its key set has it. */
  readonly key: JsonWebKey & { readonly kid?: string };
  readonly jwks: string;
  /** A token that is good for ten minutes, with these claims and fields of its header besides the usual ones. */
  readonly token: (claims?: Fields, header?: Fields) => string;
  /** PEM of the public key. */
  readonly publicPem: string;
}

const encode = (value: Fields): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export const now = (): number => Math.floor(Date.now() / 1000);

/** A token whose signature `signer` makes of its first two parts. */
export const tokenOf = (header: Fields, claims: Fields, signer: (content: string) => Buffer | ""): string => {
  const content = `${encode(header)}.${encode(claims)}`;
  const signature = signer(content);
  return `${content}.${signature === "" ? "" : signature.toString("base64url")}`;
};

export const hmac =
  (secret: string) =>
  (content: string): Buffer =>
    createHmac("sha256", secret).update(content).digest();

const algorithms = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
} as const;

const signer =
  (key: KeyObject, algorithm: keyof typeof algorithms) =>
  (content: string): Buffer =>
    sign(algorithm === "EdDSA" ? null : "sha256", Buffer.from(content), { key, dsaEncoding: "ieee-p1363" });

export const createIssuer = (
  name: string,
  kid: string | undefined = "first",
  alg: keyof typeof algorithms = "RS256",
): Issuer => {
  const { publicKey, privateKey } = algorithms[alg]();
  const identified = kid === "" ? {} : { kid };
  const key = { ...publicKey.export({ format: "jwk" }), alg, use: "sig", ...identified };
  return {
    name,
    key,
    jwks: JSON.stringify({ keys: [key] }),
    publicPem: publicKey.export({ type: "spki", format: "pem" }) as string,
    token: (claims = {}, header = {}) =>
      tokenOf(
        { typ: "JWT", alg, ...identified, ...header },
        { iss: name, sub: "alice", exp: now() + 600, ...claims },
        signer(privateKey, alg),
      ),
  };
};
