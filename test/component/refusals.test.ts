import { Writable } from "node:stream";
import { status } from "@grpc/grpc-js";
import { pino } from "pino";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { typeUrls } from "../../src/compile/resources.js";
import { createView } from "../../src/compile/view.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { createTokenAuthenticator } from "../../src/identity/token.js";
import { startXdsServer } from "../../src/serve/server.js";
import { openXdsStream } from "./support/clients.js";
import { within } from "./support/heddled.js";
import { createTokenIssuer } from "./support/tokens.js";

const tokens = createTokenIssuer();
const cart = { namespace: "shop", serviceAccount: "cart", pod: "cart-1", uid: "uid" };

const start = async () => {
  let log = "";
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      log += chunk.toString("utf8");
      done();
    },
  });
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const view = createView();
  const server = await startXdsServer({
    host: "127.0.0.1",
    port: 0,
    authenticate: createTokenAuthenticator(tokens.review, "istio-ca"),
    configuration: {
      attach: async () => ({ layers: [view], onChange: () => () => {}, release: () => {} }),
      nacked: () => {},
    },
    certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600),
    logger: pino({ level: "trace" }, sink),
  });
  return { server, authority, log: () => log };
};

const ask = async (port: number, root: string, token: string | undefined, nodeId: string) => {
  const stream = openXdsStream(`localhost:${port}`, root, token);
  try {
    const answered = new Promise<{ readonly code: status; readonly details: string }>((resolve) => {
      stream.call.once("data", ({ typeUrl }) => resolve({ code: status.OK, details: typeUrl }));
    });
    stream.send({ typeUrl: typeUrls.cluster, node: { id: nodeId } });
    return await Promise.race([answered, stream.ended]);
  } finally {
    stream.close();
  }
};

const nodeOf = (pod: string): string => `sidecar~10.0.0.1~${pod}.shop~shop.svc.cluster.local`;

test("a stream needs a valid token and the node id of its own pod; nothing secret is logged", async () => {
  const { server, authority, log } = await start();
  const good = tokens.issue(cart);
  const [header, , signature] = good.split(".");
  const [, otherClaims] = tokens.issue({ ...cart, pod: "other", uid: "other" }).split(".");
  const cases: readonly (readonly [string, string | undefined, string, status, RegExp])[] = [
    ["no token", undefined, nodeOf("cart-1"), status.UNAUTHENTICATED, /no token/],
    ["no JWT", "SECRET-TOKEN", nodeOf("cart-1"), status.UNAUTHENTICATED, /not valid/],
    [
      "expired",
      tokens.issue({ ...cart, lifetimeSeconds: -1 }),
      nodeOf("cart-1"),
      status.UNAUTHENTICATED,
      /has expired/,
    ],
    [
      "of another audience",
      tokens.issue({ ...cart, audience: "vault" }),
      nodeOf("cart-1"),
      status.UNAUTHENTICATED,
      /another audience/,
    ],
    [
      "of another cluster",
      createTokenIssuer().issue(cart),
      nodeOf("cart-1"),
      status.UNAUTHENTICATED,
      /not of this cluster/,
    ],
    [
      "with changed claims",
      `${header}.${otherClaims}.${signature}`,
      nodeOf("other"),
      status.UNAUTHENTICATED,
      /not valid/,
    ],
    ["for another node", good, nodeOf("other"), status.PERMISSION_DENIED, /cart-1\.shop/],
    ["good", good, nodeOf("cart-1"), status.OK, /Cluster/],
  ];
  try {
    for (const [name, token, nodeId, expected, details] of cases) {
      const answer = await ask(server.port, authority.rootsPem, token, nodeId);
      assert.is(answer.code, expected, `${name}: ${answer.details}`);
      assert.match(answer.details, details, name);
      if (token !== undefined) for (const text of [answer.details, log()]) assert.not.match(text, token, name);
    }
    assert.is(log().match(/refused an xDS stream/g)?.length, cases.length - 1);
    assert.not.match(log(), /eyJ|SECRET|PRIVATE KEY/);
  } finally {
    await server.stop();
  }
});

test("a pod has four streams; one more ends its oldest", async () => {
  const { server, authority } = await start();
  const open = async (pod: string) => {
    const token = tokens.issue({ ...cart, pod, uid: pod });
    const stream = openXdsStream(`localhost:${server.port}`, authority.rootsPem, token);
    const answered = new Promise((resolve) => stream.call.once("data", resolve));
    stream.send({ typeUrl: typeUrls.cluster, node: { id: nodeOf(pod) } });
    await within("a stream is answered", answered);
    return stream;
  };
  try {
    const other = await open("other-1");
    const streams = [];
    for (let count = 0; count < 5; count++) streams.push(await open("cart-1"));
    const { code, details } = await within("the oldest ends", streams[0]!.ended);
    assert.is(code, status.RESOURCE_EXHAUSTED);
    assert.match(details, "oldest");
    const rest = Promise.race([...streams.slice(1), other].map(({ ended }) => ended.then(() => "ended")));
    const again = await open("other-2");
    assert.is(await Promise.race([rest, Promise.resolve("open")]), "open");
    for (const stream of [...streams, other, again]) stream.close();
  } finally {
    await server.stop();
  }
});

test("connections made after a rotation see the new certificate", async () => {
  const { server, authority } = await start();
  try {
    server.setCertificate(await authority.issue({ dnsNames: ["localhost"] }, 60));
    const answer = await ask(server.port, authority.rootsPem, tokens.issue(cart), nodeOf("cart-1"));
    assert.is(answer.code, status.OK, answer.details);
  } finally {
    await server.stop();
  }
});

test.run();
