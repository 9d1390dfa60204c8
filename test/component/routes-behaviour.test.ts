import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Headers, HttpRoute } from "../../src/api/networking/virtual-service.js";
import { unreachedHeader } from "../../src/compile/http.js";
import {
  type LoopbackEnvoy,
  loopbackCluster,
  type Origin,
  startLoopbackEnvoy,
  startOrigin,
} from "./support/loopback-envoy.js";
import { type Answer, type Call, call, callMany, eventually, isShare } from "./support/requests.js";
import { ruleListener } from "./support/rule-listener.js";

const to = (subset: string, more: { readonly weight?: number; readonly headers?: Headers } = {}) => ({
  ...more,
  destination: { host: "reviews", subset },
});
const v1: HttpRoute = { route: [to("v1")] };
const clusterOf = (subset: string): string => `outbound|80|${subset}|reviews.shop.svc.cluster.local`;

const rules: Readonly<Record<string, readonly HttpRoute[]>> = {
  "rewrite-prefix": [{ ...v1, match: [{ uri: { prefix: "/a/" } }], rewrite: { uri: "/b/" } }],
  "rewrite-exact": [{ ...v1, match: [{ uri: { exact: "/a" } }], rewrite: { uri: "/b", authority: "b.example" } }],
  "rewrite-regex": [{ ...v1, rewrite: { uriRegexRewrite: { match: "^/(\\w+)/(\\w+)", rewrite: "/\\2/\\1" } } }],
  "redirect-uri": [{ redirect: { uri: "/new", authority: "new.example", redirectCode: 302 } }],
  "redirect-prefix": [{ match: [{ uri: { prefix: "/a" } }], redirect: { prefixRewrite: "/b", redirectCode: 308 } }],
  "redirect-scheme": [{ redirect: { scheme: "https" } }],
  "redirect-port": [{ redirect: { port: 8443, authority: "new.example" } }],
  "redirect-port-80": [{ redirect: { derivePort: "FROM_REQUEST_PORT", authority: "new.example" } }],
  text: [{ directResponse: { status: 418, body: { string: "short & stout 100%" } } }],
  bytes: [{ directResponse: { status: 200, body: { bytes: "AP8=" } } }],
  headers: [
    {
      route: [to("v1", { headers: { request: { set: { "x-set": "destination" }, add: { "x-add": "3" } } } })],
      headers: {
        request: { set: { "x-set": "rule", "x-method": "%REQ(:method)%" }, add: { "x-add": "2" }, remove: ["x-gone"] },
        response: { set: { "x-answer": "yes" }, remove: ["x-origin"] },
      },
    },
  ],
  "headers-weighted": [
    {
      route: [
        to("v1", { weight: 100, headers: { request: { set: { "x-set": "destination" }, add: { "x-add": "3" } } } }),
        to("v2", { weight: 0 }),
        to("v1", { weight: 1, headers: { request: { set: { "x-set": "destination" }, add: { "x-add": "3" } } } }),
      ],
      headers: {
        request: { set: { "x-set": "rule" }, add: { "x-add": "2" }, remove: ["x-gone"] },
        response: { set: { "x-answer": "yes" }, remove: ["x-origin"] },
      },
    },
  ],
  host: [{ ...v1, headers: { request: { set: { Host: "set.example" } } } }],
  mirror: [{ ...v1, mirror: { host: "reviews", subset: "shadow" } }],
  "mirror-none": [{ ...v1, mirror: { host: "reviews", subset: "shadow" }, mirrorPercentage: { value: 0 } }],
  "mirror-some": [
    { ...v1, mirrors: [{ destination: { host: "reviews", subset: "shadow" }, percentage: { value: 30 } }] },
  ],
  abort: [{ ...v1, fault: { abort: { httpStatus: 555, percentage: { value: 25 } } } }],
  "abort-grpc": [{ ...v1, fault: { abort: { grpcStatus: "UNAVAILABLE", percentage: { value: 100 } } } }],
  "abort-none": [{ ...v1, fault: { abort: { httpStatus: 555 } } }],
  delay: [{ ...v1, fault: { delay: { fixedDelay: "300ms", percentage: { value: 100 } } } }],
  "delay-some": [{ ...v1, fault: { delay: { fixedDelay: "200ms", percentage: { value: 50 } } } }],
  cors: [
    {
      ...v1,
      corsPolicy: {
        allowOrigins: [{ exact: "https://a.example" }, { regex: "https://[a-z]+\\.b\\.example" }],
        allowMethods: ["GET", "PUT"],
        allowHeaders: ["x-a"],
        exposeHeaders: ["x-b"],
        maxAge: "24h",
        allowCredentials: true,
      },
    },
  ],
  "cors-ignore": [
    { ...v1, corsPolicy: { allowOrigins: [{ exact: "https://a.example" }], unmatchedPreflights: "IGNORE" } },
  ],
  timeout: [{ route: [to("slow")], timeout: "200ms" }],
  "no-timeout": [{ route: [to("slow")] }],
  retries: [{ route: [to("failing")], retries: { attempts: 3, retryOn: "5xx", backoff: "1ms" } }],
  "retries-status": [{ route: [to("failing")], retries: { attempts: 2, retryOn: "503", backoff: "1ms" } }],
  "retries-other": [
    { route: [to("failing")], retries: { attempts: 2, retryOn: "504,connect-failure", backoff: "1ms" } },
  ],
  "retries-default": [{ route: [to("failing")] }],
  "retries-off": [{ route: [to("unreached")], retries: { attempts: 0 } }],
  "retries-unreached": [{ route: [to("unreached")] }],
  "retries-try-timeout": [
    {
      route: [to("slow")],
      timeout: "5s",
      retries: { attempts: 2, perTryTimeout: "100ms", retryOn: "5xx", backoff: "1ms" },
    },
  ],
  "retries-connect": [{ route: [to("half")] }],
  weights: [{ route: [to("v1", { weight: 90 }), to("v2", { weight: 10 })] }],
  "weights-relative": [{ route: [to("v1", { weight: 1 }), to("v2", { weight: 3 })] }],
  "weights-zero": [{ route: [to("v1", { weight: 100 }), to("v2", { weight: 0 })] }],
  order: [
    { match: [{ uri: { prefix: "/a" } }], directResponse: { status: 201 } },
    { match: [{ uri: { prefix: "/a/b" } }], directResponse: { status: 202 } },
    { directResponse: { status: 203 } },
    { match: [{ uri: { prefix: "/c" } }], directResponse: { status: 204 } },
  ],
  nowhere: [{ route: [to("nobody")] }],
  empty: [{ route: [to("empty")] }],
};

interface Echo {
  readonly server: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

let origins: Readonly<Record<"v1" | "v2" | "shadow" | "slow" | "failing" | "unreached", Origin>>;
let envoy: LoopbackEnvoy;

const echo = (server: string): Promise<Origin> =>
  startOrigin(({ url, headers }, response) => {
    response.setHeader("x-origin", server);
    response.end(JSON.stringify({ server, url, headers }));
  });

/** A port of 127.0.0.1 on which nothing listens. */
const closedPort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resolve(port));
    });
  });

test.before(async () => {
  origins = {
    v1: await echo("v1"),
    v2: await echo("v2"),
    shadow: await echo("shadow"),
    slow: await startOrigin((_request, response) => {
      setTimeout(() => response.end("late"), 1000);
    }),
    failing: await startOrigin((_request, response) => {
      response.writeHead(503).end();
    }),
    unreached: await startOrigin((_request, response, count) => {
      if (count % 2 === 1) response.writeHead(503, { [unreachedHeader]: "true" }).end();
      else response.end("reached");
    }),
  };
  envoy = await startLoopbackEnvoy({
    listeners: Object.entries(rules).map(([name, http]) => ruleListener(name, http)),
    clusters: [
      ...Object.entries(origins).map(([name, { port }]) => loopbackCluster(clusterOf(name), [port])),
      loopbackCluster(clusterOf("half"), [origins.v1.port, await closedPort()]),
      loopbackCluster(clusterOf("empty"), []),
    ],
  });
});
test.after(async () => {
  await envoy?.stop();
  await Promise.all(Object.values(origins ?? {}).map(({ stop }) => stop()));
});

const ask = (listener: string, request: Call = {}): Promise<Answer> => call(envoy.port(listener), request);
const echoed = async (listener: string, request: Call = {}): Promise<Echo> => {
  const { status, body } = await ask(listener, request);
  assert.is(status, 200, body);
  return JSON.parse(body) as Echo;
};
const countOf = (answers: readonly Answer[], condition: (answer: Answer) => boolean): number =>
  answers.filter(condition).length;

test("the path and the authority are rewritten", async () => {
  assert.is((await echoed("rewrite-prefix", { path: "/a/x?y=/a/" })).url, "/b/x?y=/a/");
  const exact = await echoed("rewrite-exact", { path: "/a?y" });
  assert.is(exact.url, "/b?y");
  assert.is(exact.headers.host, "b.example");
  assert.is((await echoed("rewrite-regex", { path: "/one/two/three?q" })).url, "/two/one/three?q");
});

test("redirects name the new address", async () => {
  const locations: readonly (readonly [string, string, number, string])[] = [
    ["redirect-uri", "/old", 302, "http://new.example/new"],
    ["redirect-prefix", "/a/x?y", 308, "http://reviews/b/x?y"],
    ["redirect-scheme", "/x", 301, "https://reviews/x"],
    ["redirect-port", "/x", 301, "http://new.example:8443/x"],
    ["redirect-port-80", "/x", 301, "http://new.example/x"],
  ];
  for (const [listener, path, status, location] of locations) {
    const answer = await ask(listener, { path });
    assert.is(answer.status, status, listener);
    assert.is(answer.headers.location, location, listener);
  }
});

test("the proxy answers itself", async () => {
  const text = await ask("text");
  assert.is(text.status, 418);
  assert.is(text.body, "short & stout 100%");
  const bytes = await ask("bytes");
  assert.is(bytes.headers["content-length"], "2");
});

for (const listener of ["headers", "headers-weighted"])
  test(`headers are changed first by the rule, then by the destination: ${listener}`, async () => {
    const answer = await ask(listener, { method: "PUT", headers: { "x-add": "1", "x-gone": "1", "x-set": "caller" } });
    const { headers } = JSON.parse(answer.body) as Echo;
    assert.is(headers["x-set"], "destination");
    assert.is(headers["x-add"], "1, 2, 3");
    assert.is(headers["x-gone"], undefined);
    if (listener === "headers") assert.is(headers["x-method"], "PUT");
    assert.is(answer.headers["x-answer"], "yes");
    assert.is(answer.headers["x-origin"], undefined);
  });

test("host among the headers rewrites the authority", async () => {
  assert.is((await echoed("host")).headers.host, "set.example");
});

test("a copy goes to the mirror, its Host marked", async () => {
  const before = origins.shadow.requests.length;
  await echoed("mirror", { path: "/mirrored", headers: { host: "reviews" } });
  await eventually("the copy arrives", () => origins.shadow.requests.length > before);
  const copy = origins.shadow.requests.at(-1)!;
  assert.is(copy.url, "/mirrored");
  assert.is(copy.headers.host, "reviews-shadow");
});

test("copies are made of the share asked for (five standard deviations)", async () => {
  const before = origins.shadow.requests.length;
  await callMany(500, () => ask("mirror-none"));
  await callMany(1000, () => ask("mirror-some"));
  const cluster = `cluster.${clusterOf("shadow")}`;
  for (const gauge of ["upstream_rq_active", "upstream_rq_pending_active"])
    await eventually("no copy is under way", async () => (await envoy.stat(`${cluster}.${gauge}`)) === 0);
  const copies = origins.shadow.requests.length - before;
  assert.ok(isShare(copies, 1000, 0.3), `${copies} of 1000`);
});

test("requests fail and wait by the share asked for (five standard deviations)", async () => {
  const aborted = countOf(await callMany(2000, () => ask("abort")), ({ status }) => status === 555);
  assert.ok(isShare(aborted, 2000, 0.25), `${aborted} of 2000`);
  assert.is(
    countOf(await callMany(200, () => ask("abort-none")), ({ status }) => status !== 200),
    0,
  );
  assert.ok((await ask("delay")).milliseconds >= 250);
  const answers = await callMany(200, () => ask("delay-some"));
  assert.is(
    countOf(answers, ({ status }) => status !== 200),
    0,
  );
  const delayed = await envoy.stat("http.delay-some.fault.delays_injected");
  assert.ok(isShare(delayed, 200, 0.5), `${delayed} of 200`);
});

test("a gRPC call fails with the gRPC status", async () => {
  const answer = await ask("abort-grpc", { method: "POST", headers: { "content-type": "application/grpc" } });
  assert.is(answer.headers["grpc-status"], "14");
});

const preflight = (origin: string): Call => ({
  method: "OPTIONS",
  headers: { origin, "access-control-request-method": "PUT" },
});

test("the proxy answers preflights of allowed origins", async () => {
  const before = origins.v1.requests.length;
  for (const origin of ["https://a.example", "https://x.b.example"]) {
    const { status, headers } = await ask("cors", preflight(origin));
    assert.is(status, 200);
    assert.is(headers["access-control-allow-origin"], origin);
    assert.is(headers["access-control-allow-methods"], "GET,PUT");
    assert.is(headers["access-control-allow-headers"], "x-a");
    assert.is(headers["access-control-max-age"], "86400");
    assert.is(headers["access-control-allow-credentials"], "true");
  }
  assert.is(origins.v1.requests.length, before, "none of them reached the application");
  const plain = await ask("cors", { headers: { origin: "https://a.example" } });
  assert.is(plain.headers["access-control-allow-origin"], "https://a.example");
  assert.is(plain.headers["access-control-expose-headers"], "x-b");
});

test("a preflight of another origin goes on, unless it is to be ignored", async () => {
  const forwarded = await ask("cors", preflight("https://evil.example"));
  assert.is(forwarded.headers["x-origin"], "v1");
  assert.is(forwarded.headers["access-control-allow-origin"], undefined);
  const ignored = await ask("cors-ignore", preflight("https://evil.example"));
  assert.is(ignored.headers["x-origin"], undefined);
  assert.is(ignored.headers["access-control-allow-origin"], undefined);
});

test("the deadline ends a request with 504; without one the proxy waits", async () => {
  const late = await ask("timeout");
  assert.is(late.status, 504);
  assert.ok(late.milliseconds >= 150 && late.milliseconds < 1000, `${late.milliseconds} ms`);
  assert.is((await ask("no-timeout")).body, "late");
});

const triesOf = async (listener: string, origin: Origin): Promise<readonly [number, number]> => {
  const before = origin.requests.length;
  const { status } = await ask(listener);
  return [status, origin.requests.length - before];
};

test("a request is tried again as often as said, on what was said", async () => {
  assert.equal(await triesOf("retries", origins.failing), [503, 4]);
  assert.equal(await triesOf("retries-status", origins.failing), [503, 3]);
  assert.equal(await triesOf("retries-other", origins.failing), [503, 1]);
  assert.equal(await triesOf("retries-default", origins.failing), [503, 1]);
  assert.equal(await triesOf("retries-try-timeout", origins.slow), [504, 3]);
});

test("what the callee's proxy says was not seen is tried again by default", async () => {
  assert.equal(await triesOf("retries-unreached", origins.unreached), [200, 2]);
  assert.equal(await triesOf("retries-off", origins.unreached), [503, 1]);
});

test("a server that takes no connection costs no request by default", async () => {
  const answers = await callMany(100, () => ask("retries-connect"));
  assert.is(
    countOf(answers, ({ status }) => status === 200),
    100,
  );
});

test("shares are those of the weights (five standard deviations)", async () => {
  const shares: readonly (readonly [string, number])[] = [
    ["weights", 0.1],
    ["weights-relative", 0.75],
    ["weights-zero", 0],
  ];
  for (const [listener, share] of shares) {
    const answers = await callMany(2000, () => ask(listener));
    const second = countOf(answers, ({ headers }) => headers["x-origin"] === "v2");
    assert.is(
      countOf(answers, ({ status }) => status === 200),
      2000,
    );
    assert.ok(isShare(second, 2000, share), `${listener}: ${second} of 2000`);
  }
});

test("the first rule that takes a request decides", async () => {
  for (const [path, status] of [
    ["/a/b", 201],
    ["/c", 203],
    ["/", 203],
  ] as const)
    assert.is((await ask("order", { path })).status, status, path);
});

test("a destination that nobody knows, or without endpoints, is a 503", async () => {
  assert.is((await ask("nowhere")).status, 503);
  assert.is((await ask("empty")).status, 503);
});

test.run();
