import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { definitionOf } from "../../../../src/api/kinds.js";
import { readKeys } from "../../../../src/api/security/jwks.js";
import { isForbiddenAddress, keyUrlFault } from "../../../../src/api/security/key-url.js";
import { validateObject } from "../../../../src/api/validate.js";

const jwk = (type: "rsa" | "ec" | "ed25519", options: object = {}): Readonly<Record<string, unknown>> => {
  const pair = (generateKeyPairSync as (type: string, options: object) => ReturnType<typeof generateKeyPairSync>)(
    type,
    options,
  );
  return { ...pair.publicKey.export({ format: "jwk" }) };
};
const rsa = { kid: "a", ...jwk("rsa", { modulusLength: 2048 }) };
const weak = jwk("rsa", { modulusLength: 1024 });
const ec = { kid: "b", ...jwk("ec", { namedCurve: "P-256" }) };
const odd = jwk("ec", { namedCurve: "secp256k1" });
const edwards = jwk("ed25519");
const setOf = (...keys: readonly unknown[]): string => JSON.stringify({ keys });
const usable = (text: string): readonly unknown[] => {
  const read = readKeys(text);
  return typeof read === "string" || read.jwks === undefined ? [] : (JSON.parse(read.jwks) as { keys: unknown[] }).keys;
};

test("keys: the public members of usable keys alone, in one order whatever order they came in", () => {
  assert.equal(usable(setOf({ ...rsa, use: "sig", x5c: ["MII"], note: "words" })), [
    { kid: "a", kty: "RSA", n: rsa["n" as never], e: "AQAB" },
  ]);
  assert.is(usable(setOf(rsa, ec, edwards, rsa)).length, 3);
  assert.equal(readKeys(setOf(rsa, ec)), readKeys(setOf(ec, rsa)));
});

test("keys: what cannot verify, or is secret, is left out with a reason that holds nothing of it", () => {
  const cases: readonly (readonly [key: unknown, reason: RegExp])[] = [
    [{ ...rsa, use: "enc" }, /is for "enc", not for signatures/],
    [{ ...rsa, key_ops: ["encrypt"] }, /is not for verifying/],
    [{ ...rsa, alg: "HS256" }, /is for algorithm "HS256"; such a key takes RS256/],
    [{ ...ec, alg: "ES384" }, /such a key takes ES256$/],
    [weak, /has 1024 bits; RSA keys have 2048 to 8192/],
    [{ ...rsa, e: "AQ" }, /is no RSA key/],
    [{ ...rsa, n: `${String(rsa["n" as never]).slice(0, -1)}A` }, /is no RSA key/],
    [odd, /has curve "secp256k1", which the proxy does not know/],
    [{ kty: "RSA", e: "AQAB" }, /lacks one of n, e/],
    [{ ...ec, x: "AAAA" }, /is no public key/],
    [{ kty: "EC", crv: "toString" }, /curve "toString"/],
    [{ kty: "toString" }, /is of type "toString"/],
    [{ kty: "oct", k: "c2VjcmV0" }, /is a secret key/],
    [{ ...rsa, d: "c2VjcmV0" }, /is a secret key/],
    [{ ...ec, kid: 7 }, /kid that is not a text/],
    [null, /is no object/],
  ];
  for (const [key, reason] of cases) {
    const read = readKeys(setOf(key, rsa));
    if (typeof read === "string") throw new Error(read);
    assert.match(read.unusable.join("\n"), reason);
    assert.not.match(read.unusable.join("\n"), "c2VjcmV0");
    assert.is(usable(setOf(key, rsa)).length, 1);
  }
  assert.is(readKeys("<html>"), "is not JSON");
  assert.match(readKeys('{"kid": "-----BEGIN CERTIFICATE-----"}') as string, /is no key set/);
  assert.match(readKeys(setOf(...Array.from({ length: 101 }, () => rsa))) as string, /has 101 keys/);
});

test("keys: any text is read without a throw", () => {
  const members = fc.dictionary(
    fc.constantFrom("kty", "n", "e", "crv", "x", "y", "d", "kid", "alg", "use", "key_ops"),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(members).map((keys) => setOf(...keys)),
        fc.json(),
      ),
      (text) => {
        readKeys(text);
      },
    ),
  );
});

test("a policy that cannot be used has one stand for it that takes no token in its places", () => {
  const closed = (spec: unknown): unknown => definitionOf("RequestAuthentication").closed?.({ metadata, spec })?.spec;
  const rule = (fields: object): object => ({
    issuer: "heddle:nobody",
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    outputClaimToHeaders: [],
    ...fields,
  });
  const withoutKeys = (spec: unknown): unknown => {
    const { jwtRules, ...rest } = spec as { readonly jwtRules: readonly { readonly jwks: string }[] };
    assert.is(usable(jwtRules[0]!.jwks).length, 1);
    return { ...rest, jwtRules: jwtRules.map(({ jwks: _, ...each }) => each) };
  };
  for (const spec of [undefined, null, 7, {}, { jwtRules: "x" }, { jwtRules: [], selector: { matchLabels: { a: 7 } } }])
    assert.equal(withoutKeys(closed(spec)), { jwtRules: [rule({})] });
  assert.equal(
    withoutKeys(
      closed({
        selector: { matchLabels: { app: "a" } },
        jwtRules: [
          {
            issuer: 7,
            fromHeaders: [{ name: "x-a", prefix: "B " }, { name: "x b" }, 7],
            fromParams: ["p", 7],
            fromCookies: "c",
            outputPayloadToHeader: "X-Out",
            outputClaimToHeaders: [{ header: "x-out" }, { header: "y y" }, null],
          },
        ],
      }),
    ),
    {
      selector: { matchLabels: { app: "a" } },
      jwtRules: [
        rule({
          fromHeaders: [{ name: "x-a", prefix: "B " }],
          fromParams: ["p"],
          outputClaimToHeaders: [{ header: "x-out", claim: "heddle:nothing" }],
        }),
      ],
    },
  );
  assert.is(closed({ targetRefs: [{ kind: "Gateway", name: "g" }] }), undefined);
  fc.assert(fc.property(fc.jsonValue(), (spec) => void closed(spec)));
});

test("addresses that keys are never fetched from, in every spelling", () => {
  for (const url of [
    "http://127.0.0.1/keys",
    "https://127.1/keys",
    "https://0x7f000001/keys",
    "https://2130706433/",
    "https://0/",
    "http://169.254.169.254/latest/meta-data",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://localhost:8080/",
    "https://LOCALHOST./",
    "https://a.localhost/",
  ])
    assert.match(keyUrlFault(url) ?? "none", /is no address that keys are fetched from/, url);
  for (const url of [
    "https://issuer.example.com/keys",
    "http://10.0.0.1:8080/a",
    "https://[fd00::1]/",
    "http://keycloak.auth/",
  ])
    assert.is(keyUrlFault(url), undefined, url);
  for (const url of ["", "keys", "file:///etc/passwd", "ftp://a.b/", "https://", "gopher://a/"])
    assert.match(keyUrlFault(url) ?? "none", /is no URL of https or http/, url);
  const withPassword = keyUrlFault("https://user:word@a.b/") ?? "none";
  assert.match(withPassword, /holds credentials/);
  assert.not.match(withPassword, "word@");
  assert.is(isForbiddenAddress("no address"), true);
});

const metadata = { name: "it", namespace: "shop" };
const findingsOf = (spec: unknown): readonly string[] =>
  validateObject(definitionOf("RequestAuthentication"), { metadata, spec }).map(
    ({ severity, path, message }) => `${severity === "error" ? "E" : "W"} ${path}: ${message}`,
  );
const issuer = "https://issuer.example.com";
const jwks = setOf(rsa);
const ofRule = (rest: object): object => ({ jwtRules: [{ issuer, jwks, ...rest }] });

/** Spec, and what the findings are to be: all of them, in order. */
const cases: readonly (readonly [unknown, ...RegExp[]])[] = [
  [{ jwtRules: [{ issuer }] }],
  [{ jwtRules: [{ issuer, jwksUri: `${issuer}/keys` }], selector: { matchLabels: { app: "a" } } }],
  [{ jwtRules: [{ issuer: "me@example.com", jwks_uri: `${issuer}/keys` }] }],
  [
    ofRule({
      fromHeaders: [{ name: "x-token", prefix: "Bearer " }],
      fromParams: ["t"],
      audiences: ["a"],
      timeout: "2s",
    }),
  ],
  [ofRule({ outputPayloadToHeader: "x-jwt", outputClaimToHeaders: [{ header: "x-sub", claim: "sub" }] })],
  [{}, /^W spec\.jwtRules: there is none/],
  [{ jwtRules: [{}] }, /^E spec\.jwtRules\[0\]\.issuer: is missing/],
  [{ jwtRules: [{ issuer: "" }] }, /^E spec\.jwtRules\[0\]\.issuer: ""/],
  [{ jwtRules: [{ issuer: "me@example.com" }] }, /^E spec\.jwtRules\[0\]\.issuer: .*no URL whose OpenID.*give jwksUri/],
  [ofRule({ jwksUri: `${issuer}/keys` }), /^E spec\.jwtRules\[0\]\.jwks: only one of jwks and jwksUri/],
  [ofRule({ jwks: "<html>" }), /^E spec\.jwtRules\[0\]\.jwks: the text is not JSON/],
  [ofRule({ jwks: setOf() }), /^E spec\.jwtRules\[0\]\.jwks: no key can be used: the list is empty/],
  [ofRule({ jwks: setOf(weak) }), /^E spec\.jwtRules\[0\]\.jwks: no key can be used: keys\[0\] has 1024 bits/],
  [ofRule({ jwks: setOf(rsa, weak) }), /^W spec\.jwtRules\[0\]\.jwks: keys\[1\] has 1024 bits.*it is left out/],
  [ofRule({ jwks: setOf({ ...rsa, d: "x" }) }), /^E spec\.jwtRules\[0\]\.jwks: keys\[0\]: a secret key/],
  [ofRule({ jwks: setOf(rsa, { kty: "oct", k: "x" }) }), /^E spec\.jwtRules\[0\]\.jwks: keys\[1\]: a secret key/],
  [{ jwtRules: [{ issuer, jwksUri: "http://keycloak.auth/keys" }] }, /^W spec\.jwtRules\[0\]\.jwksUri: over http/],
  [
    { jwtRules: [{ issuer, jwksUri: "http://169.254.169.254/" }] },
    /^E spec\.jwtRules\[0\]\.jwksUri: "169\.254\.169\.254" is no/,
  ],
  [{ jwtRules: [{ issuer, jwks_uri: "keys" }] }, /^E spec\.jwtRules\[0\]\.jwks_uri: "keys" is no URL/],
  [
    ofRule({ fromHeaders: [{ name: "x token" }] }),
    /^E spec\.jwtRules\[0\]\.fromHeaders\[0\]\.name: "x token" is no header name/,
  ],
  [ofRule({ fromHeaders: [{ name: "x", prefix: "a\n" }] }), /fromHeaders\[0\]\.prefix: .*control character/],
  [ofRule({ fromHeaders: [{}] }), /fromHeaders\[0\]\.name: is missing/],
  [
    ofRule({ fromCookies: ["a"] }),
    /^W spec\.jwtRules\[0\]\.fromCookies: the proxy cannot take a token out of a cookie/,
  ],
  [ofRule({ fromCookies: ["a"], forwardOriginalToken: true })],
  ...[
    ":path",
    ":authority",
    "host",
    "Authorization",
    "X-Forwarded-Client-Cert",
    "x-envoy-peer",
    "content-length",
    "x-heddle-a",
  ].map(
    (name) =>
      [
        ofRule({ outputPayloadToHeader: name }),
        /^E spec\.jwtRules\[0\]\.outputPayloadToHeader: ".*" (is no header name|has a meaning)/,
      ] as const,
  ),
  [
    ofRule({ outputPayloadToHeader: "x-a", outputClaimToHeaders: [{ header: "X-A", claim: "b" }] }),
    /^E spec\.jwtRules\[0\]\.outputClaimToHeaders\[0\]\.header: "X-A" is filled by this rule already/,
  ],
  [
    ofRule({ fromHeaders: [{ name: "X-Token" }], outputPayloadToHeader: "x-token" }),
    /^E spec\.jwtRules\[0\]\.outputPayloadToHeader: "x-token" is a header that tokens come in/,
  ],
  [ofRule({ timeout: "soon" }), /^E spec\.jwtRules\[0\]\.timeout: "soon"/],
  [ofRule({ timeout: "0s" }), /^E spec\.jwtRules\[0\]\.timeout: "0s" is too short/],
  [ofRule({ timeout: "2m" }), /^W spec\.jwtRules\[0\]\.timeout: "2m" is longer than a minute/],
  [
    {
      jwtRules: [
        { issuer, jwks },
        { issuer, jwks },
      ],
    },
    /^W spec\.jwtRules\[1\]\.issuer: .*jwtRules\[0\] takes all .*so this one does nothing/,
  ],
  [
    {
      jwtRules: [
        { issuer, jwks },
        { issuer, jwks, forwardOriginalToken: true },
      ],
    },
    /^W spec\.jwtRules\[1\]\.issuer: .*what this one says of headers or the token never happens/,
  ],
  [
    {
      jwtRules: [
        { issuer, jwks, audiences: ["a"] },
        { issuer, jwks, audiences: ["b"] },
      ],
    },
  ],
  [
    { ...ofRule({}), selector: { matchLabels: { a: "b" } }, targetRefs: [{ kind: "Gateway", name: "g" }] },
    /^E spec\.targetRefs: only one of selector and targetRefs/,
  ],
  [
    { ...ofRule({}), targetRef: { kind: "Gateway", name: "g" } },
    /^W spec\.targetRef: gateways take no policies in this version/,
  ],
];

for (const [index, [spec, ...expected]] of cases.entries())
  test(`${index} ${JSON.stringify(spec)?.slice(0, 90)}`, () => {
    const found = findingsOf(spec);
    assert.is(found.length, expected.length, `\n${found.join("\n")}`);
    for (const [at, pattern] of expected.entries()) assert.match(found[at]!, pattern);
  });

test.run();
