import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { status } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { framed } from "../../src/serve/grpc/framing.js";
import { type GrpcCall, type GrpcMethod, type GrpcServer, startGrpcServer } from "../../src/serve/grpc/server.js";
import { fields, flags, frame, frameTypes, openBare } from "./support/bare-http2.js";
import { eventually, within } from "./support/heddled.js";
import { liveBytes } from "./support/webhook-client.js";

/** What hostile clients of the xDS port do, while a good one is served all along. */
interface Context {
  server: GrpcServer;
  ca: string;
  /** Calls of `/test/Stranger`, which are never authenticated but by the test. */
  calls: GrpcCall[];
  /** Sizes of the messages that they sent. */
  messages: number[];
  dropped: string[];
  good: ClientHttp2Session;
}

const newcomers = { perAddress: 20, total: 30, milliseconds: 3000, graceMilliseconds: 500, bytes: 256 * 1024 };
const test = suite<Context>("floods");

test.before(async (context) => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  context.calls = [];
  context.messages = [];
  context.dropped = [];
  const stranger: GrpcMethod = (call) => {
    context.calls.push(call);
    return {
      message: ({ length }) => context.messages.push(length),
      halfClosed: () => {},
      closed: () => {},
    };
  };
  const good: GrpcMethod = (call) => {
    call.authenticated();
    return { message: () => {}, halfClosed: () => call.end(status.OK), closed: () => {} };
  };
  context.server = await startGrpcServer({
    ...{ host: "127.0.0.1", port: 0, certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600) },
    largestRequest: 8 << 20,
    sessions: { pingMilliseconds: 60_000, mostControlFrames: 500 },
    newcomers,
    dropped: (why) => context.dropped.push(why),
    methods: new Map([
      ["/test/Stranger", stranger],
      ["/test/Good", good],
    ]),
  });
  context.ca = authority.rootsPem;
  context.good = connectHttp2(`https://localhost:${context.server.port}`, { ca: context.ca });
});

test.after(async ({ good, server }) => {
  good?.destroy();
  await server?.stop();
});

test.after.each(async (context) => {
  context.calls.length = 0;
  context.messages.length = 0;
  context.dropped.length = 0;
});

const post = { ":method": "POST", "content-type": "application/grpc" } as const;

/** Milliseconds that one call of the good client took. */
const ask = async (session: ClientHttp2Session): Promise<number> => {
  const begun = performance.now();
  const stream = session.request({ ...post, ":path": "/test/Good" });
  stream.end(framed(Buffer.from("hello")));
  const [headers] = (await within("the good client is answered", once(stream, "response"))) as [Record<string, string>];
  assert.is(headers["grpc-status"], String(status.OK));
  stream.resume();
  return performance.now() - begun;
};

/** The good client's longest wait while `attack` goes on. */
const meanwhile = async (session: ClientHttp2Session, attack: Promise<unknown>): Promise<number> => {
  let isOver = false;
  const over = attack.finally(() => {
    isOver = true;
  });
  let longest = 0;
  do {
    longest = Math.max(longest, await ask(session));
    await new Promise((resolve) => setTimeout(resolve, 10));
  } while (!isOver);
  await over;
  return Math.max(longest, await ask(session));
};

/** A wait that a proxy would not notice; the machine of the tests is loaded. */
const bound = 3000;

/** Whichever way the server ends it, a reset included. */
const closed = (socket: Socket | TLSSocket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed || socket.readableEnded) return resolve();
    for (const event of ["close", "end", "error"]) socket.once(event, () => resolve());
    socket.resume();
  });

/** Sends what `next` gives until the server has ended the connection, or this many times. */
const flood = async (socket: TLSSocket, next: (turn: number) => Buffer, most: number): Promise<boolean> => {
  let isEnded = false;
  for (const event of ["end", "close", "error"])
    socket.once(event, () => {
      isEnded = true;
    });
  socket.resume();
  for (let turn = 0; turn < most && !isEnded; turn++) {
    if (!socket.writable) break;
    if (!socket.write(next(turn))) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
    if (turn % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const deadline = Date.now() + 5000;
  while (!isEnded && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  socket.destroy();
  return isEnded;
};

const requestOf = (path: string, more: readonly (readonly [string, string])[] = []): Buffer =>
  fields([
    [":method", "POST"],
    [":scheme", "https"],
    [":authority", "localhost"],
    [":path", path],
    ["content-type", "application/grpc"],
    ...more,
  ]);

test("of a stranger's call 64 kB are read; the rest when it is known who calls", async (context) => {
  const session = connectHttp2(`https://localhost:${context.server.port}`, { ca: context.ca });
  session.on("error", () => {});
  const stream = session.request({ ...post, ":path": "/test/Stranger" });
  stream.on("error", () => {});
  const size = 5_000_000;
  stream.write(framed(Buffer.alloc(size)));
  const call = await eventually("the call is there", () => context.calls[0]);
  const sent = (): number => (session.socket as unknown as TLSSocket).bytesWritten;
  let last = -1;
  await eventually("the server reads no more", async () => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const isStill = sent() === last && last > 64 * 1024;
    last = sent();
    return isStill;
  });
  assert.ok(last < 200_000, `${last} bytes were taken from a stranger`);
  call.authenticated();
  await eventually("the whole message is there", () => context.messages[0] === size);
  session.destroy();
});

test("connections that say nothing, or little, end when their time is over", async (context) => {
  const { port } = context.server;
  const mute = connectTcp(port, "127.0.0.1").on("error", () => {});
  const half = connectTcp(port, "127.0.0.1", () => half.write(Buffer.from("16030102000100", "hex")));
  half.on("error", () => {});
  const silent = connectTls({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: context.ca,
    ALPNProtocols: ["h2"],
  });
  silent.on("error", () => {});
  const headless = await openBare(port, context.ca);
  headless.write(frame(frameTypes.headers, flags.none, requestOf("/test/Stranger").subarray(0, 20), 1));
  const slow = await openBare(port, context.ca);
  slow.write(frame(frameTypes.headers, flags.endHeaders, requestOf("/test/Stranger"), 1));
  const drip = setInterval(() => slow.write(frame(frameTypes.data, flags.none, Buffer.alloc(1), 1)), 100);
  const sockets = [mute, half, silent, headless, slow];
  const wait = await meanwhile(context.good, within("all are closed", Promise.all(sockets.map(closed))));
  clearInterval(drip);
  for (const socket of sockets) socket.destroy();
  assert.ok(wait < bound, `a good client waited ${wait} ms`);
  assert.equal(new Set(context.dropped), new Set(["time"]));
});

test("one address has no more newcomers than its share, and the good one goes on", async (context) => {
  const sockets = Array.from({ length: 60 }, () => connectTcp(context.server.port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => {}).resume();
  const wait = await meanwhile(
    context.good,
    eventually("those beyond are closed", () => sockets.filter(({ closed: isClosed }) => isClosed).length >= 40),
  );
  assert.ok(wait < bound, `a good client waited ${wait} ms`);
  assert.is(context.dropped.filter((why) => why === "address").length, 40);
  for (const socket of sockets) socket.destroy();
  const another = connectHttp2(`https://localhost:${context.server.port}`, { ca: context.ca });
  await ask(another);
  another.destroy();
});

const floods: readonly (readonly [name: string, next: (turn: number) => Buffer])[] = [
  [
    "rapid reset",
    (turn) =>
      Buffer.concat([
        frame(frameTypes.headers, flags.endHeaders, requestOf("/test/Stranger"), 2 * turn + 1),
        frame(frameTypes.reset, flags.none, Buffer.from([0, 0, 0, 8]), 2 * turn + 1),
      ]),
  ],
  ["PING", () => frame(frameTypes.ping, flags.none, Buffer.alloc(8))],
  ["SETTINGS", () => frame(frameTypes.settings, flags.none, Buffer.alloc(0))],
  [
    "CONTINUATION",
    (turn) =>
      turn === 0
        ? frame(frameTypes.headers, flags.endStream, requestOf("/test/Stranger"), 1)
        : frame(frameTypes.continuation, flags.none, fields([[`x-${turn}`, "v".repeat(100)]]), 1),
  ],
  [
    "empty DATA",
    (turn) =>
      turn === 0
        ? frame(frameTypes.headers, flags.endHeaders, requestOf("/test/Stranger"), 1)
        : frame(frameTypes.data, flags.none, Buffer.alloc(0), 1),
  ],
  ["PRIORITY", (turn) => frame(2, flags.none, Buffer.from([0, 0, 0, 0, 16]), 2 * turn + 1)],
];

for (const [name, next] of floods)
  test(`a ${name} flood ends its connection, costs no memory and no one's answers`, async (context) => {
    const before = liveBytes();
    let isEnded = false;
    const attack = async (): Promise<void> => {
      isEnded = await flood(await openBare(context.server.port, context.ca), next, 60_000);
    };
    const wait = await meanwhile(context.good, attack());
    assert.ok(isEnded, "the connection was not ended");
    assert.ok(wait < bound, `a good client waited ${wait} ms`);
    const grown = (liveBytes() - before) / 2 ** 20;
    assert.ok(grown < 20, `memory grew by ${grown.toFixed(1)} MiB`);
  });

for (const name of ["PING", "SETTINGS", "rapid reset"])
  test(`a ${name} flood ends the connection of a known client too`, async (context) => {
    const [, next] = floods.find(([flooding]) => flooding === name)!;
    const socket = await openBare(context.server.port, context.ca);
    // The call that makes it known.
    socket.write(frame(frameTypes.headers, flags.endHeaders, requestOf("/test/Good"), 1));
    const isEnded = await flood(socket, (turn) => next(turn + 1), 60_000);
    assert.ok(isEnded, "the connection was not ended");
    await ask(context.good);
  });

test("headers beyond the limit are refused", async (context) => {
  const session = connectHttp2(`https://localhost:${context.server.port}`, { ca: context.ca });
  session.on("error", () => {});
  const stream = session.request({ ...post, ":path": "/test/Good", "x-large": "v".repeat(40_000) });
  stream.on("error", () => {});
  const [headers] = (await within("it is refused", once(stream, "response"))) as [Record<string, unknown>];
  assert.is(headers[":status"], 431);
  session.destroy();
  await ask(context.good);
});

test("a connection without calls is told to close", async (context) => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const server = await startGrpcServer({
    ...{ host: "127.0.0.1", port: 0, certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600) },
    largestRequest: 1024,
    sessions: { pingMilliseconds: 50, idleMilliseconds: 200 },
    methods: new Map([
      [
        "/test/Good",
        (call) => {
          call.authenticated();
          return { message: () => {}, halfClosed: () => call.end(status.OK), closed: () => {} };
        },
      ],
    ]),
  });
  const session = connectHttp2(`https://localhost:${server.port}`, { ca: authority.rootsPem });
  await ask(session);
  await within("the idle connection closes", once(session, "close"));
  await server.stop();
  await ask(context.good);
});

test.run();
