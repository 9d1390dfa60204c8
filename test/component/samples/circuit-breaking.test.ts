import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("circuit breaking");
test.before(async (context) => {
  context.mesh = await startSample("circuit-breaking");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("a pod that fails three times running is left out", async ({ mesh }) => {
  const first = tally(await mesh.call("client-0", "http://ratings/", { count: 100, concurrency: 1 }));
  const failures = first["503 bad"] ?? 0;
  // A request or two may be on their way while every worker of the proxy is told.
  assert.ok(failures >= 3 && failures <= 6, JSON.stringify(first));
  assert.is(first["200 good"], 100 - failures, JSON.stringify(first));
  assert.is(await mesh.stat("client-0", /outbound\|80\|\|ratings\..*outlier_detection\.ejections_active/), 1);
  const next = await mesh.call("client-0", "http://ratings/", { count: 200 });
  assert.equal(tally(next), { "200 good": 200 });
});

test("what is more than one under way and one waiting is refused at once", async ({ mesh }) => {
  const responses = await mesh.call("client-0", "http://slow/", { count: 12, concurrency: 12 });
  const served = responses.filter(({ status }) => status === 200);
  const refused = responses.filter(({ status }) => status === 503);
  assert.is(served.length + refused.length, 12, JSON.stringify(tally(responses)));
  // Each worker thread of the proxy may have a connection of its own.
  assert.ok(served.length >= 1 && served.length <= 4, `${served.length} were served`);
  for (const { headers, milliseconds } of refused) {
    assert.is(headers["x-envoy-overloaded"], "true");
    assert.ok(milliseconds < 400, `refused after ${milliseconds} ms, and slow takes 500`);
  }
});

test.run();
