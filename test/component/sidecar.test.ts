import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, service } from "./support/manifests.js";
import { type Mesh, reportOf, startMesh } from "./support/mesh.js";

/** What a Sidecar lets a pod see and serve, with real proxies. */
const test = suite<{ mesh: Mesh }>("Sidecars");

const sidecar = (name: string, inNamespace: string, spec: object): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1beta1",
    kind: "Sidecar",
    metadata: { name, namespace: inNamespace },
    spec,
  });

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      echoPod("free", "free"),
      echoPod("bound", "bound"),
      echoPod("backend-0", "backend"),
      service("backend"),
      echoPod("far-0", "far", { namespace: "far" }),
      service("far", undefined, { namespace: "far" }),
      service("inner", { http: [80, 9080] }, { selector: { app: "backend" } }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const clusters = async (mesh: Mesh, pod: string): Promise<readonly string[]> =>
  [...(await mesh.admin(pod, "/clusters")).matchAll(/^(outbound\|[^:]+)::default_priority::max_connections/gm)].map(
    ([, name]) => name!,
  );

test("egress hosts are all that a pod sees; the others of its namespace see everything", async ({ mesh }) => {
  await mesh.apply(
    sidecar("bound", "default", {
      workloadSelector: { labels: { app: "bound" } },
      outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
      egress: [{ hosts: ["./backend.default.svc.cluster.local"] }],
    }),
  );
  assert.is(reportOf((await mesh.call("bound", "http://backend/"))[0]).pod, "backend-0");
  const [unseen] = await mesh.call("bound", "http://far.far/");
  assert.is(unseen?.status, 502);
  const [tcp] = await mesh.call("bound", `tcp://${mesh.pod("far-0").address}:7071`);
  assert.is(tcp?.body ?? "", "", "TCP to what is not seen is cut");
  assert.is(reportOf((await mesh.call("free", "http://far.far/"))[0]).pod, "far-0");
  const seen = await clusters(mesh, "bound");
  assert.ok(seen.includes("outbound|80||backend.default.svc.cluster.local"));
  assert.not.ok(seen.some((name) => name.includes("far.far") || name.includes("inner")));
  assert.ok((await clusters(mesh, "free")).some((name) => name.includes("far.far")));
});

test("a change of a Sidecar takes effect at once, its end too", async ({ mesh }) => {
  await mesh.apply(
    sidecar("bound", "default", {
      workloadSelector: { labels: { app: "bound" } },
      outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
      egress: [{ hosts: ["far/*"] }],
    }),
  );
  assert.is(reportOf((await mesh.call("bound", "http://far.far/"))[0]).pod, "far-0");
  assert.is((await mesh.call("bound", "http://backend/"))[0]?.status, 502);
  await mesh.remove("Sidecar", "default", "bound");
  assert.is(reportOf((await mesh.call("bound", "http://backend/"))[0]).pod, "backend-0");
});

test("a rule that is seen brings in what it leads to", async ({ mesh }) => {
  await mesh.apply(
    join(
      JSON.stringify({
        apiVersion: "networking.istio.io/v1",
        kind: "VirtualService",
        metadata: { name: "backend", namespace: "default" },
        spec: {
          hosts: ["backend"],
          http: [
            {
              match: [{ headers: { "x-far": { exact: "yes" } } }],
              route: [{ destination: { host: "far.far.svc.cluster.local", port: { number: 80 } } }],
            },
            { route: [{ destination: { host: "backend", port: { number: 80 } } }] },
          ],
        },
      }),
      sidecar("bound", "default", {
        workloadSelector: { labels: { app: "bound" } },
        egress: [{ hosts: ["./*"] }],
      }),
    ),
  );
  const far = await mesh.call("bound", "http://backend/", { headers: { "x-far": "yes" } });
  assert.is(reportOf(far[0]).pod, "far-0");
  assert.is(reportOf((await mesh.call("bound", "http://backend/"))[0]).pod, "backend-0");
});

test("an egress proxy takes what is for nobody known", async ({ mesh }) => {
  await mesh.apply(
    sidecar("bound", "default", {
      workloadSelector: { labels: { app: "bound" } },
      outboundTrafficPolicy: {
        mode: "ALLOW_ANY",
        egressProxy: { host: "backend.default.svc.cluster.local", port: { number: 80 } },
      },
      egress: [{ hosts: ["far/*"] }],
    }),
  );
  const [answer] = await mesh.call("bound", "http://240.240.0.1/", { headers: { host: "unknown.example.com" } });
  const report = reportOf(answer);
  assert.is(report.pod, "backend-0");
  assert.is(report.headers["host"], "unknown.example.com");
});

test("ingress serves a port of its own and calls the application where it says", async ({ mesh }) => {
  const [before] = await mesh.call("free", "http://inner/");
  assert.is(before?.status, 503, "nothing listens on 9080");
  await mesh.apply(
    sidecar("backend", "default", {
      workloadSelector: { labels: { app: "backend" } },
      ingress: [{ port: { number: 9080, protocol: "HTTP", name: "http" }, defaultEndpoint: "127.0.0.1:8080" }],
    }),
  );
  const report = reportOf((await mesh.call("free", "http://inner/"))[0]);
  assert.is(report.pod, "backend-0");
  assert.match(report.headers["x-forwarded-client-cert"] ?? "", "spiffe://cluster.local/ns/default/sa/free");
});

test.run();
