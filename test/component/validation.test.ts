import { Agent } from "node:https";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AdmissionServer, startAdmissionServer } from "../../src/admission/server.js";
import type { Analyse } from "../../src/admission/validation.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { liveBytes, post } from "./support/webhook-client.js";

const authority = await openAuthority(createMemorySecrets(), "cluster.local");
const ca = authority.rootsPem;

const started = async (analyse?: Analyse, failed?: (error: Error) => void): Promise<AdmissionServer> =>
  startAdmissionServer({
    host: "127.0.0.1",
    port: 0,
    certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600),
    admit: () => ({ allowed: true }),
    ...(analyse === undefined ? {} : { analyse }),
    ...(failed === undefined ? {} : { failed }),
  });

const web = { hosts: ["api.example.com"], ports: [{ number: 443, name: "tls", protocol: "TLS" }], resolution: "DNS" };
const entry = (spec: unknown, more: object = {}): object => ({
  apiVersion: "networking.istio.io/v1beta1",
  kind: "ServiceEntry",
  metadata: { name: "api", namespace: "shop", ...more },
  spec,
});
const reviewOf = (object: unknown, request: object = {}): string =>
  JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "u1",
      kind: { group: "networking.istio.io", version: "v1beta1", kind: "ServiceEntry" },
      namespace: "shop",
      operation: "CREATE",
      object,
      ...request,
    },
  });

interface Response {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly code: number; readonly message: string };
  readonly warnings?: readonly string[];
}

const ask = async (server: AdmissionServer, body: string): Promise<Response> => {
  const answer = await post(server.port, body, { ca, path: "/validate" });
  assert.is(answer.status, 200, answer.body);
  return (JSON.parse(answer.body) as { readonly response: Response }).response;
};

const withServer = async (use: (server: AdmissionServer) => Promise<void>, ...options: Parameters<typeof started>) => {
  const server = await started(...options);
  try {
    await use(server);
  } finally {
    await server.close();
  }
};

test("what is right is let in without a word", () =>
  withServer(async (server) => {
    assert.equal(await ask(server, reviewOf(entry(web))), { uid: "u1", allowed: true });
    assert.equal(await ask(server, reviewOf(null, { operation: "DELETE" })), { uid: "u1", allowed: true });
  }));

test("every fault is told by field, warnings beside it", () =>
  withServer(async (server) => {
    const { allowed, status, warnings } = await ask(
      server,
      reviewOf(entry({ ...web, location: "MESH_EXTRENAL", resolution: "DMS", exportTo: ["x"], hosst: [] })),
    );
    assert.is(allowed, false);
    assert.is(status?.code, 422);
    assert.match(
      status?.message ?? "",
      /^ServiceEntry api has 2 faults:\n {2}spec\.location: "MESH_EXTRENAL" .*\n {2}spec\.resolution: "DMS"/,
    );
    assert.is(warnings?.length, 1);
    assert.match(warnings?.[0] ?? "", /^spec\.hosst: unknown field.*"hosts"/);
  }));

test("what is legal but surely wrong is let in with a warning", () =>
  withServer(async (server) => {
    const { allowed, warnings } = await ask(server, reviewOf(entry({ ...web, ports: [] })));
    assert.is(allowed, true);
    assert.equal(warnings, ["spec.ports: is empty: no traffic reaches the service; add its ports"]);
  }));

test("a resource that was let in with a fault can still be labelled and deleted, but not changed", () =>
  withServer(async (server) => {
    const bad = { ...web, hosts: ["*"] };
    const update = (object: object) => ask(server, reviewOf(object, { operation: "UPDATE", oldObject: entry(bad) }));
    const kept = await update(entry(bad, { labels: { a: "b" } }));
    assert.is(kept.allowed, true);
    assert.match(kept.warnings![0]!, /^spec\.hosts\[0\]/);
    assert.is((await update(entry({ ...bad, exportTo: ["."] }))).allowed, false);
  }));

test("a field that the resource's own check tells of is told of once", () =>
  withServer(
    async (server) => assert.is((await ask(server, reviewOf(entry({ ...web, ports: [] })))).warnings?.length, 1),
    () => [{ severity: "warning", path: "spec.ports", message: "the same again" }],
  ));

test("findings of other resources count, and their failure refuses nothing", async () => {
  const seen: string[] = [];
  const analyse: Analyse = (kind, namespace, { metadata }) => {
    seen.push(`${kind} ${namespace}/${metadata?.name}`);
    return [{ severity: "warning", path: "spec.hosts[0]", message: "nobody asks for it" }];
  };
  await withServer(async (server) => {
    assert.equal((await ask(server, reviewOf(entry(web)))).warnings, ["spec.hosts[0]: nobody asks for it"]);
    await ask(server, reviewOf(entry({})));
    assert.equal(seen, ["ServiceEntry shop/api"], "only what is valid by itself is analysed");
  }, analyse);
  const failures: string[] = [];
  const broken = (): never => {
    throw new Error("broken");
  };
  await withServer(
    async (server) => assert.is((await ask(server, reviewOf(entry(web)))).allowed, true),
    broken,
    ({ message }) => failures.push(message),
  );
  assert.equal(failures, ["broken"]);
});

const huge = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, at) => [`f${at}`, at]));
const nested = (depth: number): string =>
  reviewOf(entry({ deep: 0 })).replace('"deep":0', `"deep":${"[".repeat(depth)}${"]".repeat(depth)}`);

const bad: readonly (readonly [name: string, body: string, status: number, contentType?: string])[] = [
  ["malformed", '{"kind":', 400],
  ["empty", "", 400],
  ["not an object", "[]", 400],
  ["null", "null", 400],
  ["over 3 MiB", reviewOf(entry({ padding: "x".repeat(3 * 1024 * 1024) })), 413],
  ["nested 100,000 deep", nested(100_000), 200],
  ["2.5 MB of unknown fields", reviewOf(entry(huge(150_000))), 200],
  [
    "2.5 MB of hosts",
    reviewOf(entry({ ...web, hosts: Array.from({ length: 100_000 }, (_, at) => `h${at}.example.org`) })),
    200,
  ],
  ["__proto__", reviewOf(entry(web)).replace('"uid"', '"__proto__":{"polluted":1},"uid"'), 400],
  ["text/plain", reviewOf(entry(web)), 415, "text/plain"],
  ["wrong kind of body", '{"apiVersion":"admission.k8s.io/v1","kind":"Pod"}', 400],
  ["no request", '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', 400],
  ["no object", reviewOf(undefined), 200],
  ["a pod", reviewOf(entry(web), { kind: { group: "", version: "v1", kind: "Pod" } }), 200],
  ["another group's kind", reviewOf(entry(web), { kind: { group: "x.io", version: "v1", kind: "ServiceEntry" } }), 200],
  [
    "a kind named constructor",
    reviewOf(entry(web), { kind: { group: "networking.istio.io", kind: "constructor" } }),
    200,
  ],
  ["spec is a list", reviewOf(entry([])), 200],
  ["namespace is a number", reviewOf(entry(web), { namespace: 1 }), 200],
  ["metadata is a text", reviewOf({ ...entry(web), metadata: "x" }), 200],
];

/** Of three tries at most, since others may be at work on the machine. */
const quickest = async <Result>(run: () => Promise<Result>): Promise<readonly [Result, number]> => {
  const times: number[] = [];
  for (;;) {
    const begun = performance.now();
    const result = await run();
    times.push(performance.now() - begun);
    const best = Math.min(...times);
    if (best < 1000 || times.length === 3) return [result, best];
  }
};

test("refuses what is bad within a second", () =>
  withServer(async (server) => {
    for (const [name, body, status, contentType] of bad) {
      const send = () => post(server.port, body, { ca, path: "/validate", ...(contentType ? { contentType } : {}) });
      const [answer, milliseconds] = await quickest(send);
      assert.ok(milliseconds < 1000, `${name}: took ${milliseconds.toFixed(0)} ms`);
      assert.is(answer.status, status, `${name}: ${answer.body}`);
      if (status === 200) assert.is(JSON.parse(answer.body).response.allowed, false, name);
      assert.ok(answer.body.length < 20_000, `${name}: an answer of ${answer.body.length} bytes`);
      assert.is(Object.hasOwn(Object.prototype, "polluted"), false, name);
    }
    assert.is((await ask(server, reviewOf(entry(web)))).allowed, true);
  }));

test("200 rounds of bad input leave memory flat", () =>
  withServer(async (server) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const inputs = bad.filter(([, , status]) => status !== 413);
    const rounds = async (count: number): Promise<void> => {
      for (let round = 0; round < count; round += 1) {
        const [, body, , contentType] = inputs[round % inputs.length]!;
        await post(server.port, body, { ca, agent, path: "/validate", ...(contentType ? { contentType } : {}) });
      }
    };
    try {
      await rounds(inputs.length * 3);
      const before = liveBytes();
      await rounds(200);
      const grown = (liveBytes() - before) / 2 ** 20;
      assert.ok(grown < 5, `memory grew by ${grown.toFixed(1)} MiB`);
    } finally {
      agent.destroy();
    }
  }));

test.run();
