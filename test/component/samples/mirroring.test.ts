import { suite } from "uvu";
import * as assert from "uvu/assert";
import { eventually, type Mesh } from "../support/mesh.js";
import { seenBy, startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("mirroring");
test.before(async (context) => {
  context.mesh = await startSample("mirroring");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("v1 answers every request, and v2 gets a copy of each under the name of a shadow", async ({ mesh }) => {
  const responses = await mesh.call("client-0", "http://reviews/", { count: 200 });
  assert.equal(tally(responses), { "200 v1": 200 });
  assert.equal(await seenBy(mesh, "reviews-v1-0"), { reviews: 200 });
  // Nobody waits for the copies.
  await eventually("200 copies", async () => {
    const { "reviews-shadow": copies = 0, ...others } = await seenBy(mesh, "reviews-v2-0");
    assert.equal(others, {});
    return copies === 200 || copies;
  });
});

test.run();
