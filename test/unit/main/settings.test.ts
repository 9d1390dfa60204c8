import { test } from "uvu";
import * as assert from "uvu/assert";
import { listenHostOf } from "../../../src/main/settings.ts";

const loopback = { family: "IPv4" } as const;

test("heddled listens on both families, and on IPv4 alone where the kernel has no IPv6", () => {
  assert.is(listenHostOf({ lo: [loopback, { family: "IPv6" }] }), "::");
  assert.is(listenHostOf({ lo: [loopback], eth0: [{ family: "IPv6" }] }), "::");
  assert.is(listenHostOf({ lo: [loopback], eth0: undefined }), "0.0.0.0");
});

test.run();
