import { suite } from "uvu";
import * as assert from "uvu/assert";
import { eventually, type Mesh } from "../support/mesh.js";
import { startSample, tally } from "./support.js";

const test = suite<{ mesh: Mesh }>("locality failover");
test.before(async (context) => {
  context.mesh = await startSample("locality-failover");
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

const ask = async (mesh: Mesh, count: number) =>
  tally(await mesh.call("client-0", "http://reviews/", { count, concurrency: 2 }));

/** The application hangs up, its pod and proxy stay. */
const hang = async (mesh: Mesh, pod: string): Promise<void> => {
  const [answer] = await mesh.call(pod, "http://127.0.0.1:8080/stop?part=http", { method: "POST" });
  assert.is(answer?.status, 200);
};

test("all requests stay in the client's zone", async ({ mesh }) => {
  assert.equal(await ask(mesh, 100), { "200 east-a": 100 });
});

for (const [failing, next] of [
  ["reviews-east-a-0", "east-b"],
  ["reviews-east-b-0", "west-a"],
] as const)
  test(`when ${failing} fails, ${next} takes all`, async ({ mesh }) => {
    await hang(mesh, failing);
    await eventually(`all requests go to ${next}`, async () => {
      const counts = await ask(mesh, 20);
      return counts[`200 ${next}`] === 20 || counts;
    });
    assert.equal(await ask(mesh, 100), { [`200 ${next}`]: 100 });
  });

test.run();
