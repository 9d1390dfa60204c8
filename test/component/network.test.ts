import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { type CallOptions, type Mesh, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("mesh");

interface Report {
  readonly pod: string;
  readonly protocol: string;
  readonly peer: string;
  readonly headers: Readonly<Record<string, string>>;
}

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      service("backend"),
      echoPod("client", "client"),
      echoPod("backend-1", "backend"),
      echoPod("backend-2", "backend"),
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("1000 requests are spread over the pods of a service, each with the caller's identity", async ({ mesh }) => {
  const began = performance.now();
  const responses = await mesh.call("client", "http://backend/", { count: 1000 });
  console.error(`# 1000 requests: ${(performance.now() - began).toFixed(0)} ms`);
  const reports = responses.map(({ status, body, error }) => {
    assert.is(status, 200, error ?? body);
    return JSON.parse(body) as Report;
  });
  assert.equal([...new Set(reports.map(({ pod }) => pod))].sort(), ["backend-1", "backend-2"]);
  for (const { headers } of reports)
    assert.match(headers["x-forwarded-client-cert"] ?? "", "URI=spiffe://cluster.local/ns/default/sa/client");
});

test("a pod without sidecar calls with no identity", async ({ mesh }) => {
  const [response] = await mesh.call("outside", "http://backend.default/", { count: 1 });
  assert.is(response?.status, 200, response?.error ?? response?.body);
  const { headers } = JSON.parse(response!.body) as Report;
  assert.not.match(headers["x-forwarded-client-cert"] ?? "", "spiffe://");
});

const calls: readonly (readonly [string, CallOptions, RegExp])[] = [
  ["http://backend.default:81/", { protocol: "http2" }, /"protocol":"2.0"/],
  ["grpc://backend.default:9090/", {}, /./s],
  ["tcp://backend.default:7070", { body: "hello" }, /^hello$/],
  ["tcp://backend.default:7071", {}, /^backend-\d greets /],
];
for (const [url, options, expected] of calls)
  test(`${url} is answered, with a sidecar and without`, async ({ mesh }) => {
    for (const pod of ["client", "outside"]) {
      const [response] = await mesh.call(pod, url, options);
      assert.is(response?.error, undefined, `${pod} ${response?.error}`);
      assert.match(response!.body, expected);
    }
  });

test.run();
