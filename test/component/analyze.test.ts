import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AnalyzeOptions, analyze } from "../../src/cli/analyze/command.js";
import { customResourceDefinitions } from "../../src/cli/manifests/definitions.js";
import { type ApiServer, openApiServer } from "../cluster/apiserver.ts";
import { run } from "../cluster/processes.ts";

/** `heddle analyze -k` against a real API server. */
let server: ApiServer;

const apply = (...objects: readonly object[]): Promise<string> =>
  run("kubectl", ["--kubeconfig", server.kubeconfig, "apply", "--server-side", "-f", "-"], {
    deadlineSeconds: 60,
    input: JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
  });

const findings = async (options: Partial<AnalyzeOptions> = {}): Promise<readonly string[]> => {
  const { output } = await analyze([], {
    live: true,
    allNamespaces: false,
    output: "json",
    failureThreshold: "error",
    suppress: [],
    clusterDomain: "cluster.local",
    kubeconfig: server.kubeconfig,
    ...options,
  });
  const { findings: told } = JSON.parse(output) as { readonly findings: readonly Record<string, string>[] };
  return told.map(({ code, kind, namespace, resource }) => `${code} ${kind} ${namespace}/${resource}`);
};

test.before(async () => {
  server = await openApiServer();
});
test.after(() => server?.close());

test("a cluster without the mesh's definitions is read all the same", async () => {
  assert.equal(await findings(), []);
});

test("what users have applied, in any served version, is held against the cluster's Services", async () => {
  await apply(...customResourceDefinitions());
  const names = customResourceDefinitions().map(({ metadata }) => `crd/${metadata.name}`);
  await run(
    "kubectl",
    ["--kubeconfig", server.kubeconfig, "wait", "--for=condition=Established", "--timeout=60s", ...names],
    { deadlineSeconds: 90 },
  );
  const rule = (namespace: string) => ({
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "VirtualService",
    metadata: { name: "reviews", namespace },
    spec: { hosts: ["reviews"], http: [{ route: [{ destination: { host: "reviews", subset: "v2" } }] }] },
  });
  await apply(
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "reviews", namespace: "default" },
      spec: { ports: [{ name: "http", port: 80 }] },
    },
    rule("default"),
    rule("shop"),
  );
  assert.equal(await findings(), ["HDL0103 VirtualService default/reviews"]);
  assert.equal(await findings({ namespace: "shop" }), [
    "HDL0101 VirtualService shop/reviews",
    "HDL0106 VirtualService shop/reviews",
  ]);
  assert.is((await findings({ allNamespaces: true })).length, 3);
});

test.run();
