import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { type Mesh, reportOf, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("listeners of a Sidecar");

const sidecar = (name: string, spec: object): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "Sidecar",
    metadata: { name, namespace: "default" },
    spec: { workloadSelector: { labels: { app: name } }, ...spec },
  });

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
      // Nothing of the application is on 9000 to 9003: the Sidecar says where it is.
      service("server", { http: [80, 9000], "http-pod": [81, 9001], tcp: [7070, 9002], "http-own": [82, 9003] }),
      echoPod("server", "server", { annotations: { "traffic.sidecar.istio.io/excludeInboundPorts": "9003" } }),
      sidecar("server", {
        ingress: [
          { port: { number: 9000, protocol: "HTTP", name: "http" }, defaultEndpoint: "127.0.0.1:8080" },
          { port: { number: 9001, protocol: "HTTP", name: "http-pod" }, defaultEndpoint: "0.0.0.0:8080" },
          { port: { number: 9002, protocol: "TCP", name: "tcp" }, defaultEndpoint: "127.0.0.1:7070" },
          {
            port: { number: 9003, protocol: "HTTP", name: "http-own" },
            captureMode: "NONE",
            defaultEndpoint: "127.0.0.1:8080",
          },
        ],
      }),
      echoPod("client", "client"),
      sidecar("client", {
        egress: [{ port: { number: 15080, protocol: "HTTP_PROXY", name: "proxy" }, hosts: ["*/*"] }],
      }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const caller = "URI=spiffe://cluster.local/ns/default/sa/client";

test("an ingress listener leads to the application's own address, the pod's, and takes no other port's place", async ({
  mesh,
}) => {
  for (const port of [80, 81, 82]) {
    const report = reportOf((await mesh.call("client", `http://server:${port}/`))[0]);
    assert.is(report.pod, "server");
    assert.match(report.headers["x-forwarded-client-cert"] ?? "", caller, `port ${port}`);
    assert.is(reportOf((await mesh.call("outside", `http://server.default:${port}/`))[0]).pod, "server");
  }
  const [echo] = await mesh.call("client", "tcp://server:7070", { body: "hello" });
  assert.is(echo?.body, "hello", echo?.error);
});

test("an HTTP proxy takes requests for any host and port that the mesh knows, and refuses others", async ({ mesh }) => {
  const ask = async (host: string) => (await mesh.call("client", "http://127.0.0.1:15080/", { headers: { host } }))[0];
  const { clusterIP } = mesh.service("default", "server").spec ?? {};
  for (const host of ["server", "server:80", "server:81", "server.default.svc.cluster.local:82", `${clusterIP}:81`])
    assert.match(reportOf(await ask(host)).headers["x-forwarded-client-cert"] ?? "", caller, host);
  assert.is((await ask("unknown.example"))?.status, 502);
});

test("the HTTP proxy follows Services that come and go", async ({ mesh }) => {
  await mesh.apply(service("later", { http: [8000, 9000] }, { selector: { app: "server" } }));
  const ask = async () =>
    (await mesh.call("client", "http://127.0.0.1:15080/", { headers: { host: "later:8000" } }))[0];
  assert.is(reportOf(await ask()).pod, "server");
  await mesh.remove("Service", "default", "later");
  assert.is((await ask())?.status, 502);
});

test.run();
