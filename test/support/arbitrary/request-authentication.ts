import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import type { JwtRule } from "../../../src/api/security/request-authentication-schema.js";

const keys: readonly object[] = [
  {
    kid: "rsa",
    alg: "PS256",
    ...generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" }),
  },
  ...["P-256", "P-384", "P-521", "secp256k1"].map((namedCurve) => ({
    ...generateKeyPairSync("ec", { namedCurve }).publicKey.export({ format: "jwk" }),
  })),
  { kid: "", use: "sig", ...generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }) },
  { kid: "x", ...generateKeyPairSync("x25519").publicKey.export({ format: "jwk" }) },
  { kid: "short", ...generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" }) },
  { kty: "RSA", n: "AQAB", e: "AQAB" },
  { kty: "EC", crv: "P-256", x: "AQ", y: "AQ" },
];

const text = fc.oneof(
  { arbitrary: fc.constantFrom("a", "sub", "a.b", "realm.group", "Bearer ", "x y", "é"), weight: 12 },
  { arbitrary: fc.string({ minLength: 1, maxLength: 9 }), weight: 12 },
  fc.constant(""),
);
const headersOf = (...names: readonly string[]) =>
  fc.oneof(
    { arbitrary: fc.constantFrom(...names), weight: 20 },
    fc.constantFrom("authorization", ":path", "host", "cookie", "a b"),
    fc.string({ minLength: 1, maxLength: 9 }),
  );
const tokenHeader = headersOf("x-token", "Authorization", "x!#$%&'*+.^`|~");
const claimHeader = headersOf("x-claim", "X-Jwt", "x_claim", "x-b", "x-c", "x-d");
const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const list = <Value>(value: fc.Arbitrary<Value>) => optional(fc.array(value, { maxLength: 3 }));

const keySource = fc.oneof(
  fc.subarray([...keys], { minLength: 1 }).map((some) => ({ jwks: JSON.stringify({ keys: some }) })),
  fc.constantFrom({ jwksUri: "https://keys.invalid/keys" }, {}),
);

/** Rules that are near to right, and many that are. */
export const jwtRule: fc.Arbitrary<JwtRule> = fc
  .tuple(
    keySource,
    fc.record({
      issuer: fc.oneof(fc.constantFrom("https://a.invalid", "https://b.invalid/", "me@example.com"), text),
      audiences: list(text),
      fromHeaders: list(fc.record({ name: tokenHeader, prefix: optional(text) })),
      fromParams: list(text),
      fromCookies: list(text),
      outputPayloadToHeader: optional(headersOf("x-payload")),
      outputClaimToHeaders: list(fc.record({ header: claimHeader, claim: text })),
      forwardOriginalToken: optional(fc.boolean()),
      spaceDelimitedClaims: list(text),
    }),
  )
  .map(([source, rule]) => {
    const given = Object.entries({ ...source, ...rule }).filter(([, value]) => value !== undefined);
    return JSON.parse(JSON.stringify(Object.fromEntries(given))) as JwtRule;
  });
