import { generateKeyPairSync, sign } from "node:crypto";
import { payloadOf } from "../../../support/authorization/token.js";
import type { Token } from "../../../support/authorization/types.js";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const header = { alg: "ES256", typ: "JWT", kid: "test" } as const;

/** The key set (RFC 7517) that all tokens of the test are verified by. */
export const keySet = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), ...header, use: "sig" }] });

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signed, and valid for ever. */
export const signedToken = (token: Token): string => {
  const text = `${encoded(header)}.${encoded(payloadOf(token))}`;
  return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
};
