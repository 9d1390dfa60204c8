import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CallOptions, Mesh } from "../support/mesh.js";
import { startSample, told } from "./support.js";

const test = suite<{ mesh: Mesh }>("sticky sessions");
test.before(async (context) => {
  context.mesh = await startSample("sticky-sessions");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

const podsOf = async (mesh: Mesh, url: string, options: CallOptions): Promise<ReadonlySet<string>> =>
  new Set((await mesh.call("client-0", url, options)).map((response) => told(response).pod));

test("the cookie of the first answer leads to the same pod, also on new connections", async ({ mesh }) => {
  const [first] = await mesh.call("client-0", "http://cart/");
  const [cookie = ""] = [first?.headers["set-cookie"] ?? []].flat();
  assert.match(cookie, /^cart-session="[^"]+"; Max-Age=3600; Path=\/; HttpOnly$/);
  const headers = { cookie: cookie.split(";")[0]! };
  const pods = await podsOf(mesh, "http://cart/", { count: 60, headers, newConnections: true });
  assert.equal([...pods], [told(first!).pod]);
});

test("without the cookie, 60 requests reach every pod (all but one try in 10 billion)", async ({ mesh }) => {
  // The proxy makes the cookie of the connection's addresses.
  assert.is((await podsOf(mesh, "http://cart/", { count: 60, newConnections: true })).size, 3);
});

test("each user of the header has one pod, and not all the same", async ({ mesh }) => {
  const used = new Set<string>();
  for (let user = 0; user < 20; user++) {
    const headers = { "x-user": `user-${user}` };
    const pods = [...(await podsOf(mesh, "http://profile/", { count: 10, headers, newConnections: true }))];
    assert.is(pods.length, 1, `user-${user} saw ${pods}`);
    used.add(pods[0]!);
  }
  assert.ok(used.size > 1, "20 users share one pod");
});

test.run();
