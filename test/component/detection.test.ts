import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { type Mesh, reportOf, startMesh } from "./support/mesh.js";
import { type OwnCertificate, selfSigned, tlsContainer } from "./support/tls-server.js";

const test = suite<{ mesh: Mesh; own: OwnCertificate }>("protocols that nobody declared");

test.before(async (context) => {
  context.own = await selfSigned("secure");
  context.mesh = await startMesh({
    yaml: join(
      // No name begins with a protocol: all is to be detected.
      service("server", { a: [80, 8080], b: [81, 8081], c: [9090, 9090], d: [7070, 7070], e: [7071, 7071] }),
      service("secure", { f: [443, 8443] }),
      service("declared", { https: [443, 8443], http: [80, 8443] }, { selector: { app: "secure" } }),
      namespace("plain"),
      echoPod("client", "client"),
      echoPod("outside", "outside", { namespace: "plain" }),
      echoPod("server", "server", { annotations: { "sidecar.istio.io/statsInclusionPrefixes": "http.inbound,tcp." } }),
      echoPod("secure", "secure", { container: tlsContainer(context.own) }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

/** Requests that the server's proxy has seen as HTTP, and handshakes of mutual TLS that it has made. */
const seenBy = async (mesh: Mesh, port: number) => ({
  requests: await mesh.stat(
    "server",
    new RegExp(`^http\\.inbound_0\\.0\\.0\\.0_${port}(_plaintext)?\\.downstream_rq_total`),
  ),
  handshakes: await mesh.stat("server", /^listener\..*15006\.ssl\.handshake/),
});

for (const [name, port, target, version] of [
  ["HTTP/1.1", 80, 8080, "1.1"],
  ["HTTP/2", 81, 8081, "2.0"],
] as const)
  test(`${name} is HTTP to both proxies, inside mutual TLS and without`, async ({ mesh }) => {
    const protocol = version === "2.0" ? "http2" : "http1";
    const before = await seenBy(mesh, target);
    const report = reportOf((await mesh.call("client", `http://server:${port}/`, { protocol }))[0]);
    assert.is(report.protocol, version);
    assert.match(report.headers["x-forwarded-client-cert"] ?? "", "ns/default/sa/client");
    assert.type(report.headers["x-envoy-attempt-count"], "string", "the client's proxy routed it as HTTP");
    const after = await seenBy(mesh, target);
    assert.is(after.requests, before.requests + 1);
    assert.is(after.handshakes, before.handshakes + 1);

    const plain = reportOf((await mesh.call("outside", `http://server.default:${port}/`, { protocol }))[0]);
    assert.is(plain.protocol, version);
    assert.is((await seenBy(mesh, target)).requests, after.requests + 1);
  });

test("gRPC keeps its trailers", async ({ mesh }) => {
  for (const pod of ["client", "outside"]) {
    const [answer] = await mesh.call(pod, "grpc://server.default:9090/");
    assert.is(answer?.trailers["grpc-status"], "0", answer?.error);
  }
});

test("TCP is passed on, inside mutual TLS and without", async ({ mesh }) => {
  const before = await seenBy(mesh, 7070);
  for (const pod of ["client", "outside"]) {
    const [answer] = await mesh.call(pod, "tcp://server.default:7070", { body: "\u0001\u0002 not HTTP at all" });
    assert.is(answer?.body, "\u0001\u0002 not HTTP at all", answer?.error);
  }
  assert.equal(await seenBy(mesh, 7070), { requests: before.requests, handshakes: before.handshakes + 1 });
});

test("a server that speaks first is heard after the detection's time, not before and not never", async ({ mesh }) => {
  for (const pod of ["client", "outside"]) {
    const [answer] = await mesh.call(pod, "tcp://server.default:7071");
    assert.match(answer?.body ?? "", "server greets", answer?.error);
    assert.ok(answer!.milliseconds > 900 && answer!.milliseconds < 3000, `${pod}: ${answer!.milliseconds} ms`);
  }
});

for (const host of ["secure.default", "declared.default"])
  for (const protocol of ["http1", "http2"] as const)
    test(`the application's own TLS reaches ${host} unopened, ${protocol} in it`, async ({ mesh, own }) => {
      for (const pod of ["client", "outside"]) {
        const tls = { ca: own.certificate, serverName: "secure" };
        const [answer] = await mesh.call(pod, `https://${host}/`, { protocol, tls });
        assert.is(answer?.status, 200, `${pod}: ${answer?.error}`);
        const report = JSON.parse(answer!.body) as { readonly protocol: string; readonly headers: object };
        assert.is(report.protocol, protocol === "http2" ? "2.0" : "1.1");
        assert.not.ok("x-request-id" in report.headers, "no proxy has opened it");
      }
    });

for (const alpn of [[], ["http/1.1"], ["h2", "http/1.1"]] as const)
  test(`a handshake that offers ${alpn.join() || "no protocol"} is left as it is`, async ({ mesh, own }) => {
    for (const host of ["secure.default:443", "declared.default:80"])
      for (const pod of ["client", "outside"]) {
        const tls = { ca: own.certificate, serverName: "secure", alpn };
        const request = "GET / HTTP/1.1\r\nhost: secure\r\nconnection: close\r\n\r\n";
        const isHttp2 = alpn[0] === "h2";
        const [answer] = await mesh.call(pod, `tls://${host}`, {
          body: isHttp2 ? "" : request,
          untilClose: !isHttp2,
          tls,
        });
        assert.is(answer?.headers["alpn"], alpn[0] ?? "false", `${pod} to ${host}: ${answer?.error}`);
        if (!isHttp2) assert.match(answer!.body, "HTTP/1.1 200");
      }
  });

test.run();
