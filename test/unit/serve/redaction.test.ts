import { test } from "uvu";
import * as assert from "uvu/assert";
import { redacted } from "../../../src/serve/redaction.js";

const cases: readonly (readonly [string, string])[] = [
  [
    "Error adding/updating listener(s) 0.0.0.0_80: duplicate address",
    "Error adding/updating listener(s) 0.0.0.0_80: duplicate address",
  ],
  ["-----BEGIN EC PRIVATE KEY-----\nSECRET\n-----END EC PRIVATE KEY----- is bad", "[PEM left out] is bad"],
  ["cut off -----BEGIN PRIVATE KEY-----\nSECRET", "cut off [PEM left out]"],
  ['private_key { inline_string: "SE\\"CRET" } rest', "private_key { inline_string: [left out] } rest"],
  ['{"inline_bytes": "SECRET"}', '{"inline_bytes: [left out]}'],
  ["token eyJhbGciOiJFUzI1NiJ9.SECRET.SECRET-x here", "token [token left out] here"],
  [`key ${"S".repeat(80)}== here`, "key [base64 left out] here"],
  ["x ".repeat(1000), `${"x ".repeat(298)}x...`],
];

for (const [given, expected] of cases)
  test(given.slice(0, 40), () => {
    const shown = redacted(given);
    assert.is(shown, expected);
    assert.not.match(shown, "SECRET");
  });

test("a message of any length, and of the worst form, takes no time to speak of", () => {
  const began = performance.now();
  redacted("eyJ-".repeat(2 << 20));
  assert.ok(performance.now() - began < 2000);
});

test("a secret that is cut where reading ends is not shown", () => {
  const shown = redacted(`${"A".repeat(8150)} SECRET${"S".repeat(100)}`);
  assert.is(shown, "[base64 left out] ...");
});

test.run();
