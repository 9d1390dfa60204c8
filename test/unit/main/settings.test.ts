import { test } from "uvu";
import * as assert from "uvu/assert";
import { listenHostOf, readAuthorities } from "../../../src/main/settings.ts";
import { createTestAuthority } from "../../component/support/certificates.ts";

const loopback = { family: "IPv4" } as const;

test("heddled listens on both families, and on IPv4 alone where the kernel has no IPv6", () => {
  assert.is(listenHostOf({ lo: [loopback, { family: "IPv6" }] }), "::");
  assert.is(listenHostOf({ lo: [loopback], eth0: [{ family: "IPv6" }] }), "::");
  assert.is(listenHostOf({ lo: [loopback], eth0: undefined }), "0.0.0.0");
});

test("authorities of issuers are certificates, and nothing else", async () => {
  const { certificatePem } = await createTestAuthority("issuers");
  assert.is(readAuthorities(" \n"), undefined);
  assert.is(readAuthorities(`# ours\n${certificatePem}\n${certificatePem}`)?.match(/BEGIN/g)?.length, 2);
  for (const text of ["certificate", certificatePem.replace(/\n[^-]{9}/, "\nAAAAAAAAA")])
    assert.throws(() => readAuthorities(text), /issuerAuthorities: holds what is no certificate/);
});

test.run();
