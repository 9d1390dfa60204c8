import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createIdentify } from "../../src/cli/mtls/callers.js";
import { type MtlsReport, mtlsReport, type PortReport, podNameOf, podsToAsk } from "../../src/cli/mtls/report.js";
import { type InboundStatistics, inboundStatisticsOf, statisticsSince } from "../../src/cli/mtls/statistics.js";
import { applyEvents } from "../../src/model/apply.js";
import { echoPod, namespace, join as objects, service } from "./support/manifests.js";
import { bracketed, eventually, type Mesh, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh; folder: string }>("plaintext callers");

const ports = { http: [80, 8080], any: [81, 8081], tcp: [7070, 7070], "tcp-greeting": [7071, 7071] } as const;
const strict = (home: string) => ({
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "default", namespace: home },
  spec: { mtls: { mode: "STRICT" } },
});

test.before(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), "heddle-callers-"));
  await chmod(context.folder, 0o777);
  context.mesh = await startMesh({
    mesh: { accessLogFile: join(context.folder, "access.log") },
    yaml: objects(
      namespace("plain"),
      ...["outside", "other", "silent"].map((name) => echoPod(name, name, { namespace: "plain" })),
      echoPod("client", "client"),
      echoPod("disabled", "disabled"),
      service("server", ports, { namespace: "shop" }),
      echoPod("server", "server", { namespace: "shop" }),
      JSON.stringify({
        apiVersion: "networking.istio.io/v1",
        kind: "DestinationRule",
        metadata: { name: "no-tls", namespace: "default" },
        spec: {
          host: "server.shop.svc.cluster.local",
          workloadSelector: { matchLabels: { app: "disabled" } },
          trafficPolicy: { tls: { mode: "DISABLE" } },
        },
      }),
    ),
  });
});

test.after(async ({ mesh, folder }) => {
  await mesh?.close();
  await rm(folder, { recursive: true, force: true });
});

const statisticsOf = async (mesh: Mesh, pod: string): Promise<InboundStatistics> => {
  const answer = await fetch(`http://${bracketed(mesh.pod(pod).address)}:15090/stats/inbound`);
  assert.is(answer.status, 200);
  return inboundStatisticsOf(await answer.text());
};

/** Of what comes while `during` runs. */
const reportOf = async (mesh: Mesh, during: () => Promise<unknown>): Promise<MtlsReport> => {
  const snapshot = mesh.plane.compiler.snapshot();
  const next = applyEvents(snapshot, [
    { kind: "PeerAuthentication", namespace: "shop", name: "default", object: strict("shop") as never },
  ]).snapshot;
  const question = { snapshot, next, isInScope: () => true };
  assert.equal(podsToAsk(question).map(podNameOf), ["shop/server"]);
  const before = await statisticsOf(mesh, "shop/server");
  await during();
  const statistics = statisticsSince(await statisticsOf(mesh, "shop/server"), before);
  return mtlsReport(question, new Map([["shop/server", { statistics }]]));
};

const portOf = (report: MtlsReport, port: number): PortReport => {
  const found = report.ports.find((each) => each.port === port);
  assert.ok(found, `port ${port} is not in ${JSON.stringify(report.ports)}`);
  return found;
};

const callersOf = (report: MtlsReport, port: number): readonly string[] =>
  portOf(report, port)
    .callers.map(({ name, requests, connections, open }) => `${name} ${requests} ${connections} ${open}`)
    .sort();

test("callers are told by address on HTTP, TCP, undeclared and other ports, whatever their headers say", async ({
  mesh,
}) => {
  const { address } = mesh.pod("shop/server");
  const report = await reportOf(mesh, async () => {
    const forged = { headers: { "x-forwarded-for": "10.9.8.7", forwarded: "for=10.9.8.7" } };
    await mesh.call("outside", "http://server.shop/", { count: 3, ...forged });
    await mesh.call("other", "http://server.shop:81/", { count: 2, protocol: "http2" });
    await mesh.call("outside", "tcp://server.shop:7071");
    await mesh.call("outside", `tcp://${address}:7070`, { body: "hello" });
    // Of its own TLS the mesh knows nothing; the application here does not either, and gets it nevertheless.
    await mesh.call("other", `tls://${address}:7070`, { body: "hello", timeoutMilliseconds: 500 });
    await mesh.call("client", "http://server.shop/", { count: 5 });
    await mesh.call("client", "tcp://server.shop:7071");
    await mesh.call("silent", "tcp://server.shop:80", { timeoutMilliseconds: 300 });
  });
  assert.equal(callersOf(report, 8080), ["plain/outside 3 0 0"]);
  assert.equal(callersOf(report, 8081), ["plain/other 2 0 0"]);
  assert.equal(callersOf(report, 7071), ["plain/outside 0 1 0"]);
  assert.equal(callersOf(report, 7070), ["plain/other 0 1 0", "plain/outside 0 1 0"]);
  const http = portOf(report, 8080);
  assert.equal(http.mtls.requests, 5);
  assert.equal(http.plaintext.requests, 3);
  assert.ok(http.plaintext.connections >= 2, "one without a request is counted");
  assert.equal([http.mode, http.nextMode, http.policy], ["PERMISSIVE", "STRICT", undefined]);
  assert.is(http.callers[0]?.reason, "has no sidecar");
  assert.is(portOf(report, 7071).mtls.connections, 1);
  assert.is(report.cutOff, 2);
});

test("a connection and a request that stay open are seen while they are, and no longer", async ({ mesh, folder }) => {
  const held = mesh.call("outside", "tcp://server.shop:7070", {
    body: "hello",
    untilClose: true,
    timeoutMilliseconds: 4000,
  });
  await eventually("the connection is seen", async () => {
    const { callers } = await statisticsOf(mesh, "shop/server");
    return callers.some(({ port, open }) => port === 7070 && open === 1);
  });
  const report = await reportOf(mesh, async () => {});
  assert.equal(callersOf(report, 7070), ["plain/outside 0 0 1"]);
  assert.equal(report.cutOff, 1);
  await held;
  await eventually("nothing is open", async () =>
    (await statisticsOf(mesh, "shop/server")).callers.every(({ open }) => open === 0),
  );
  // It is written with a delay, so that it is all connections so far that have to be there, once each.
  const linesOf = async (): Promise<number> =>
    (await readFile(join(folder, "access.log"), "utf8")).split("inbound|7070||").length - 1;
  const { connections = 0 } = (await statisticsOf(mesh, "shop/server")).plaintext.get(7070) ?? {};
  await eventually("the access log has the connections", async () => (await linesOf()) >= connections, 30);
  assert.is(await linesOf(), connections);
});

test("a caller with a sidecar is told with the reason why it is in plaintext", async ({ mesh }) => {
  const report = await reportOf(mesh, () => mesh.call("disabled", "http://server.shop/"));
  assert.equal(callersOf(report, 8080), ["default/disabled 1 0 0"]);
  assert.match(portOf(report, 8080).callers[0]!.reason, /DestinationRule .*no-tls sets tls.mode DISABLE/);
  const identify = createIdentify(mesh.plane.compiler.snapshot());
  const server = mesh.pod("shop/server").pod as unknown as Parameters<typeof identify>[1];
  assert.match(identify(mesh.pod("client").address, server, 9999).reason, "in no Service");
  assert.match(identify(mesh.pod("client").address, server, 8080).reason, "calls the pod's address");
  assert.is(identify("192.0.2.1", server, 8080).kind, "unknown");
});

test("after the move those who were named are cut off, and the others go on", async ({ mesh }) => {
  const call = async (pod: string): Promise<number> => (await mesh.call(pod, "http://server.shop/"))[0]?.status ?? 0;
  const all = ["outside", "other", "disabled", "client"];
  const report = await reportOf(mesh, async () => {
    for (const pod of all) assert.is(await call(pod), 200, pod);
  });
  const named = portOf(report, 8080).callers.map(({ name }) => name.split("/")[1]);
  assert.equal(named.sort(), ["disabled", "other", "outside"]);
  await mesh.apply(JSON.stringify(strict("shop")));
  for (const pod of all)
    await eventually(`${pod} is ${named.includes(pod) ? "cut off" : "answered"}`, async () =>
      [0, 503].includes(await call(pod)) ? named.includes(pod) : !named.includes(pod),
    );
});

test.run();
