import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { sampleFile, startSample, tally, told } from "./support.js";

const test = suite<{ mesh: Mesh }>("blue and green");
test.before(async (context) => {
  context.mesh = await startSample("blue-green");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

const url = "http://reviews/";

test("all go to blue, on both of its pods", async ({ mesh }) => {
  const responses = await mesh.call("client-0", url, { count: 100 });
  assert.equal(tally(responses), { "200 blue": 100 });
  assert.is(new Set(responses.map((response) => told(response).pod)).size, 2);
});

test("the switch under load fails no request, and after it all go to green", async ({ mesh }) => {
  const [loaded] = await Promise.all([
    mesh.call("client-0", url, { count: 2000 }),
    mesh.apply(sampleFile("blue-green", "switch/green.yaml")),
  ]);
  const during = tally(loaded);
  assert.is((during["200 blue"] ?? 0) + (during["200 green"] ?? 0), 2000, JSON.stringify(during));
  assert.equal(tally(await mesh.call("client-0", url, { count: 200 })), { "200 green": 200 });
});

test("the way back is the same", async ({ mesh }) => {
  await mesh.apply(sampleFile("blue-green", "rules.yaml"));
  assert.equal(tally(await mesh.call("client-0", url, { count: 200 })), { "200 blue": 200 });
});

test.run();
