import { Agent } from "node:https";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AdmissionServer, type ServingCertificate, startAdmissionServer } from "../../src/admission/server.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { liveBytes, post } from "./support/webhook-client.js";

const authority = await openAuthority(createMemorySecrets(), "cluster.local");
const makeCertificate = (): Promise<ServingCertificate> => authority.issue({ dnsNames: ["localhost"] }, 3600);

const reviewOf = (object: unknown, request: object = {}): string =>
  JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: { uid: "u1", kind: { group: "", version: "v1", kind: "Pod" }, namespace: "shop", object, ...request },
  });

const pod = { metadata: { name: "web" }, spec: { containers: [{ name: "app", image: "app" }] } };
const lists = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
const nested = (depth: number): string =>
  reviewOf({ metadata: {}, spec: { deep: 0 } }).replace('"deep":0', `"deep":${lists(depth)}`);

const started = async (): Promise<{ readonly server: AdmissionServer; readonly ca: string }> => {
  const certificate = await makeCertificate();
  const server = await startAdmissionServer({
    host: "127.0.0.1",
    port: 0,
    certificate,
    admit: () => ({ allowed: true, patch: [{ op: "add", path: "/metadata/labels", value: {} }] }),
  });
  return { server, ca: authority.rootsPem };
};

const bad: readonly (readonly [name: string, body: string, status: number, contentType?: string])[] = [
  ["malformed", '{"kind":', 400],
  ["empty", "", 400],
  ["not an object", "[]", 400],
  ["null", "null", 400],
  ["over 3 MiB", reviewOf({ ...pod, padding: "x".repeat(3 * 1024 * 1024) }), 413],
  ["nested 100,000 deep", nested(100_000), 200],
  ["nested 100,000 deep, not a review", lists(100_000), 400],
  ["of a kind nested 100,000 deep", reviewOf(pod, { kind: 0 }).replace('"kind":0', `"kind":${lists(100_000)}`), 200],
  ["__proto__", reviewOf(pod).replace('"uid"', '"__proto__":{"polluted":1},"uid"'), 400],
  ["constructor.prototype", reviewOf(pod).replace('"uid"', '"constructor":{"prototype":{"polluted":1}},"uid"'), 400],
  ["text/plain", reviewOf(pod), 415, "text/plain"],
  ["form", reviewOf(pod), 415, "application/x-www-form-urlencoded"],
  ["wrong kind", '{"apiVersion":"admission.k8s.io/v1","kind":"Pod"}', 400],
  ["wrong version", '{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u1"}}', 400],
  ["no request", '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', 400],
  ["no object", reviewOf(undefined), 200],
  ["not a pod", reviewOf(pod, { kind: { group: "apps", version: "v1", kind: "Deployment" } }), 200],
  ["labels of numbers", reviewOf({ ...pod, metadata: { labels: { a: 1 } } }), 200],
  ["null spec", reviewOf({ ...pod, spec: null }), 200],
];

test("answers what is good", async () => {
  const { server, ca } = await started();
  try {
    for (const object of [pod, { ...pod, metadata: { name: "web", labels: null, annotations: null } }]) {
      const answer = await post(server.port, reviewOf(object), { ca, path: "/inject/cluster/c1/net/n1" });
      const { response } = JSON.parse(answer.body) as { response: { uid: string; allowed: boolean; patch: string } };
      assert.is(answer.status, 200);
      assert.is(response.uid, "u1");
      assert.is(response.allowed, true);
      assert.match(Buffer.from(response.patch, "base64").toString(), "/metadata/labels");
    }
  } finally {
    await server.close();
  }
});

test("refuses what is bad within a second", async () => {
  const { server, ca } = await started();
  try {
    for (const [name, body, status, contentType] of bad) {
      const begun = performance.now();
      const answer = await post(server.port, body, { ca, ...(contentType ? { contentType } : {}) });
      assert.ok(performance.now() - begun < 1000, `${name}: took too long`);
      assert.is(answer.status, status, `${name}: ${answer.body}`);
      if (status === 200) assert.is(JSON.parse(answer.body).response.allowed, false, name);
      assert.is(Object.hasOwn(Object.prototype, "polluted"), false, name);
    }
    assert.is((await post(server.port, reviewOf(pod), { ca })).status, 200);
  } finally {
    await server.close();
  }
});

test("500 rounds of bad input leave memory flat", async () => {
  const { server, ca } = await started();
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  // Bodies that are cut off close their connection, which would measure the client; these do not.
  const inputs = bad.filter(([, , status]) => status !== 413);
  const rounds = async (count: number): Promise<void> => {
    for (let round = 0; round < count; round += 1) {
      const [, body, , contentType] = inputs[round % inputs.length]!;
      await post(server.port, body, { ca, agent, ...(contentType ? { contentType } : {}) });
    }
  };
  try {
    await rounds(100);
    const before = liveBytes();
    await rounds(500);
    const grown = (liveBytes() - before) / 2 ** 20;
    assert.ok(grown < 5, `memory grew by ${grown.toFixed(1)} MiB`);
  } finally {
    agent.destroy();
    await server.close();
  }
});

test("a certificate rotates under load and no admission fails", async () => {
  const { server, ca } = await started();
  const next = await makeCertificate();
  const seen = new Set<string>();
  let rotated = false;
  let after = 0;
  const deadline = Date.now() + 20_000;
  const load = async (): Promise<void> => {
    while (after < 50 && Date.now() < deadline) {
      const counts = rotated;
      const answer = await post(server.port, reviewOf(pod), { ca });
      assert.is(answer.status, 200);
      seen.add(answer.fingerprint);
      if (counts) after += 1;
      else if (seen.size === 1 && !rotated) {
        server.setCertificate(next);
        rotated = true;
      }
    }
  };
  try {
    await Promise.all([load(), load(), load(), load()]);
    assert.ok(after >= 50);
    assert.is(seen.size, 2, "both certificates were served");
  } finally {
    await server.close();
  }
});

test.run();
