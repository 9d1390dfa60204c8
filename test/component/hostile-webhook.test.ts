import { once } from "node:events";
import { request } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type AdmissionServer, startAdmissionServer } from "../../src/admission/server.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { eventually, within } from "./support/heddled.js";
import { liveBytes, post } from "./support/webhook-client.js";

/** What hostile clients of the webhook port do, while the API server is answered all along. */
interface Context {
  server: AdmissionServer;
  ca: string;
  dropped: string[];
}

const test = suite<Context>("webhook");

test.before(async (context) => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  context.dropped = [];
  context.server = await startAdmissionServer({
    ...{ host: "127.0.0.1", port: 0, certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600) },
    admit: () => ({ allowed: true }),
    connections: { perAddress: 60, total: 100 },
    patience: { headersMilliseconds: 2000, requestMilliseconds: 4000 },
    dropped: (why) => context.dropped.push(why),
  });
  context.ca = authority.rootsPem;
});
test.after(async ({ server }) => {
  await server?.close();
});

const review = (object: unknown = { metadata: {}, spec: {} }): string =>
  JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: { uid: "u1", kind: { group: "", version: "v1", kind: "Pod" }, namespace: "shop", object },
  });

const ask = async ({ server, ca }: Context): Promise<number> => {
  const begun = performance.now();
  const { status, body } = await within("an admission is answered", post(server.port, review(), { ca }));
  assert.is(status, 200, body);
  return performance.now() - begun;
};

/** The longest wait of an admission while `attack` goes on. */
const meanwhile = async (context: Context, attack: Promise<unknown>): Promise<number> => {
  let isOver = false;
  const over = attack.finally(() => {
    isOver = true;
  });
  let longest = 0;
  do longest = Math.max(longest, await ask(context));
  while (!isOver);
  await over;
  return longest;
};
const bound = 3000;

/** Whichever way the server ends it, a reset included. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed || socket.readableEnded) return resolve();
    for (const event of ["close", "end", "error"]) socket.once(event, () => resolve());
    socket.resume();
  });

test("clients that say nothing, or say it slowly, are closed", async (context) => {
  const { port } = context.server;
  const tls = async (text: string): Promise<Socket> => {
    const socket = connectTls({ port, host: "127.0.0.1", servername: "localhost", ca: context.ca });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    socket.write(text);
    return socket;
  };
  const start = "POST /inject HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
  const headers = await tls(start);
  const body = await tls(`${start}content-length: 1000000\r\n\r\n`);
  const chunks = await tls(`${start}transfer-encoding: chunked\r\n\r\n`);
  const drip = setInterval(() => {
    headers.write("x: y\r\n");
    body.write(" ");
    chunks.write("1\r\n \r\n");
  }, 50);
  const silent = connectTcp(port, "127.0.0.1").on("error", () => {});
  const sockets = [silent, await tls(""), headers, body, chunks];
  const wait = await meanwhile(context, within("all are closed", Promise.all(sockets.map(closed))));
  clearInterval(drip);
  for (const socket of sockets) socket.destroy();
  assert.ok(wait < bound, `an admission waited ${wait} ms`);
});

test("one address has no more connections than its share", async (context) => {
  context.dropped.length = 0;
  const sockets = Array.from({ length: 80 }, () => connectTcp(context.server.port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => {}).resume();
  await eventually("those beyond are closed", () => sockets.filter(({ closed: isClosed }) => isClosed).length >= 20);
  assert.is(context.dropped.length, 20);
  for (const socket of sockets) socket.destroy();
  await eventually("there is room again", () => ask(context));
});

const body = Buffer.alloc(3_000_000, " ");

/** One POST of a large body that stays unfinished; gives the status once there is one. */
const begin = ({ server, ca }: Context): Promise<number> =>
  new Promise((resolve) => {
    const sent = request(
      {
        ...{ host: "127.0.0.1", port: server.port, path: "/inject", method: "POST", agent: false, ca },
        servername: "localhost",
        headers: { "content-type": "application/json", "content-length": body.length + 1 },
      },
      (response) => {
        resolve(response.statusCode ?? 0);
        sent.destroy();
      },
    );
    sent.on("error", () => resolve(0));
    sent.on("close", () => resolve(0));
    sent.write(body);
  });

test("large bodies that never end take no more than their share of memory", async (context) => {
  const before = liveBytes();
  const attack = within("all have an end", Promise.all(Array.from({ length: 50 }, () => begin(context))), 60);
  const most = new Promise<number>((resolve) => setTimeout(() => resolve(liveBytes() - before), 2000));
  const wait = await meanwhile(context, attack);
  const statuses = await attack;
  const taken = Math.round((await most) / 2 ** 20);
  assert.ok(taken < 100, `${taken} MiB were taken`);
  assert.ok(statuses.filter((status) => status === 503).length > 10, `answers ${statuses.join()}`);
  assert.ok(wait < bound, `an admission waited ${wait} ms`);
  assert.ok((await ask(context)) < bound);
});

const bombs: readonly (readonly [name: string, object: () => unknown])[] = [
  ["a million labels", () => ({ metadata: { labels: Object.fromEntries(pairs(100_000)) }, spec: {} })],
  ["a label of 2 MB", () => ({ metadata: { labels: { a: "x".repeat(2_000_000) } }, spec: {} })],
  ["100,000 containers", () => ({ metadata: {}, spec: { containers: Array(100_000).fill({ name: "a" }) } })],
  ["a million empty lists", () => ({ metadata: {}, spec: { a: Array(900_000).fill([]) } })],
];
const pairs = (count: number): readonly (readonly [string, string])[] =>
  Array.from({ length: count }, (_, at) => [`k${at}`, "v"] as const);

for (const [name, object] of bombs)
  test(`${name} are answered within the bound`, async (context) => {
    const begun = performance.now();
    const { status } = await post(context.server.port, review(object()), { ca: context.ca });
    assert.is(status, 200);
    assert.ok(performance.now() - begun < bound);
  });

test("headers beyond the limit are refused", async (context) => {
  const socket = connectTls({ port: context.server.port, host: "127.0.0.1", servername: "localhost", ca: context.ca });
  socket.on("error", () => {});
  await once(socket, "secureConnect");
  socket.write(`POST /inject HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(20_000)}\r\n\r\n`);
  const [answer] = (await within("it is refused", once(socket, "data"))) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 431 /);
  socket.destroy();
});

test.run();
