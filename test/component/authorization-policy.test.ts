import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { eventually, type Mesh, type Response, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("AuthorizationPolicy");

const policy = (name: string, spec: object, options: { home?: string; annotations?: object } = {}): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: options.home ?? "shop", annotations: options.annotations },
    spec,
  });

const ports = { http: [80, 8080], http2: [81, 8081], tcp: [7070, 7070], "tcp-greeting": [7071, 7071] } as const;

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
      echoPod("frontend", "frontend", { namespace: "shop" }),
      echoPod("batch", "batch", { namespace: "jobs" }),
      service("server", ports, { namespace: "shop" }),
      echoPod("server", "server", { namespace: "shop" }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const one = async (mesh: Mesh, ...call: Parameters<Mesh["call"]>): Promise<Response> => (await mesh.call(...call))[0]!;

const status = async (mesh: Mesh, pod: string, path: string, options: Parameters<Mesh["call"]>[2] = {}) =>
  (await one(mesh, pod, `http://server.shop${path}`, options)).status;

test("the guide's case: only GET /api/v1 from frontend to backend", async ({ mesh }) => {
  await mesh.apply(
    policy("guide", {
      selector: { matchLabels: { app: "server" } },
      rules: [
        {
          from: [{ source: { principals: ["cluster.local/ns/shop/sa/frontend"] } }],
          to: [{ operation: { methods: ["GET"], paths: ["/api/v1"] } }],
        },
      ],
    }),
  );
  assert.is(await status(mesh, "frontend", "/api/v1"), 200);
  assert.is(await status(mesh, "frontend", "/api/v1?query"), 200);
  assert.is(await status(mesh, "frontend", "/api/v2"), 403);
  assert.is(await status(mesh, "frontend", "/api/v1", { method: "POST" }), 403);
  assert.is(await status(mesh, "batch", "/api/v1"), 403);
  assert.is(await status(mesh, "outside", "/api/v1"), 403);
  const tcp = await one(mesh, "frontend", "tcp://server.shop:7070", { body: "hello" });
  const greet = await one(mesh, "frontend", "tcp://server.shop:7071");
  await mesh.remove("AuthorizationPolicy", "shop", "guide");
  await eventually("open again", async () => (await status(mesh, "outside", "/x")) === 200);
});

test.run();
