import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  callerHeaders,
  normalizations,
  paths,
  refusedRequests,
  requestFor,
  rewrittenRequests,
} from "../support/hostile-http.js";
import { fields, flags, frame, frameTypes, preface } from "./support/bare-http2.js";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { type Mesh, type Report, startMesh } from "./support/mesh.js";

/** Raw bytes to a real sidecar: what it refuses, and what its application gets of the rest. */
const test = suite<{ mesh: Mesh }>("hostile HTTP");

const start = (mesh: Parameters<typeof startMesh>[0]["mesh"] = {}): Promise<Mesh> =>
  startMesh({
    mesh,
    yaml: join(
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
      service("server", { http: [80, 8080], http2: [81, 8081] }, { namespace: "shop" }),
      echoPod("server", "server", { namespace: "shop" }),
    ),
  });

test.before(async (context) => {
  context.mesh = await start();
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

interface RawAnswer {
  readonly statuses: readonly number[];
  readonly text: string;
  readonly report: Report | undefined;
  readonly error: string | undefined;
}

const send = async (mesh: Mesh, bytes: string, timeoutMilliseconds = 20_000, port = 8080): Promise<RawAnswer> => {
  const [answer] = await mesh.call("outside", `tcp://${mesh.pod("server").address}:${port}`, {
    body: bytes,
    untilClose: true,
    encoding: "latin1",
    timeoutMilliseconds,
  });
  const text = answer!.body;
  const json = text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1);
  return {
    statuses: [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status)),
    text,
    report: json === "" ? undefined : (JSON.parse(json) as Report),
    error: answer!.error,
  };
};

const tally = async (mesh: Mesh): Promise<Readonly<Record<string, number>>> => {
  const [answer] = await mesh.call("outside", `http://${mesh.pod("server").address}:8080/seen`);
  return JSON.parse(answer!.body) as Record<string, number>;
};

test("requests of two meanings are refused, once, and nothing of them reaches the application", async ({ mesh }) => {
  const before = await tally(mesh);
  for (const [name, [request, status]] of Object.entries(refusedRequests)) {
    const { statuses, error } = await send(mesh, request);
    assert.equal(statuses, [status], `${name}: ${error}`);
  }
  assert.equal(await tally(mesh), before);
});

test("what is taken is handed on in one meaning", async ({ mesh }) => {
  for (const [name, [request, { path = "/", headers }]] of Object.entries(rewrittenRequests)) {
    const { statuses, report, error } = await send(mesh, request);
    assert.equal(statuses, [200], `${name}: ${error}`);
    assert.is(report?.path, path, name);
    for (const [header, value] of Object.entries(headers)) assert.is(report?.headers[header], value, name);
  }
});

test("a caller's headers neither command the proxy nor pass for its word", async ({ mesh }) => {
  const sent = Object.entries(callerHeaders).map(([name, [value]]) => `${name}: ${value}\r\n`);
  const { report } = await send(mesh, `GET / HTTP/1.1\r\nhost: server\r\n${sent.join("")}connection: close\r\n\r\n`);
  for (const [name, [, seen]] of Object.entries(callerHeaders))
    assert.is(report?.headers[name.toLowerCase()], seen, name);
});

/** Policies by paths, and what passes them. */
const policies: readonly (readonly [action: string, paths: readonly string[], passes: (path: string) => boolean])[] = [
  ["DENY", ["/a/b", "/b", "/etc*"], (path) => path !== "/a/b" && path !== "/b" && !path.startsWith("/etc")],
  ["ALLOW", ["/a/*"], (path) => path.startsWith("/a/")],
  ["DENY", ["/a/{*}"], (path) => !/^\/a\/[^/]+$/.test(path)],
];

const policyOf = (action: string, of: readonly string[]): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: paths, namespace: shop }
spec: { action: ${action}, rules: [{ to: [{ operation: { paths: ${JSON.stringify(of)} } }] }] }
`;

for (const [index, pathNormalization] of normalizations.entries())
  test(`paths under ${pathNormalization}: what the application gets, and what policies see, are one`, async ({
    mesh: base,
  }) => {
    const mesh = pathNormalization === "BASE" ? base : await start({ pathNormalization });
    const outcomesOf = async (passes: (path: string) => boolean, policy: string): Promise<void> => {
      const answers = await Promise.all(paths.map(([path]) => send(mesh, requestFor(path))));
      for (const [place, [path, ...outcomes]] of paths.entries()) {
        const { statuses, report, error } = answers[place]!;
        const outcome = statuses[0] === 200 ? report?.path : statuses[0];
        const taken = outcomes[index]!;
        const expected = typeof taken === "number" || passes(taken.split("?")[0]!) ? taken : 403;
        assert.is(outcome, expected, `${path} ${policy} ${error ?? ""}`);
      }
    };
    try {
      await outcomesOf(() => true, "without policies");
      for (const [action, of, passes] of policies) {
        await mesh.apply(policyOf(action, of));
        await outcomesOf(passes, `${action} ${of.join()}`);
      }
    } finally {
      await mesh.remove("AuthorizationPolicy", "shop", "paths");
      if (mesh !== base) await mesh.close();
    }
  });

const head = (more: readonly (readonly [string, string])[] = [], path = "/"): Buffer =>
  fields([[":method", "GET"], [":scheme", "http"], [":authority", "server"], [":path", path], ...more]);
const h2 = (...frames: readonly Buffer[]): string => Buffer.concat([preface, ...frames]).toString("latin1");
/** The connection stays open after an answer; what came until then counts. */
const answerMilliseconds = 2000;
const whole = flags.endStream | flags.endHeaders;

/** What the server said in HTTP/2: the types of its frames, and the error code of a GOAWAY that is no farewell. */
const framesOf = (text: string): { readonly types: readonly number[]; readonly fault: number | undefined } => {
  let bytes = Buffer.from(text, "latin1");
  const types: number[] = [];
  let fault: number | undefined;
  while (bytes.length >= 9) {
    const length = bytes.readUIntBE(0, 3);
    types.push(bytes[3]!);
    if (bytes[3] === frameTypes.goaway && bytes.length >= 17) fault = bytes.readUInt32BE(13) || fault;
    bytes = bytes.subarray(9 + length);
  }
  return { types, fault };
};

const send2 = (mesh: Mesh, bytes: string, timeoutMilliseconds?: number): Promise<RawAnswer> =>
  send(mesh, bytes, timeoutMilliseconds, 8081);

const isSound = async (mesh: Mesh): Promise<void> => {
  const [answer] = await mesh.call("outside", `http://${mesh.pod("server").address}:8081/`, { protocol: "http2" });
  assert.is(answer?.status, 200, answer?.error);
};

/** Milliseconds that the longest of some calls takes while `attack` goes on. */
const meanwhile = async (mesh: Mesh, attack: Promise<unknown>): Promise<number> => {
  let isOver = false;
  void attack.finally(() => {
    isOver = true;
  });
  let longest = 0;
  do {
    const [answer] = await mesh.call("outside", `http://${mesh.pod("server").address}:8080/`);
    assert.is(answer?.status, 200, answer?.error);
    longest = Math.max(longest, answer!.milliseconds);
  } while (!isOver);
  return longest;
};

const floods: Readonly<Record<string, () => string>> = {
  "rapid reset": () =>
    h2(
      ...Array.from({ length: 5000 }, (_, at) =>
        Buffer.concat([
          frame(frameTypes.headers, whole, head(), 2 * at + 1),
          frame(frameTypes.reset, flags.none, Buffer.from([0, 0, 0, 8]), 2 * at + 1),
        ]),
      ),
    ),
  CONTINUATION: () =>
    h2(
      frame(frameTypes.headers, flags.endStream, head(), 1),
      ...Array.from({ length: 5000 }, (_, at) =>
        frame(frameTypes.continuation, flags.none, fields([[`x-${at}`, "v".repeat(100)]]), 1),
      ),
    ),
  PING: () => h2(...Array.from({ length: 50_000 }, () => frame(frameTypes.ping, flags.none, Buffer.alloc(8)))),
  SETTINGS: () => h2(...Array.from({ length: 50_000 }, () => frame(frameTypes.settings, flags.none, Buffer.alloc(0)))),
  "empty DATA": () =>
    h2(
      frame(frameTypes.headers, flags.endHeaders, head(), 1),
      ...Array.from({ length: 5000 }, () => frame(frameTypes.data, flags.none, Buffer.alloc(0), 1)),
    ),
};

for (const [name, make] of Object.entries(floods))
  test(`HTTP/2: a ${name} flood ends its connection while others are answered`, async ({ mesh }) => {
    const attack = send2(mesh, make(), 10_000);
    const longest = await meanwhile(mesh, attack);
    const { text, error } = await attack;
    assert.not.match(error ?? "", "timeout", `${name}: the connection lives on ${text.length}`);
    assert.ok(longest < 3000, `a good client waited ${longest} ms`);
    await isSound(mesh);
  });

const malformed: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "an upper-case name": [["X-Upper", "a"]],
  "CR and LF in a value": [["x-a", "b\r\nx-c: d"]],
  "NUL in a value": [["x-a", "b\0c"]],
  "a colon in a name": [["x:a", "b"]],
  "a header of the connection": [["connection", "close"]],
  "Transfer-Encoding": [["transfer-encoding", "chunked"]],
  "two paths": [[":path", "/other"]],
};

test("HTTP/2: malformed requests reach no application", async ({ mesh }) => {
  const before = await tally(mesh);
  for (const [name, headers] of Object.entries(malformed)) {
    const { text } = await send2(mesh, h2(frame(frameTypes.headers, whole, head(headers), 1)), answerMilliseconds);
    assert.not.match(text, '"path"', name);
    const { types } = framesOf(text);
    assert.not(types.includes(frameTypes.data), name);
  }
  assert.equal(await tally(mesh), before);
});

test("HTTP/2: the authority is the Host, whatever the header of that name says", async ({ mesh }) => {
  const { text } = await send2(
    mesh,
    h2(frame(frameTypes.headers, whole, head([["host", "other"]]), 1)),
    answerMilliseconds,
  );
  assert.match(text, '":authority":"server"');
  assert.not.match(text, "other");
});

test("HTTP/2: headers beyond the limits are refused", async ({ mesh }) => {
  const before = await tally(mesh);
  const large = fields([["x-large", "y".repeat(16_000)]]);
  const frames = [
    frame(frameTypes.headers, flags.endStream, head(), 1),
    ...Array.from({ length: 5 }, () => frame(frameTypes.continuation, flags.none, large, 1)),
    frame(frameTypes.continuation, flags.endHeaders, large, 1),
  ];
  await send2(mesh, h2(...frames), answerMilliseconds);
  const many = head(Array.from({ length: 200 }, (_, at) => [`x-${at}`, "y"] as const));
  await send2(mesh, h2(frame(frameTypes.headers, whole, many, 1)), answerMilliseconds);
  assert.equal(await tally(mesh), before);
  await isSound(mesh);
});

test("headers that never end are waited for 15 seconds, an open stream is not hurried", async ({ mesh }) => {
  const [slow, slow2, late] = await Promise.all([
    send(mesh, "GET / HTTP/1.1\r\nhost: server\r\nx-a: ", 40_000),
    send2(mesh, h2(frame(frameTypes.headers, flags.endStream, head(), 1)), 25_000),
    mesh.call("outside", `http://${mesh.pod("server").address}:8080/delay?ms=18000`, { timeoutMilliseconds: 40_000 }),
  ]);
  assert.equal(slow.statuses, [408], slow.error);
  assert.ok(framesOf(slow2.text).types.includes(frameTypes.headers), "its stream is answered");
  assert.is(late[0]?.status, 200, late[0]?.error);
});

test.run();
