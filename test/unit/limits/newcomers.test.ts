import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { limitNewcomers } from "../../../src/limits/newcomers.js";
import { createRateLimit } from "../../../src/limits/rate-limit.js";

let port = 0;
const socketOf = (remoteAddress: string) => {
  const socket = Object.assign(new EventEmitter(), {
    remoteAddress,
    remotePort: ++port,
    bytesRead: 0,
    isClosed: false,
    destroy: () => {
      socket.isClosed = true;
      socket.emit("close");
    },
  });
  return socket;
};
const asSocket = (socket: ReturnType<typeof socketOf>): Socket => socket as unknown as Socket;

const limits = { perAddress: 2, total: 3, milliseconds: 60_000, graceMilliseconds: 0, bytes: 1000 };

test("one address has no more than its share, until it is known who calls", () => {
  const reasons: string[] = [];
  const newcomers = limitNewcomers(limits, (why) => reasons.push(why));
  const [first, second, third] = ["a", "a", "a"].map(socketOf);
  assert.ok(newcomers.enter(asSocket(first!)) && newcomers.enter(asSocket(second!)));
  assert.not(newcomers.enter(asSocket(third!)));
  assert.ok(third!.isClosed);
  newcomers.known(`a:${first!.remotePort}`);
  assert.ok(newcomers.enter(asSocket(socketOf("a"))));
  second!.destroy();
  assert.ok(newcomers.enter(asSocket(socketOf("a"))));
  assert.not(first!.isClosed);
  assert.equal(reasons, ["address"]);
});

test("of too many the oldest goes once it has had its time, and the new one before", () => {
  const newcomers = limitNewcomers(limits);
  const [first, ...others] = ["a", "b", "c", "d"].map(socketOf);
  for (const socket of [first!, ...others]) assert.ok(newcomers.enter(asSocket(socket)));
  assert.ok(first!.isClosed);
  assert.not(others.some(({ isClosed }) => isClosed));

  const patient = limitNewcomers({ ...limits, graceMilliseconds: 60_000 });
  const [old, , , late] = ["a", "b", "c", "d"].map((address) => {
    const socket = socketOf(address);
    patient.enter(asSocket(socket));
    return socket;
  });
  assert.ok(late!.isClosed);
  assert.not(old!.isClosed);
});

test("a connection that sends too much, or takes too long, is closed", async () => {
  const reasons: string[] = [];
  const newcomers = limitNewcomers({ ...limits, milliseconds: 600 }, (why) => reasons.push(why));
  const [loud, slow] = ["a", "b"].map(socketOf);
  newcomers.enter(asSocket(loud!));
  newcomers.enter(asSocket(slow!));
  loud!.bytesRead = 1001;
  const deadline = Date.now() + 20_000;
  // The limits' own timer does not keep the process.
  while (reasons.length < 2 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(reasons, ["bytes", "time"]);
  assert.ok(loud!.isClosed && slow!.isClosed);
});

test("a rate limit gives tokens back, and no more than there were", () => {
  let now = 0;
  const limit = createRateLimit({ burst: 2, perSecond: 1, now: () => now });
  assert.equal([limit.take("a"), limit.take("a"), limit.take("a"), limit.take("b")], [true, true, false, true]);
  limit.giveBack("a");
  assert.ok(limit.take("a"));
  for (let time = 0; time < 5; time++) limit.giveBack("a");
  assert.equal([limit.take("a"), limit.take("a"), limit.take("a")], [true, true, false]);
  now = 1000;
  assert.equal([limit.take("a"), limit.take("a")], [true, false]);
});

test.run();
