import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { bracketed, eventually, type Mesh, startMesh } from "./support/mesh.js";
import { type Sample, samplesOf, sumOf } from "./support/prometheus.js";

const test = suite<{ mesh: Mesh }>("telemetry");

const client = { labels: { version: "v1" }, namespace: "front" };
const ports = { http: [80, 8080], grpc: [9090, 9090], tcp: [7070, 7070] } as const;

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
      echoPod("client-1", "client", client),
      service("server", ports, { namespace: "shop" }),
      echoPod("server-1", "server", { namespace: "shop", labels: { version: "v2" } }),
      service("store", { http: [80, 8080] }, { namespace: "shop" }),
      echoPod("store-1", "store", { namespace: "shop" }),
      service("nobody", { http: [80, 8080] }, { namespace: "shop" }),
      service("bare", { http: [80, 8080] }, { namespace: "plain", selector: { app: "outside" } }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const scrape = async (mesh: Mesh, pod: string): Promise<readonly Sample[]> => {
  const answer = await fetch(`http://${bracketed(mesh.pod(pod).address)}:15090/stats/prometheus`);
  assert.is(answer.status, 200);
  return samplesOf(await answer.text());
};

/** The one series of a metric with these labels, once it counts `value`. */
const seriesOf = async (
  mesh: Mesh,
  pod: string,
  name: string,
  labels: Readonly<Record<string, string>>,
  value: number,
): Promise<Sample["labels"]> => {
  let found: readonly Sample[] = [];
  await eventually(
    `${name} of ${pod}`,
    async () => {
      const all = await scrape(mesh, pod);
      found = all.filter(
        (sample) =>
          sample.name === name && Object.entries(labels).every(([key, wanted]) => sample.labels[key] === wanted),
      );
      return sumOf(found, name) === value || found.length === 0 || found;
    },
    20,
  ).catch(() => undefined);
  assert.is(found.length, 1, `${name} ${JSON.stringify(labels)} of ${pod}: ${JSON.stringify(found)}`);
  assert.is(found[0]!.value, value);
  return found[0]!.labels;
};

const clientLabels = {
  source_workload: "client-1",
  source_workload_namespace: "front",
  source_principal: "spiffe://cluster.local/ns/front/sa/client",
  source_app: "client",
  source_version: "v1",
  source_cluster: "Kubernetes",
  source_canonical_service: "client",
  source_canonical_revision: "v1",
};

const serverLabels = {
  destination_workload: "server-1",
  destination_workload_namespace: "shop",
  destination_principal: "spiffe://cluster.local/ns/shop/sa/server",
  destination_app: "server",
  destination_version: "v2",
  destination_service: "server.shop.svc.cluster.local",
  destination_service_name: "server",
  destination_service_namespace: "shop",
  destination_cluster: "Kubernetes",
  destination_canonical_service: "server",
  destination_canonical_revision: "v2",
};

test("both ends tell the same of a request, by Istio's names and labels", async ({ mesh }) => {
  const answers = await mesh.call("client-1", "http://server.shop/", { count: 7, method: "POST", body: "12345" });
  assert.is(answers.filter(({ status }) => status === 200).length, 7);
  const common = { ...clientLabels, ...serverLabels, request_protocol: "http", response_code: "200" };
  assert.equal(await seriesOf(mesh, "client-1", "istio_requests_total", { request_protocol: "http" }, 7), {
    ...common,
    reporter: "source",
    response_flags: "-",
    connection_security_policy: "unknown",
  });
  assert.equal(await seriesOf(mesh, "server-1", "istio_requests_total", { source_workload: "client-1" }, 7), {
    ...common,
    reporter: "destination",
    response_flags: "-",
    connection_security_policy: "mutual_tls",
  });
  for (const [pod, reporter] of [
    ["client-1", "source"],
    ["server-1", "destination"],
  ] as const) {
    const labels = { ...common, reporter };
    let samples: readonly Sample[] = [];
    await eventually(`what was sent, by ${pod}`, async () => {
      samples = await scrape(mesh, pod);
      // Histograms are flushed every five seconds, and hold sizes to two digits.
      return Math.abs(sumOf(samples, "istio_request_bytes_sum", labels) - 35) < 1;
    });
    for (const name of ["request_duration_milliseconds", "request_bytes", "response_bytes"])
      assert.is(sumOf(samples, `istio_${name}_count`, labels), 7, `${name} of ${pod}`);
    const buckets = samples
      .filter(({ name }) => name === "istio_request_duration_milliseconds_bucket")
      .map(({ labels: { le } }) => le);
    assert.equal(
      [...new Set(buckets)].slice(0, 7),
      ["0.5", "1", "5", "10", "25", "50", "100"],
      "Istio's buckets are Envoy's own",
    );
  }
});

test("of a second hop the one in the middle is the source", async ({ mesh }) => {
  await mesh.call("server-1", "http://store/", { count: 3 });
  for (const pod of ["server-1", "store-1"])
    await seriesOf(
      mesh,
      pod,
      "istio_requests_total",
      {
        source_workload: "server-1",
        source_canonical_service: "server",
        source_principal: "spiffe://cluster.local/ns/shop/sa/server",
        destination_service_name: "store",
        destination_workload: "store-1",
        destination_canonical_revision: "latest",
        destination_version: "unknown",
      },
      3,
    );
});

test("a request that nobody takes is told of by its source alone, and what is not known is `unknown`", async ({
  mesh,
}) => {
  assert.is((await mesh.call("client-1", "http://nobody.shop/"))[0]?.status, 503);
  const series = await seriesOf(mesh, "client-1", "istio_requests_total", { destination_service_name: "nobody" }, 1);
  assert.equal(series, {
    ...clientLabels,
    reporter: "source",
    source_principal: "unknown",
    ...Object.fromEntries(Object.keys(serverLabels).map((label) => [label, "unknown"])),
    destination_service: "nobody.shop.svc.cluster.local",
    destination_service_name: "nobody",
    destination_service_namespace: "shop",
    request_protocol: "http",
    response_code: "503",
    response_flags: "UH",
    connection_security_policy: "unknown",
  });
});

test("a caller in plaintext stays unknown, whatever it says of itself", async ({ mesh }) => {
  const forged = {
    "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/front/sa/client",
    "x-envoy-peer-metadata": "ChoKCkNMVVNURVJfSUQSDBoKS3ViZXJuZXRlcw==",
    "x-envoy-peer-metadata-id": "sidecar~10.0.0.1~client-1.front~front.svc.cluster.local",
    baggage: "k8s.deployment.name=client-1,k8s.namespace.name=front",
  };
  await mesh.call("outside", "http://server.shop/", { count: 2, headers: forged });
  const series = await seriesOf(
    mesh,
    "server-1",
    "istio_requests_total",
    { connection_security_policy: "none", request_protocol: "http" },
    2,
  );
  assert.equal(series, {
    ...serverLabels,
    reporter: "destination",
    ...Object.fromEntries(Object.keys(clientLabels).map((label) => [label, "unknown"])),
    destination_principal: "unknown",
    request_protocol: "http",
    response_code: "200",
    response_flags: "-",
    connection_security_policy: "none",
  });
});

test("of gRPC the status is told, and of a server without a proxy what its labels say", async ({ mesh }) => {
  await mesh.call("client-1", "grpc://server.shop:9090/", { count: 4 });
  for (const pod of ["client-1", "server-1"])
    await seriesOf(
      mesh,
      pod,
      "istio_requests_total",
      { request_protocol: "grpc", response_code: "200", grpc_response_status: "0", ...clientLabels, ...serverLabels },
      4,
    );
  await mesh.call("client-1", "http://bare.plain/");
  await seriesOf(
    mesh,
    "client-1",
    "istio_requests_total",
    {
      destination_service_name: "bare",
      destination_canonical_service: "outside",
      destination_workload: "unknown",
      destination_workload_namespace: "plain",
      destination_principal: "unknown",
      source_principal: "unknown",
    },
    1,
  );
});

test("connections are counted at both ends, with what went over them", async ({ mesh }) => {
  await mesh.call("client-1", "tcp://server.shop:7070", { count: 3, body: "hello", newConnections: true });
  await mesh.call("outside", "tcp://server.shop:7070", { count: 1, body: "hi" });
  const known = { ...clientLabels, ...serverLabels, request_protocol: "tcp", response_flags: "-" };
  for (const [pod, reporter, policy] of [
    ["client-1", "source", "unknown"],
    ["server-1", "destination", "mutual_tls"],
  ] as const) {
    const labels = { ...known, reporter, connection_security_policy: policy };
    for (const [name, value] of [
      ["tcp_connections_opened_total", 3],
      ["tcp_connections_closed_total", 3],
      ["tcp_received_bytes_total", 15],
      ["tcp_sent_bytes_total", 15],
    ] as const)
      assert.equal(await seriesOf(mesh, pod, `istio_${name}`, { connection_security_policy: policy }, value), labels);
  }
  await seriesOf(
    mesh,
    "server-1",
    "istio_tcp_connections_opened_total",
    { connection_security_policy: "none", source_workload: "unknown", source_principal: "unknown" },
    1,
  );
});

test.run();
