import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as der from "../../../src/identity/der.js";

test("what is written is read back, at every width of a length", () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 100_000]) {
    const content = Buffer.alloc(length, 7);
    const [first, second, ...more] = der.readAll(
      Buffer.concat([der.write(der.tag.octetString, content), der.sequence()]),
    );
    assert.is(first?.tag, der.tag.octetString);
    assert.ok(first?.content.equals(content), String(length));
    assert.is(second?.tag, der.tag.sequence);
    assert.equal(more, []);
  }
});

test("arbitrary bytes are read within their bounds or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const given = Buffer.from(bytes);
      try {
        const whole = Buffer.concat(der.readAll(given).map((element) => element.whole));
        // As long as what was given, or shorter where a length took more bytes than it needs.
        assert.ok(whole.length <= given.length);
        assert.ok(Buffer.concat(der.readAll(whole).map((element) => element.whole)).equals(whole));
      } catch (error) {
        assert.is((error as Error).message, "the DER is malformed");
      }
    }),
  );
});

test("object identifiers and times have their known encodings", () => {
  assert.is(der.objectIdentifier("1.2.840.113549.1.9.14").toString("hex"), "06092a864886f70d01090e");
  assert.is(der.objectIdentifier("2.5.29.17").toString("hex"), "0603551d11");
  assert.is(der.time(new Date("2049-12-31T23:59:58.900Z")).subarray(2).toString(), "491231235958Z");
  assert.is(der.time(new Date("2050-01-01T00:00:00Z")).subarray(2).toString(), "20500101000000Z");
});

test.run();
