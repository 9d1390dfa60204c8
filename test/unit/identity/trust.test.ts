import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../../src/identity/authority.js";
import { createMemorySecrets } from "../../../src/identity/memory-secrets.js";
import {
  bundleOf,
  enforce,
  mergeTrust,
  nextExpiry,
  noTrust,
  pruneTrust,
  readTrust,
  type Trust,
  writeTrust,
} from "../../../src/identity/trust.js";

const roots = await Promise.all(
  Array.from({ length: 4 }, async () => (await openAuthority(createMemorySecrets(), "x")).rootPem),
);

const anyTrust: fc.Arbitrary<Trust> = fc
  .uniqueArray(fc.tuple(fc.nat({ max: 3 }), fc.option(fc.integer({ min: 1, max: 100 }))), {
    selector: ([root]) => root,
  })
  .map((list) => ({
    roots: list.map(([root, until]) => ({ pem: roots[root]!, ...(until === null ? {} : { until }) })),
    crossCertificates: [],
  }));

test("replicas that have told each other everything agree, in whatever order they did", () => {
  fc.assert(
    fc.property(anyTrust, anyTrust, anyTrust, (one, two, three) => {
      const left = mergeTrust(mergeTrust(one, two), three);
      const right = mergeTrust(three, mergeTrust(two, one));
      assert.is(writeTrust(left), writeTrust(right));
      assert.is(writeTrust(mergeTrust(left, left)), writeTrust(left));
    }),
  );
});

test("no root leaves the bundle before its time, and the one in force never does", () => {
  fc.assert(
    fc.property(anyTrust, fc.nat({ max: 3 }), fc.integer({ min: 0, max: 200 }), (trust, root, now) => {
      const own = roots[root]!;
      const after = pruneTrust(enforce(trust, own, 50), now);
      assert.ok(bundleOf(after).includes(own));
      for (const { pem, until = 50 } of trust.roots)
        assert.is(bundleOf(after).includes(pem), pem === own || until > now);
    }),
  );
});

test("what is written is read back; what cannot be read says why", () => {
  const trust = enforce(enforce(noTrust, roots[0]!, 0), roots[1]!, 70);
  assert.equal(readTrust(writeTrust(trust)), trust);
  assert.is(nextExpiry(trust), 70);
  for (const text of ["{", "[]", '{"roots":[{"pem":"x"}],"crossCertificates":[]}', '{"roots":[]}'])
    assert.throws(() => readTrust(text));
});

test.run();
