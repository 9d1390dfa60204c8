import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("authorization");
test.before(async (context) => {
  context.mesh = await startSample("authorization");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("the backend answers GET /api/v1 of the frontend, and nothing else", async ({ mesh }) => {
  const ask = async (pod: string, path: string, method = "GET") =>
    tally(await mesh.call(pod, `http://backend${path}`, { method, count: 20 }));
  assert.equal(await ask("frontend-0", "/api/v1"), { "200 v1": 20 });
  assert.equal(await ask("frontend-0", "/api/v1?page=2"), { "200 v1": 20 });
  assert.equal(await ask("frontend-0", "/api/v2"), { 403: 20 });
  assert.equal(await ask("frontend-0", "/api/v1", "POST"), { 403: 20 });
  assert.equal(await ask("other-0", "/api/v1"), { 403: 20 });
});

test.run();
