import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { sampleFile, startSample, told } from "./support.js";

const test = suite<{ mesh: Mesh }>("end users by JWT");
test.before(async (context) => {
  context.mesh = await startSample("end-user-jwt");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

const token = sampleFile("end-user-jwt", "alice.jwt").trim();
const ask = async (mesh: Mesh, headers: Readonly<Record<string, string>>, path = "/") =>
  (await mesh.call("client-0", `http://accounts${path}`, { headers }))[0]!;

test("the application gets what the token says, and not the token", async ({ mesh }) => {
  const { headers } = told(await ask(mesh, { authorization: `Bearer ${token}` }));
  assert.equal([headers["x-user"], headers["x-plan"], headers["authorization"]], ["alice", "gold", undefined]);
});

test("a token that was changed is refused", async ({ mesh }) => {
  assert.is((await ask(mesh, { authorization: `Bearer ${token.slice(0, -6)}` })).status, 401);
});

test("without a token only what is public passes, without headers that the caller made up", async ({ mesh }) => {
  assert.is((await ask(mesh, {})).status, 403);
  const { headers } = told(await ask(mesh, { "x-user": "alice", "x-plan": "gold" }, "/public"));
  assert.equal([headers["x-user"], headers["x-plan"]], [undefined, undefined]);
});

test.run();
