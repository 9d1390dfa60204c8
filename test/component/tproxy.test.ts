import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { IpFamily } from "../../src/cli/run/network.js";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { bracketed, type Mesh, reportOf, startMesh } from "./support/mesh.js";

const yaml = join(
  namespace("plain"),
  service("server"),
  service("configured"),
  echoPod("client", "client"),
  echoPod("outside", "outside", { namespace: "plain" }),
  echoPod("server", "server", {
    annotations: {
      "sidecar.istio.io/interceptionMode": "TPROXY",
      "traffic.sidecar.istio.io/excludeInboundPorts": "8081",
    },
  }),
  echoPod("configured", "configured", { annotations: { "proxy.istio.io/config": "interceptionMode: TPROXY" } }),
);

for (const families of [["IPv4", "IPv6"], ["IPv6"]] as readonly (readonly IpFamily[])[]) {
  const test = suite<{ mesh: Mesh }>(`TPROXY, ${families.join(" and ")}`);
  test.before(async (context) => {
    context.mesh = await startMesh({ yaml, families });
  });
  test.after(async ({ mesh }) => {
    await mesh?.close();
  });

  /** Addresses of a pod as an application that listens on both families sees them. */
  const seenAs = (mesh: Mesh, pod: string): readonly string[] =>
    mesh.pod(pod).network.addresses.map((address) => (address.includes(":") ? address : `::ffff:${address}`));

  for (const server of ["server", "configured"])
    test(`the application of ${server} sees the client's address, the proxy its identity`, async ({ mesh }) => {
      const { clusterIPs = [] } = mesh.service("default", server).spec ?? {};
      for (const host of [`${server}.default`, ...clusterIPs.map(bracketed)]) {
        const seen = reportOf((await mesh.call("client", `http://${host}/`))[0]);
        assert.ok(seenAs(mesh, "client").includes(seen.peer), seen.peer);
        assert.match(seen.headers["x-forwarded-client-cert"] ?? "", "URI=spiffe://cluster.local/ns/default/sa/client");
        const [greeting] = await mesh.call("client", `tcp://${host}:7071`);
        assert.ok(
          seenAs(mesh, "client").some((address) => greeting?.body.trim().endsWith(address)),
          greeting?.error ?? greeting?.body,
        );
      }
    });

  test("so it does of a caller without sidecar, on each address, whether its proxy knows the port or not", async ({
    mesh,
  }) => {
    for (const [index, address] of mesh.pod("server").network.addresses.entries()) {
      const expected = seenAs(mesh, "outside")[index];
      const port = reportOf((await mesh.call("outside", `http://${bracketed(address)}:8080/`))[0]);
      assert.is(port.peer, expected);
      assert.type(port.headers["x-request-id"], "string", "the proxy has had it");
      const excluded = await mesh.call("outside", `http://${bracketed(address)}:8081/`, { protocol: "http2" });
      assert.is(reportOf(excluded[0]).peer, expected);
      assert.is(reportOf(excluded[0]).headers["x-request-id"], undefined, "the proxy has not had it");
      const [greeting] = await mesh.call("outside", `tcp://${bracketed(address)}:7071`);
      assert.is(greeting?.body, `server greets ${expected}\n`, greeting?.error);
    }
  });

  test("many connections of many clients at once", async ({ mesh }) => {
    // By the pod's own address, client and proxy choose their ports alike, now and then the same one.
    const calls = mesh
      .pod("server")
      .network.addresses.flatMap((address) =>
        ["client", "outside"].map((pod) =>
          mesh.call(pod, `tcp://${bracketed(address)}:7070`, { body: "hello", count: 1000, concurrency: 16 }),
        ),
      );
    for (const responses of await Promise.all(calls))
      for (const { body, error, milliseconds } of responses) {
        assert.is(body, "hello", error);
        assert.ok(milliseconds < 3000, `${milliseconds} ms: a lost packet was sent again`);
      }
  });

  test("it calls others with its identity, itself by its Service, and is probed", async ({ mesh }) => {
    const other = reportOf((await mesh.call("server", "http://configured/"))[0]);
    assert.match(other.headers["x-forwarded-client-cert"] ?? "", "ns/default/sa/server");
    assert.ok(seenAs(mesh, "server").includes(other.peer), other.peer);
    const itself = reportOf((await mesh.call("server", "http://server/"))[0]);
    assert.match(itself.headers["x-forwarded-client-cert"] ?? "", "ns/default/sa/server");
    for (const address of mesh.pod("server").network.addresses) {
      assert.is(reportOf((await mesh.call("server", `http://${bracketed(address)}:8080/`))[0]).pod, "server");
      for (const url of [":15021/healthz/ready", ":15020/app-health/echo/readyz"])
        assert.is((await fetch(`http://${bracketed(address)}${url}`)).status, 200);
    }
  });
  test.run();
}
