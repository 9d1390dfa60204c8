import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join as objects, service } from "./support/manifests.js";
import { bracketed, eventually, type Mesh, startMesh } from "./support/mesh.js";
import { type Sample, samplesOf, sumOf } from "./support/prometheus.js";

const test = suite<{ mesh: Mesh; folder: string }>("Telemetry");

const telemetry = (home: string, name: string, spec: object): string =>
  JSON.stringify({
    apiVersion: "telemetry.istio.io/v1",
    kind: "Telemetry",
    metadata: { name, namespace: home },
    spec,
  });

const logFile = ({ folder }: { readonly folder: string }): string => join(folder, "access.log");

test.before(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), "heddle-telemetry-"));
  await chmod(context.folder, 0o777);
  context.mesh = await startMesh({
    mesh: { accessLogFile: logFile(context), accessLogFormat: "%UPSTREAM_CLUSTER_RAW% %REQ(:PATH)%" },
    yaml: objects(
      echoPod("client", "client", { namespace: "front" }),
      service("server", { http: [80, 8080], tcp: [7070, 7070] }, { namespace: "shop" }),
      echoPod("server", "server", { namespace: "shop" }),
      service("quiet", { http: [80, 8080], tcp: [7070, 7070] }, { namespace: "shop" }),
      echoPod("quiet", "quiet", { namespace: "shop" }),
      telemetry("shop", "namespace", {
        metrics: [
          {
            overrides: [
              {
                match: { mode: "SERVER" },
                tagOverrides: {
                  source_principal: { operation: "REMOVE" },
                  stage: { value: "'100 % live'" },
                  tenant: { operation: "UPSERT", value: "request.headers['X-Tenant']" },
                  request_method: { value: "request.method" },
                  beyond: { value: "request.headers['a'] + 'b'" },
                },
              },
              { match: { metric: "REQUEST_SIZE", mode: "SERVER" }, disabled: true },
            ],
          },
        ],
      }),
      telemetry("shop", "quiet", {
        selector: { matchLabels: { app: "quiet" } },
        metrics: [{ overrides: [{ disabled: true }] }],
        accessLogging: [{ disabled: true }],
      }),
    ),
  });
});

test.after(async ({ mesh, folder }) => {
  await mesh?.close();
  await rm(folder, { recursive: true, force: true });
});

const scrape = async (mesh: Mesh, pod: string): Promise<readonly Sample[]> => {
  const answer = await fetch(`http://${bracketed(mesh.pod(pod).address)}:15090/stats/prometheus`);
  return samplesOf(await answer.text());
};

const isOf = (protocol: string) => (sample: Sample) =>
  sample.name === "istio_requests_total" && sample.labels["request_protocol"] === protocol;

test("labels of one side are removed and set, and a metric of it is left out", async ({ mesh }) => {
  await mesh.call("client", "http://server.shop/", { count: 4, headers: { "x-tenant": "blue" } });
  await eventually("the server has counted", async () => {
    const samples = await scrape(mesh, "server");
    return sumOf(samples, "istio_requests_total") === 4 && sumOf(samples, "istio_response_bytes_count") === 4;
  });
  const server = await scrape(mesh, "server");
  const [request] = server.filter(isOf("http"));
  const { source_principal, stage, tenant, request_method, beyond, source_workload } = request!.labels;
  assert.equal(
    { source_principal, stage, tenant, request_method, beyond, source_workload },
    {
      source_principal: undefined,
      stage: "100 % live",
      tenant: "blue",
      request_method: "GET",
      beyond: undefined,
      source_workload: "client",
    },
  );
  assert.is(server.filter(({ name }) => name.startsWith("istio_request_bytes")).length, 0);
  const client = await scrape(mesh, "client");
  assert.is(client.filter(isOf("http"))[0]!.labels["stage"], undefined, "the client's namespace has no such rule");
  await eventually(
    "the client counts sizes",
    async () => sumOf(await scrape(mesh, "client"), "istio_request_bytes_count") === 4,
  );
  assert.match(
    mesh.conditions("Telemetry", "shop", "namespace").join("\n"),
    /beyond.*can't be worked out by the proxy/,
  );
});

test("a workload without metrics and log has none, whatever its clients tell", async ({ mesh, folder }) => {
  await mesh.call("client", "http://quiet.shop/silence", { count: 2 });
  await mesh.call("client", "tcp://quiet.shop:7070", { body: "hello" });
  await eventually("the client counts", async () => {
    const samples = await scrape(mesh, "client");
    const labels = { destination_service_name: "quiet" };
    return (
      sumOf(samples, "istio_requests_total", labels) === 2 &&
      sumOf(samples, "istio_tcp_connections_closed_total", labels) === 1
    );
  });
  assert.equal(
    (await scrape(mesh, "quiet")).filter(({ name }) => name.startsWith("istio_")),
    [],
  );
  await eventually("the client's log", async () => {
    const lines = (await readFile(logFile({ folder }), "utf8")).split("\n").filter((line) => line.endsWith("/silence"));
    return lines.length === 2 && lines.every((line) => line.startsWith("outbound|80||quiet."));
  });
});

test("what is for the mesh comes first, and what comes later and goes takes effect on a running mesh", async ({
  mesh,
  folder,
}) => {
  const lines = async (path: string): Promise<readonly string[]> =>
    (await readFile(logFile({ folder }), "utf8")).split("\n").filter((line) => line.endsWith(path));
  const forAll = telemetry("istio-system", "mesh", {
    accessLogging: [{ match: { mode: "CLIENT" }, disabled: true }],
    metrics: [{ overrides: [{ match: { metric: "ALL_METRICS", mode: "CLIENT" }, disabled: true }] }],
  });
  await mesh.apply(forAll);
  const before = sumOf(await scrape(mesh, "client"), "istio_requests_total");
  await mesh.call("client", "http://server.shop/later", { count: 3 });
  await eventually("the server's log", async () => {
    const found = await lines("/later");
    return found.length === 3 && found.every((line) => line.startsWith("inbound|8080||"));
  });
  assert.is(sumOf(await scrape(mesh, "client"), "istio_requests_total"), before);
  await mesh.apply(
    telemetry("front", "namespace", {
      accessLogging: [{ providers: [{ name: "envoy" }] }],
      metrics: [{ overrides: [{ match: { metric: "REQUEST_COUNT" }, disabled: false }] }],
    }),
  );
  await mesh.call("client", "http://server.shop/again");
  await eventually("both logs", async () => (await lines("/again")).length === 2);
  await eventually(
    "the client counts again",
    async () => sumOf(await scrape(mesh, "client"), "istio_requests_total") === before + 1,
  );
  await mesh.remove("Telemetry", "istio-system", "mesh");
  await mesh.remove("Telemetry", "front", "namespace");
  await mesh.call("client", "tcp://server.shop:7070", { body: "hello" });
  await eventually(
    "connections count again",
    async () =>
      sumOf(await scrape(mesh, "client"), "istio_tcp_connections_closed_total", {
        destination_service_name: "server",
      }) === 1,
  );
});

test.run();
