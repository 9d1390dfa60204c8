import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { assertShare, seenBy, startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("fault injection");
test.before(async (context) => {
  context.mesh = await startSample("fault-injection");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("one request in five is refused without the service knowing (1,000 requests, 99.99 % confidence)", async ({
  mesh,
}) => {
  const counts = tally(await mesh.call("client-0", "http://ratings/", { count: 1000 }));
  assert.equal(Object.keys(counts).sort(), ["200 v1", "503"]);
  assertShare("refused", counts["503"]!, 1000, 0.2);
  assert.equal(await seenBy(mesh, "ratings-v1-0"), { ratings: counts["200 v1"]! });
});

test("jason waits two seconds, and is answered", async ({ mesh }) => {
  const responses = await mesh.call("client-0", "http://ratings/", { count: 5, headers: { "end-user": "jason" } });
  assert.equal(tally(responses), { "200 v1": 5 });
  for (const { milliseconds } of responses)
    assert.ok(milliseconds >= 1950 && milliseconds < 4000, `answered after ${milliseconds} ms`);
});

test.run();
