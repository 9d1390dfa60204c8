import { test } from "uvu";
import * as assert from "uvu/assert";
import { createPacer } from "../../../src/serve/pace.js";

const burn = (milliseconds: number): void => {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
};

test("work is done in order, what is added meanwhile too", async () => {
  const pace = createPacer({ turnMilliseconds: 10, most: 4 });
  const done: number[] = [];
  await new Promise<void>((resolve) => {
    for (let index = 0; index < 100; index++)
      pace(() => {
        done.push(index);
        if (index === 50) pace(() => done.push(100));
        if (index === 99) setTimeout(resolve, 0);
      });
  });
  assert.equal(
    done,
    Array.from({ length: 101 }, (_, index) => index),
  );
});

test("a timer does not wait for all of it", async () => {
  const pace = createPacer({ turnMilliseconds: 5, most: Number.POSITIVE_INFINITY });
  let done = 0;
  for (let index = 0; index < 100; index++)
    pace(() => {
      burn(1);
      done++;
    });
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(done > 0 && done < 50, `${done} of 100 pieces were done first`);
});

test("turns that take long are given fewer pieces", async () => {
  const pace = createPacer({ turnMilliseconds: 5, most: 16 });
  const turns: number[] = [];
  let inTurn = 0;
  await new Promise<void>((resolve) => {
    for (let index = 0; index < 60; index++)
      pace(() => {
        if (inTurn++ === 0)
          // What each piece brings about later, as a handshake does.
          setTimeout(() => {
            burn(8);
            turns.push(inTurn);
            inTurn = 0;
          }, 0);
        if (index === 59) setTimeout(resolve, 20);
      });
  });
  assert.ok(Math.min(...turns.slice(2)) <= 2, turns.join());
});

test.run();
