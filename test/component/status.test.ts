import { KubeConfig } from "@kubernetes/client-node";
import { pino } from "pino";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Condition } from "../../src/api/kind.js";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import { customResourceDefinitions } from "../../src/cli/manifests/definitions.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { type ControlPlane, startControlPlane } from "../../src/main/control-plane.js";
import { contendForLease } from "../../src/main/lease.js";
import { createStatusWriter } from "../../src/main/status/writer.js";
import { createApiClient } from "../../src/watch/api-client.js";
import { watchKubernetes } from "../../src/watch/kubernetes.js";
import { type ApiServer, openApiServer } from "../cluster/apiserver.ts";
import { run, waitFor } from "../cluster/processes.ts";

/** Statuses on a real API server: what a user sees of them, and which of several replicas writes them. */
let server: ApiServer;
let kubeConfig: KubeConfig;
let close: (() => Promise<void>) | undefined;
const namespace = "status-test";

const kubectl = (commandArguments: readonly string[], input?: unknown): Promise<string> =>
  run("kubectl", ["--kubeconfig", server.kubeconfig, ...commandArguments], {
    deadlineSeconds: 60,
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });

const apply = (...items: readonly object[]): Promise<string> =>
  kubectl(["apply", "--server-side", "--force-conflicts", "--field-manager=test", "-f", "-"], {
    apiVersion: "v1",
    kind: "List",
    items,
  });

const destinationRule = (name: string, spec: object): object => ({
  apiVersion: "networking.istio.io/v1",
  kind: "DestinationRule",
  metadata: { name, namespace },
  spec,
});

const conditionOf = async (name: string, type: string): Promise<Condition | undefined> => {
  const text = await kubectl(["get", "destinationrule", "-n", namespace, name, "-o", "json"]);
  const { status } = JSON.parse(text) as { readonly status?: { readonly conditions?: readonly Condition[] } };
  return status?.conditions?.find((condition) => condition.type === type);
};

const hasReason = (name: string, reason: string): Promise<boolean> =>
  waitFor(`${name} is ${reason}`, async () => (await conditionOf(name, "Reconciled"))?.reason === reason);

const fail = (error: Error): void => console.error(error.message);

const startReplica = async (identity: string) => {
  const client = createApiClient(kubeConfig);
  let plane: ControlPlane | undefined;
  let writes = 0;
  const lease = contendForLease({
    ...{ client, namespace, name: "heddled-status", identity, failed: fail },
    ...{ durationMilliseconds: 3000, retryMilliseconds: 300 },
    changed: (isHolder) => {
      if (isHolder) plane?.statuses.sweep();
    },
  });
  const writer = createStatusWriter({
    client,
    mayWrite: lease.isHolder,
    written: (status) => {
      writes += 1;
      plane?.statuses.written(status);
    },
    failed: fail,
  });
  plane = await startControlPlane({
    mesh: defaultMeshConfig,
    source: watchKubernetes(kubeConfig, { failed: (_kind, error) => fail(error) }),
    secrets: createMemorySecrets(),
    authenticate: () => Promise.reject(new Error("nobody connects")),
    admit: () => () => Promise.reject(new Error("nobody is admitted")),
    ...{ host: "127.0.0.1", xdsPort: 0, webhookPort: 0, serverNames: ["heddled"] },
    logger: pino({ level: "silent" }),
    statusChanged: writer.put,
  });
  return {
    isHolder: lease.isHolder,
    writes: () => writes,
    stop: async () => {
      await writer.stop();
      await lease.stop();
      await plane?.stop();
    },
  };
};

test.before(async () => {
  try {
    server = await openApiServer();
    kubeConfig = new KubeConfig();
    kubeConfig.loadFromFile(server.kubeconfig);
    const definitions = customResourceDefinitions();
    await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }, ...definitions);
    const names = definitions.map(({ metadata }) => `crd/${metadata.name}`);
    await kubectl(["wait", "--for=condition=Established", "--timeout=60s", ...names]);
    await apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "reviews", namespace },
      spec: { ports: [{ name: "http", port: 80 }] },
    });
  } catch (error) {
    console.error(error);
    throw error;
  }
});
test.after(async () => {
  await close?.();
  await kubectl(["delete", "namespace", namespace, "--wait=false"]).catch(() => {});
  await server?.close();
});

test("a resource is seen to be accepted, and nothing is written twice", async () => {
  const replica = await startReplica("first");
  close = replica.stop;
  await apply(destinationRule("older", { host: "reviews", trafficPolicy: { loadBalancer: { simple: "RANDOM" } } }));
  await hasReason("older", "Accepted");
  const condition = (await conditionOf("older", "Reconciled"))!;
  assert.equal([condition.status, condition.observedGeneration], ["True", 1]);
  assert.match(await kubectl(["get", "destinationrule", "-n", namespace]), /older.*Accepted/);
  await kubectl(["apply", "--server-side", "--subresource=status", "--field-manager=other", "-f", "-"], {
    ...destinationRule("older", { host: "reviews" }),
    status: { conditions: [{ type: "Foreign", status: "True", reason: "Other", message: "of another writer" }] },
  });
  const writes = replica.writes();
  await apply(
    destinationRule("older", { host: "reviews", trafficPolicy: { loadBalancer: { simple: "LEAST_REQUEST" } } }),
  );
  await waitFor("the new generation", async () => (await conditionOf("older", "Reconciled"))?.observedGeneration === 2);
  assert.is((await conditionOf("older", "Reconciled"))!.lastTransitionTime, condition.lastTransitionTime);
  assert.is((await conditionOf("older", "Foreign"))?.message, "of another writer");
  assert.is(replica.writes(), writes + 1);
});

test("what loses names what it lost to, until that goes", async () => {
  // The age of resources is in whole seconds, and then the name decides.
  await apply(destinationRule("younger", { host: "reviews", trafficPolicy: { loadBalancer: { simple: "RANDOM" } } }));
  await hasReason("younger", "Conflict");
  const { message, status } = (await conditionOf("younger", "Reconciled"))!;
  assert.is(status, "False");
  assert.match(message, /^spec\.trafficPolicy: .*status-test\/older/);
  await hasReason("older", "Accepted");
  await kubectl(["delete", "destinationrule", "-n", namespace, "older"]);
  await hasReason("younger", "Accepted");
});

test("an invalid version says which one stays in force", async () => {
  // Nothing that CEL can say is wrong here: the API server lets it in.
  const subset = { name: "v1", labels: { version: "v1" } };
  await apply(destinationRule("younger", { host: "reviews", subsets: [subset, subset] }));
  await hasReason("younger", "Invalid");
  const { message, observedGeneration } = (await conditionOf("younger", "Reconciled"))!;
  assert.is(observedGeneration, 2);
  assert.match(message, /^The last valid version \(generation 1\) stays in force\. spec\.subsets\[1\]\.name/);
  assert.is(await conditionOf("younger", "Distributed"), undefined);
  await apply(destinationRule("younger", { host: "reviews" }));
  await hasReason("younger", "Accepted");
});

test("of two replicas one writes, and the other takes over when it goes", async () => {
  const first = close!;
  const second = await startReplica("second");
  close = async () => {
    await second.stop();
    await first();
  };
  await apply(destinationRule("third", { host: "reviews", subsets: [{ name: "v1", labels: { version: "v1" } }] }));
  await waitFor("a status", async () => (await conditionOf("third", "Reconciled")) !== undefined);
  assert.not(second.isHolder());
  assert.is(second.writes(), 0);
  await first();
  close = second.stop;
  await waitFor("the second holds the lease", async () => second.isHolder());
  await apply(destinationRule("fourth", { host: "reviews" }));
  await waitFor("a status of the second", async () => (await conditionOf("fourth", "Reconciled")) !== undefined);
  assert.ok(second.writes() > 0);
});

test("a holder that cannot reach the API server stops before another takes over", async () => {
  const client = createApiClient(kubeConfig);
  let isCut = false;
  const contend = (identity: string, call: typeof client.call) =>
    contendForLease({
      ...{ namespace, name: "cut-off", identity, changed: () => {}, failed: () => {} },
      ...{ durationMilliseconds: 2000, retryMilliseconds: 200 },
      client: { ...client, call },
    });
  const cut = contend("cut", (path, request) =>
    isCut ? Promise.reject(new Error("connection refused")) : client.call(path, request),
  );
  await waitFor("the first holds it", async () => cut.isHolder());
  const other = contend("other", client.call);
  try {
    isCut = true;
    let wereBoth = false;
    await waitFor("the other holds it", async () => {
      wereBoth ||= cut.isHolder() && other.isHolder();
      return other.isHolder();
    });
    assert.not(wereBoth);
    assert.not(cut.isHolder());
    isCut = false;
    await waitFor("a renewal", async () => other.isHolder());
    assert.not(cut.isHolder(), "it does not take back what another holds");
  } finally {
    await Promise.all([cut.stop(), other.stop()]);
  }
});

test.run();
