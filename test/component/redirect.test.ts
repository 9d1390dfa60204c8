import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { IpFamily } from "../../src/cli/run/network.js";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { bracketed, type CallOptions, type Mesh, reportOf, startMesh } from "./support/mesh.js";

/** The greeting tells whom the application saw: its own proxy, or the caller itself. */
const proxied = /greets (::ffff:127\.0\.0\.6|::1)\n/;

const pods = join(
  service("backend"),
  echoPod("client", "client"),
  echoPod("backend", "backend"),
  // Calls itself by its Service.
  service("client", { http: [80, 8080] }),
  namespace("plain"),
  echoPod("outside", "outside", { namespace: "plain" }),
);

const protocols: readonly (readonly [string, string, CallOptions, RegExp])[] = [
  ["HTTP/1.1", "http://HOST/", {}, /"protocol":"1.1"/],
  ["HTTP/2", "http://HOST:81/", { protocol: "http2" }, /"protocol":"2.0"/],
  ["gRPC", "grpc://HOST:9090/", {}, /./s],
  ["TCP", "tcp://HOST:7070", { body: "hello" }, /^hello$/],
  ["TCP where the server speaks first", "tcp://HOST:7071", {}, proxied],
];

const udpServer = `for (const type of ["udp4", "udp6"]) {
  const socket = require("node:dgram").createSocket({ type, ipv6Only: type === "udp6" });
  socket.on("message", (text, from) => socket.send(text + " " + from.address, from.port, from.address));
  socket.bind(53);
}`;

for (const families of [["IPv4", "IPv6"], ["IPv6"]] as readonly (readonly IpFamily[])[]) {
  const test = suite<{ mesh: Mesh }>(families.join(" and "));
  test.before(async (context) => {
    context.mesh = await startMesh({ yaml: pods, families });
  });
  test.after(async ({ mesh }) => {
    await mesh?.close();
  });

  for (const [name, url, options, expected] of protocols)
    test(`${name} passes both proxies, inside mutual TLS, by name and by each address`, async ({ mesh }) => {
      const { clusterIPs = [] } = mesh.service("default", "backend").spec ?? {};
      assert.is(clusterIPs.length, families.length);
      for (const host of ["backend", ...clusterIPs.map(bracketed)]) {
        const before = await mesh.stat("backend", /^listener\..*15006.*ssl\.handshake/);
        const [response] = await mesh.call("client", url.replace("HOST", host), { ...options, newConnections: true });
        assert.is(response?.error, undefined, `${host}: ${response?.error}`);
        assert.match(response!.body, expected);
        if (url.startsWith("http"))
          assert.match(reportOf(response).headers["x-forwarded-client-cert"] ?? "", "ns/default/sa/client");
        if (url.startsWith("tcp"))
          assert.is(await mesh.stat("backend", /^listener\..*15006.*ssl\.handshake/), before + 1, "one more handshake");
      }
    });

  test("an application reaches itself through its Service, and directly by its address and as localhost", async ({
    mesh,
  }) => {
    const [byService] = await mesh.call("client", "http://client/");
    assert.match(reportOf(byService).headers["x-forwarded-client-cert"] ?? "", "ns/default/sa/client");
    for (const address of mesh.pod("client").network.addresses) {
      const [byAddress] = await mesh.call("client", `http://${bracketed(address)}:8080/`);
      assert.match(reportOf(byAddress).peer, address);
      assert.is(reportOf(byAddress).headers["x-request-id"], undefined);
    }
    const [local] = await mesh.call("client", "http://localhost:8080/");
    assert.match(reportOf(local).peer, /^(::1|::ffff:127\.0\.0\.1)$/);
  });

  test("the application's probes and the proxy's readiness are answered on every address", async ({ mesh }) => {
    for (const address of mesh.pod("backend").network.addresses)
      for (const url of [":15021/healthz/ready", ":15020/app-health/echo/readyz", ":15090/stats/prometheus"]) {
        // A kept connection could be one to an earlier pod of the same address.
        const response = await fetch(`http://${bracketed(address)}${url}`, { headers: { connection: "close" } });
        assert.is(response.status, 200, `${address}${url}`);
        await response.text();
      }
  });

  test("UDP is not redirected", async ({ mesh }) => {
    await mesh.apply(
      echoPod("names", "names", {
        namespace: "plain",
        container: {
          name: "names",
          command: ["node", "-e", udpServer],
          readinessProbe: undefined,
        },
      }),
    );
    for (const address of mesh.pod("names").network.addresses) {
      const [response] = await mesh.call("client", `udp://${bracketed(address)}:53`, { body: "who" });
      assert.is(response?.error, undefined);
      assert.match(response!.body, new RegExp(`^who (${mesh.pod("client").network.addresses.join("|")})$`));
    }
  });

  test("the proxy's own user is not redirected; the application's is", async ({ mesh }) => {
    const script = "process.stdout.write(await (await fetch(process.argv[1])).text())";
    const passed = () => mesh.stat("client", /^cluster\.PassthroughCluster\.upstream_cx_total/);
    for (const address of mesh.pod("outside").network.addresses)
      for (const [uid, connections] of [
        [1337, 0],
        [65534, 1],
      ] as const) {
        const before = await passed();
        const user = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
        const url = `http://${bracketed(address)}:8080/`;
        const text = await mesh.exec("client", "setpriv", ...user, "node", "--input-type=module", "-e", script, url);
        assert.match(text, '"pod":"outside"');
        assert.is((await passed()) - before, connections, `uid ${uid} to ${address}`);
      }
  });

  test.run();
}
