import { test } from "uvu";
import * as assert from "uvu/assert";
import { createKeeper } from "../../../src/main/keeper.js";

const settled = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test("the first repair comes at once; one that is undone again and again comes with growing pauses", async () => {
  const times: number[] = [];
  const keeper = createKeeper({
    wrong: () => ["a"],
    write: async () => {
      times.push(Date.now());
    },
    failed: (error) => assert.unreachable(error.message),
  });
  const began = Date.now();
  keeper.check();
  await settled(1200);
  keeper.stop();
  assert.ok(times[0]! - began < 50);
  assert.is(times.length, 3, "at 0, 250 and 750 ms");
});

test("what fails is tried again, others do not wait for it, and a new aim waits for nothing", async () => {
  const wrong = new Set(["bad", "good"]);
  const written: string[] = [];
  const failures: string[] = [];
  const keeper = createKeeper({
    wrong: () => wrong,
    write: async (key) => {
      written.push(key);
      if (key === "bad") throw new Error("no");
      wrong.delete(key);
    },
    failed: ({ message }) => failures.push(message),
  });
  keeper.check();
  await settled(20);
  assert.equal(written, ["bad", "good"]);
  keeper.renew();
  await settled(20);
  assert.equal(written, ["bad", "good", "bad"]);
  await settled(300);
  assert.is(failures.length, 3);
  keeper.stop();
});

test("a few are written at a time, and each once", async () => {
  const wrong = new Set(Array.from({ length: 100 }, (_, index) => String(index)));
  let running = 0;
  let most = 0;
  let writes = 0;
  const keeper = createKeeper({
    wrong: () => wrong,
    write: async (key) => {
      most = Math.max(most, ++running);
      await settled(1);
      running--;
      writes++;
      wrong.delete(key);
    },
    failed: (error) => assert.unreachable(error.message),
  });
  keeper.check();
  keeper.check();
  while (wrong.size > 0) await settled(5);
  keeper.stop();
  assert.is(most, 8);
  assert.is(writes, 100);
});

test.run();
