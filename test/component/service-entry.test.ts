import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace } from "./support/manifests.js";
import { type Mesh, type Report, type Response, reportOf, startMesh } from "./support/mesh.js";

/** Hosts outside of the mesh and workloads that no Service selects, called from a pod through real proxies. */
const test = suite<{ mesh: Mesh }>("ServiceEntries");

const config = (kind: string, name: string, spec: object, inNamespace = "default", labels = {}): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind,
    metadata: { name, namespace: inNamespace, labels },
    spec,
  });

const http = { number: 80, name: "http", protocol: "HTTP", targetPort: 8080 };

test.before(async (context) => {
  const mesh = await startMesh({
    yaml: join(
      namespace("plain"),
      echoPod("client", "client"),
      echoPod("other", "client", { namespace: "other", serviceAccount: "other" }),
      echoPod("legacy-0", "legacy", { namespace: "plain", env: { VERSION: "v1" } }),
      echoPod("legacy-1", "legacy", { namespace: "plain", env: { VERSION: "v2" } }),
      echoPod("vm-0", "vm", { labels: { tier: "vm" } }),
      echoPod("vm-1", "vm", { labels: { tier: "vm" } }),
    ),
  });
  context.mesh = mesh;
  const address = (pod: string): string => mesh.pod(pod).address;
  await mesh.apply(
    join(
      config("ServiceEntry", "legacy", {
        hosts: ["legacy.example.com"],
        location: "MESH_EXTERNAL",
        resolution: "STATIC",
        ports: [http],
        endpoints: [
          { address: address("legacy-0"), labels: { version: "v1" } },
          { address: address("legacy-1"), labels: { version: "v2" } },
        ],
      }),
      config("ServiceEntry", "machines", {
        hosts: ["machines.example.com"],
        location: "MESH_INTERNAL",
        resolution: "STATIC",
        ports: [http],
        workloadSelector: { labels: { tier: "vm" } },
      }),
      config("ServiceEntry", "entries", {
        hosts: ["entries.example.com"],
        location: "MESH_INTERNAL",
        resolution: "STATIC",
        ports: [http],
        workloadSelector: { labels: { machine: "yes" } },
      }),
      config("WorkloadEntry", "entry-0", {
        address: address("vm-0"),
        serviceAccount: "vm",
        labels: { machine: "yes" },
        ports: { http: 8080 },
      }),
      config("ServiceEntry", "database", {
        hosts: ["db.example.com"],
        addresses: ["240.240.7.7"],
        location: "MESH_EXTERNAL",
        resolution: "STATIC",
        ports: [{ number: 5432, name: "tcp", protocol: "TCP", targetPort: 7071 }],
        endpoints: [{ address: address("legacy-0") }],
      }),
      config("ServiceEntry", "names", {
        hosts: ["names.example.com"],
        location: "MESH_EXTERNAL",
        resolution: "DNS",
        ports: [http],
        endpoints: [{ address: address("legacy-1") }],
      }),
      config("ServiceEntry", "hidden", {
        hosts: ["hidden.example.com"],
        location: "MESH_EXTERNAL",
        resolution: "STATIC",
        ports: [http],
        exportTo: ["."],
        endpoints: [{ address: address("legacy-0") }],
      }),
    ),
  );
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const callerOf = ({ headers }: Report): string | undefined =>
  /URI=([^;,]+)/.exec(headers["x-forwarded-client-cert"] ?? "")?.[1];
const podsOf = (responses: readonly Response[]): readonly string[] =>
  [...new Set(responses.map((response) => reportOf(response).pod))].sort();
const to = (address: string, host: string) => [`http://${address}/`, { headers: { host } }] as const;
/** Any address will do: HTTP goes by the host. */
const somewhere = "240.240.0.1";

test("an external host is spread over its endpoints, in plain text", async ({ mesh }) => {
  const [url, options] = to(somewhere, "legacy.example.com");
  const responses = await mesh.call("client", url, { ...options, count: 40 });
  assert.equal(podsOf(responses), ["legacy-0", "legacy-1"]);
  for (const response of responses) assert.is(callerOf(reportOf(response)), undefined);
});

test("a host inside of the mesh is secured, its endpoints pods by their labels or WorkloadEntries", async ({
  mesh,
}) => {
  for (const [host, pods] of [
    ["machines.example.com", ["vm-0", "vm-1"]],
    ["entries.example.com", ["vm-0"]],
  ] as const) {
    const [url, options] = to(somewhere, host);
    const responses = await mesh.call("client", url, { ...options, count: 40 });
    assert.equal(podsOf(responses), pods, host);
    for (const response of responses)
      assert.is(callerOf(reportOf(response)), "spiffe://cluster.local/ns/default/sa/client", host);
  }
});

test("TCP to the entry's address goes to its endpoint", async ({ mesh }) => {
  const [greeting] = await mesh.call("client", "tcp://240.240.7.7:5432");
  assert.match(greeting?.body ?? "", "legacy-0 greets", greeting?.error);
});

test("resolution DNS takes endpoints that are addresses", async ({ mesh }) => {
  const [url, options] = to(somewhere, "names.example.com");
  assert.equal(podsOf(await mesh.call("client", url, options)), ["legacy-1"]);
});

test("rules are for external hosts too: subsets, faults", async ({ mesh }) => {
  const host = "legacy.example.com";
  await mesh.apply(
    join(
      config("DestinationRule", "legacy", {
        host,
        subsets: [{ name: "v2", labels: { version: "v2" } }],
      }),
      config("VirtualService", "legacy", {
        hosts: [host],
        http: [
          { match: [{ uri: { prefix: "/teapot" } }], directResponse: { status: 418 } },
          { route: [{ destination: { host, subset: "v2" } }] },
        ],
      }),
    ),
  );
  const [url, options] = to(somewhere, host);
  assert.equal(podsOf(await mesh.call("client", url, { ...options, count: 10 })), ["legacy-1"]);
  const [teapot] = await mesh.call("client", `${url}teapot`, options);
  assert.is(teapot?.status, 418);
  await mesh.remove("VirtualService", "default", "legacy");
  assert.equal(podsOf(await mesh.call("client", url, { ...options, count: 40 })), ["legacy-0", "legacy-1"]);
});

test("an entry that is not exported is not known in other namespaces", async ({ mesh }) => {
  const clusters = (pod: string): Promise<string> => mesh.admin(pod, "/clusters");
  assert.match(await clusters("client"), "outbound|80||hidden.example.com");
  assert.not.match(await clusters("other"), "hidden.example.com");
  assert.match(await clusters("other"), "outbound|80||legacy.example.com");
});

test.run();
