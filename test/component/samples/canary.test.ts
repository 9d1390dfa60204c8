import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { assertShare, sampleFile, startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("canary");
test.before(async (context) => {
  context.mesh = await startSample("canary");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

const url = "http://reviews/";

test("of 2,000 requests a tenth goes to v2 (99.99 % confidence: 147 to 253)", async ({ mesh }) => {
  const counts = tally(await mesh.call("client-0", url, { count: 2000 }));
  assert.equal(Object.keys(counts).sort(), ["200 v1", "200 v2"]);
  assertShare("v2", counts["200 v2"]!, 2000, 0.1);
});

test("raising the weight to 50 under load loses no request, and half goes to v2 (99.99 %)", async ({ mesh }) => {
  const halves = sampleFile("canary", "rules.yaml")
    .replace("weight: 90", "weight: 50")
    .replace("weight: 10", "weight: 50");
  const [loaded] = await Promise.all([mesh.call("client-0", url, { count: 2000 }), mesh.apply(halves)]);
  const during = tally(loaded);
  assert.is((during["200 v1"] ?? 0) + (during["200 v2"] ?? 0), 2000, JSON.stringify(during));
  const after = tally(await mesh.call("client-0", url, { count: 2000 }));
  assert.is(after["200 v1"]! + after["200 v2"]!, 2000, JSON.stringify(after));
  assertShare("v2", after["200 v2"]!, 2000, 0.5);
});

test.run();
