import { suite } from "uvu";
import * as assert from "uvu/assert";
import { eventually, type Mesh } from "../support/mesh.js";
import { startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("circuit breaking");
test.before(async (context) => {
  context.mesh = await startSample("circuit-breaking");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

const ask = async (mesh: Mesh, count: number) =>
  tally(await mesh.call("client-0", "http://ratings/", { count, concurrency: 1 }));

test("a pod that fails three times running is left out", async ({ mesh }) => {
  const first = await ask(mesh, 30);
  assert.ok((first["503 bad"] ?? 0) >= 3, JSON.stringify(first));
  // The proxy tells its workers of such changes once a second.
  await eventually("the bad pod is left out", async () => (await ask(mesh, 10))["200 good"] === 10, 5);
  const ejected = /^outbound\|80\|\|ratings\..*::health_flags::\/failed_outlier_check$/gm;
  assert.is((await mesh.admin("client-0", "/clusters")).match(ejected)?.length, 1);
  assert.equal(await ask(mesh, 200), { "200 good": 200 });
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
