import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { seenBy, startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("retries and timeouts");
test.before(async (context) => {
  context.mesh = await startSample("retries-timeouts");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("three retries are four requests, then the failure is told", async ({ mesh }) => {
  const [response] = await mesh.call("client-0", "http://broken/");
  assert.is(response?.status, 503);
  assert.equal(await seenBy(mesh, "broken-0"), { broken: 4 });
});

test("five retries leave 1 in 64 of the failures of one in two (400 requests, 99.99 %: at most 18)", async ({
  mesh,
}) => {
  const counts = tally(await mesh.call("client-0", "http://flaky/", { count: 400 }));
  const failures = counts["503 v1"] ?? 0;
  assert.is((counts["200 v1"] ?? 0) + failures, 400, JSON.stringify(counts));
  assert.ok(failures <= 18, `${failures} failures`);
  const { flaky = 0 } = await seenBy(mesh, "flaky-0");
  assert.ok(flaky > 650, `only ${flaky} attempts for 400 requests, of which half fail`);
});

test("nobody waits longer than the timeout of a second", async ({ mesh }) => {
  const responses = await mesh.call("client-0", "http://slow/", { count: 3 });
  for (const { status, milliseconds } of responses) {
    assert.is(status, 504);
    assert.ok(milliseconds >= 950 && milliseconds < 3000, `answered after ${milliseconds} ms`);
  }
});

test.run();
