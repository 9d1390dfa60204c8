import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Mesh } from "../support/mesh.js";
import { startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("A/B test");
test.before(async (context) => {
  context.mesh = await startSample("ab-test");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

const groups: readonly (readonly [string, Readonly<Record<string, string>>, "v1" | "v2"])[] = [
  ["the header of group b", { "x-group": "b" }, "v2"],
  ["the cookie of group b, among others", { cookie: "lang=en; group=b; theme=dark" }, "v2"],
  ["no header", {}, "v1"],
  ["the header of another group", { "x-group": "bb" }, "v1"],
  ["a cookie that only ends like it", { cookie: "subgroup=b" }, "v1"],
];

for (const [what, headers, version] of groups)
  test(`${what} leads to ${version}`, async ({ mesh }) => {
    const responses = await mesh.call("client-0", "http://reviews/", { count: 50, headers });
    assert.equal(tally(responses), { [`200 ${version}`]: 50 });
    for (const response of responses) assert.is(response.headers["x-served-group"], version === "v2" ? "b" : undefined);
  });

test.run();
