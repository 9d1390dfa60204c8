import { test } from "uvu";
import * as assert from "uvu/assert";
import { createPacer, type Pace } from "../../../src/serve/pace.js";

/** An event loop whose time passes only by `spend`; `turn` goes round once and tells whether anything was to be done. */
const open = (pace: Pace) => {
  let time = 0;
  let actions: (() => void)[] = [];
  const add = createPacer(pace, { now: () => time, nextTurn: (action) => actions.push(action) });
  return {
    add,
    spend: (milliseconds: number): void => {
      time += milliseconds;
    },
    turn: (): boolean => {
      const due = actions;
      actions = [];
      for (const action of due) action();
      return due.length > 0;
    },
  };
};

test("work is done in order, what is added meanwhile too, and never at once", () => {
  const { add, turn } = open({ turnMilliseconds: 10, most: 4 });
  const done: number[] = [];
  for (let index = 0; index < 100; index++)
    add(() => {
      done.push(index);
      if (index === 50) add(() => done.push(100));
    });
  assert.equal(done, []);
  turn();
  assert.is(done.length, 4);
  while (turn());
  assert.equal(
    done,
    Array.from({ length: 101 }, (_, index) => index),
  );
});

test("a turn ends when its time is over, however many pieces it may have", () => {
  const { add, spend, turn } = open({ turnMilliseconds: 10, most: Number.POSITIVE_INFINITY });
  let done = 0;
  for (let index = 0; index < 100; index++)
    add(() => {
      spend(3);
      done++;
    });
  const counts: number[] = [];
  for (let before = 0; turn(); before = done) counts.push(done - before);
  assert.equal(new Set(counts), new Set([4]));
  assert.is(counts.length, 25);
});

test("turns that take long are given fewer pieces, down to one, and quick ones more again", () => {
  const { add, spend, turn } = open({ turnMilliseconds: 10, most: 16 });
  let done = 0;
  for (let index = 0; index < 200; index++) add(() => done++);
  const countOf = (milliseconds: number): number => {
    const before = done;
    turn();
    // What the pieces bring about before the next turn, as handshakes do.
    spend(milliseconds);
    return done - before;
  };
  assert.equal([20, 20, 20, 20, 20, 20].map(countOf), [16, 8, 4, 2, 1, 1]);
  assert.equal([1, 1, 1].map(countOf), [1, 2, 3]);
});

test.run();
