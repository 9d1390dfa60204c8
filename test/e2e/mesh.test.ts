import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { MtlsReport } from "../../src/cli/mtls/report.ts";
import { openAuthority } from "../../src/identity/authority.ts";
import { createMemorySecrets } from "../../src/identity/memory-secrets.ts";
import { waitFor } from "../cluster/processes.ts";
import { addresses } from "../cluster/settings.ts";
import { captureBetween, isClientHello, isTlsRecord, type Packet } from "./support/capture.ts";
import { diagnose } from "./support/diagnosis.ts";
import { isReady, type Pod, type Report } from "./support/kubectl.ts";
import { client, echo, job, namespace } from "./support/manifests.ts";
import { type Mesh, openMesh } from "./support/mesh.ts";

/** The main job on a real Kubernetes, in the order a user meets it: install, label, deploy, call, roll out, uninstall. */
const meshed = "shop";
const plain = "outside";
const rolloutReplicas = Number(process.env["HEDDLE_E2E_ROLLOUT_PODS"] ?? 20);
const clusterKinds = [
  ...["namespaces", "customresourcedefinitions", "clusterroles", "clusterrolebindings"],
  ...["mutatingwebhookconfigurations", "validatingwebhookconfigurations", "priorityclasses"],
].join(",");

interface Context {
  mesh: Mesh;
  before: string;
}

const main = suite<Context>("mesh");

/** A test that leaves what the cluster looked like when it fails. */
const check = (name: string, body: (context: Context) => Promise<void>): void =>
  main(name, async (context) => {
    const started = performance.now();
    try {
      await body(context);
      console.error(`# ${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
    } catch (error) {
      console.error(`# FAILED: ${name}\n${await diagnose(context.mesh, meshed)}`);
      throw error;
    }
  });

const clusterObjects = (mesh: Mesh): Promise<string> => mesh.kubectl("get", clusterKinds, "-o", "name");

const onePod = async (mesh: Mesh, inNamespace: string, name: string): Promise<Pod> => {
  const pods = await mesh.pods(inNamespace, `app=${name}`);
  assert.is(pods.length, 1, `one pod of ${name}`);
  return pods[0]!;
};

const containersOf = async (mesh: Mesh, inNamespace: string, selector: string): Promise<readonly string[]> =>
  (await mesh.kubectl("get", "pods", "-n", inNamespace, "-l", selector, "--no-headers"))
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/)[1]!);

main.before(async (context) => {
  context.mesh = await openMesh();
  const { mesh } = context;
  await mesh.apply(namespace(meshed), namespace(plain));
  context.before = await clusterObjects(mesh);
  console.error(await mesh.heddle("install", "--set", "profile=demo", "-y"));
});

main.after(async ({ mesh }) => {
  await mesh?.close();
});

check("pods of a labelled namespace run with a sidecar, their manifests unchanged", async ({ mesh }) => {
  await mesh.kubectl("label", "namespace", meshed, "istio-injection=enabled", "--overwrite");
  await mesh.apply(
    ...echo({ name: "echo", namespace: meshed }),
    ...client({ name: "client", namespace: meshed }),
    ...client({ name: "client", namespace: plain }),
    ...echo({ name: "echo", namespace: plain }),
  );
  for (const name of ["echo", "client"]) {
    await mesh.rolledOut(meshed, name);
    await mesh.rolledOut(plain, name);
    assert.equal(await containersOf(mesh, meshed, `app=${name}`), ["2/2"]);
    assert.equal(await containersOf(mesh, plain, `app=${name}`), ["1/1"]);
  }
  const { spec } = await onePod(mesh, meshed, "echo");
  assert.equal(spec.containers.map(({ name }) => name).sort(), ["echo", "istio-proxy"]);
});

check("the server sees the caller's SPIFFE identity", async ({ mesh }) => {
  const answer = await mesh.get(meshed, "deployment/client", "http://echo/");
  assert.is(answer.status, 200);
  const { headers } = JSON.parse(answer.body) as Report;
  const certificate = headers["x-forwarded-client-cert"] ?? "";
  assert.match(certificate, `URI=spiffe://cluster.local/ns/${meshed}/sa/client`);
  assert.match(certificate, `By=spiffe://cluster.local/ns/${meshed}/sa/echo`);
});

check("the call is mutual TLS on the wire, where a plain call shows its text", async ({ mesh }) => {
  if (!mesh.cluster.local) {
    console.error("# no capture: the node of a given cluster is not this machine");
    return;
  }
  const marker = `marker-${process.pid}-${Date.now()}`;
  const between = async (from: string, to: string, complete: (packets: readonly Packet[]) => boolean) => {
    const [caller, server] = [await onePod(mesh, from, "client"), await onePod(mesh, to, "echo")];
    // By address, so that the exchange is of the family that is captured.
    const address = await mesh.kubectl("get", "service", "echo", "-n", to, "-o", "jsonpath={.spec.clusterIP}");
    const action = async (): Promise<void> => {
      const answer = await mesh.get(from, "deployment/client", `http://${address}/`, `x-marker=${marker}`);
      assert.is(answer.status, 200);
      assert.match(answer.body, marker);
    };
    return captureBetween(addresses.bridge, caller.status.podIP!, server.status.podIP!, action, complete);
  };
  const shows = (packets: readonly Packet[]): boolean => packets.some(({ payload }) => payload.includes(marker));
  const plainly = await between(plain, plain, shows);
  assert.ok(shows(plainly), "a plain call shows its marker, so the capture works");

  // A new connection, so that the capture holds its beginning.
  await mesh.kubectl("rollout", "restart", "deployment/client", "-n", meshed);
  await mesh.rolledOut(meshed, "client");
  await waitFor("the old client pod is gone", async () => (await mesh.pods(meshed, "app=client")).length === 1, 60);
  const secured = await between(meshed, meshed, (packets) => packets.length >= 4);
  assert.not(shows(secured), "the marker is not to be seen");
  assert.ok(
    secured.some(({ payload }) => isClientHello(payload)),
    "a ClientHello is captured",
  );
  const firstOfEach = new Map(secured.toReversed().map((packet) => [packet.from, packet]));
  for (const { from, payload } of firstOfEach.values()) assert.ok(isTlsRecord(payload), `${from} begins with TLS`);
});

check("TCP passes through both sidecars", async ({ mesh }) => {
  assert.match(await mesh.fromClient(meshed, "deployment/client", "tcp", "echo:7070", "hello"), "hello");
});

check("gRPC passes through both sidecars", async ({ mesh }) => {
  assert.match(await mesh.fromClient(meshed, "deployment/client", "grpc", "echo:9090"), "SERVING");
});

check("every address family of a service is secured", async ({ mesh }) => {
  const listed = await mesh.kubectl("get", "service", "echo", "-n", meshed, "-o", "jsonpath={.spec.clusterIPs}");
  for (const address of JSON.parse(listed) as readonly string[]) {
    const host = address.includes(":") ? `[${address}]` : address;
    const answer = await mesh.get(meshed, "deployment/client", `http://${host}/`);
    assert.is(answer.status, 200, address);
    const { headers } = JSON.parse(answer.body) as Report;
    assert.match(headers["x-forwarded-client-cert"] ?? "", "spiffe://", address);
  }
});

check("a pod without sidecar still gets through in permissive mode", async ({ mesh }) => {
  const answer = await mesh.get(plain, "deployment/client", `http://echo.${meshed}/`, "x-forwarded-client-cert=forged");
  assert.is(answer.status, 200);
  const { headers } = JSON.parse(answer.body) as Report;
  assert.not.match(headers["x-forwarded-client-cert"] ?? "", "forged");
  assert.not.match(headers["x-forwarded-client-cert"] ?? "", "spiffe://");
});

check("a pod with sidecar reaches one without", async ({ mesh }) => {
  assert.is((await mesh.get(meshed, "deployment/client", `http://echo.${plain}/`)).status, 200);
});

check("heddle mtls check names whom STRICT would cut off, and it is them that STRICT cuts off", async ({ mesh }) => {
  const file = join(tmpdir(), `heddle-strict-${process.pid}.yaml`);
  const policy = {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { name: "default", namespace: meshed },
    spec: { mtls: { mode: "STRICT" } },
  };
  const url = `http://echo.${meshed}/`;
  const statusFrom = (from: string): Promise<number> =>
    mesh.get(from, "deployment/client", url).then(
      ({ status }) => status,
      () => 0,
    );
  /** The command says by its exit code what it found. */
  const asked = (...words: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> =>
    mesh.heddle("mtls", "check", "-f", file, ...words).then(
      (stdout) => ({ code: 0, stdout }),
      (error: { readonly code: number; readonly stdout: string }) => error,
    );
  await writeFile(file, JSON.stringify(policy));
  try {
    for (const from of [meshed, plain]) assert.is(await statusFrom(from), 200, from);
    const text = await asked("-o", "wide");
    console.error(`# ${text.stdout}`);
    assert.is(text.code, 1);
    const { ports, unanswered } = JSON.parse((await asked("-o", "json")).stdout) as MtlsReport;
    assert.equal(unanswered, []);
    const { metadata } = await onePod(mesh, plain, "client");
    const callers = ports.flatMap((port) => port.callers.map(({ name, workload }) => `${name} ${workload}`));
    assert.equal([...new Set(callers)], [`${plain}/${metadata.name} Deployment/client`]);
    assert.is((await asked("--watch-for", "2s")).code, 0, "nobody calls meanwhile");
    await mesh.apply(policy);
    await waitFor("the one that was named is cut off", async () => (await statusFrom(plain)) !== 200, 30);
    assert.is(await statusFrom(meshed), 200);
    await mesh.kubectl("delete", "peerauthentication", "default", "-n", meshed);
    await waitFor("plaintext is taken again", async () => (await statusFrom(plain)) === 200, 30);
  } finally {
    await rm(file, { force: true });
  }
});

const probes: Readonly<Record<string, unknown>> = {
  http: { httpGet: { path: "/healthz", port: "http" } },
  tcp: { tcpSocket: { port: 7070 } },
  grpc: { grpc: { port: 9090 } },
};
for (const [part, probe] of Object.entries(probes)) {
  check(`a ${part} probe tells a live application from a dead one`, async ({ mesh }) => {
    const name = `probe-${part}`;
    const readinessProbe = { ...(probe as object), periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1 };
    await mesh.apply(...echo({ name, namespace: meshed, container: { readinessProbe } }));
    await mesh.rolledOut(meshed, name);
    const { metadata } = await onePod(mesh, meshed, name);
    const stop = `fetch("http://127.0.0.1:8080/stop?part=${part}", {method: "POST"}).then((r) => r.text()).then(console.log)`;
    await mesh.kubectl("exec", "-n", meshed, metadata.name, "-c", "echo", "--", "/usr/bin/node", "-e", stop);
    await waitFor(`${name} is unready`, async () => !isReady(await onePod(mesh, meshed, name)), 60);
    await mesh.kubectl("delete", "deployment,service,serviceaccount", name, "-n", meshed, "--wait=false");
  });
}

check("a Job completes, its sidecar does not keep it alive", async ({ mesh }) => {
  await mesh.apply(job("once", meshed, ["get", "http://echo/"]));
  await mesh.kubectl("wait", "--for=condition=complete", "job/once", "-n", meshed, "--timeout=120s");
  const pods = await mesh.pods(meshed, "app=once");
  assert.equal(
    pods.map(({ status }) => status.phase),
    ["Succeeded"],
  );
  const log = await mesh.kubectl("logs", "-n", meshed, "job/once", "-c", "once");
  assert.match(log, `URI=spiffe://cluster.local/ns/${meshed}/sa/default`);
});

check(`a rollout of ${rolloutReplicas} pods under load loses no request`, async ({ mesh }) => {
  await mesh.kubectl("scale", "deployment/echo", "-n", meshed, `--replicas=${rolloutReplicas}`);
  await mesh.rolledOut(meshed, "echo", 300);
  const stop = await mesh.startLoad(meshed, "deployment/client", "http://echo/", 600, 8);
  await mesh.kubectl("rollout", "restart", "deployment/echo", "-n", meshed);
  await mesh.rolledOut(meshed, "echo", 300);
  await waitFor(
    "the old pods are gone",
    async () => (await containersOf(mesh, meshed, "app=echo")).length === rolloutReplicas,
    120,
  );
  const result = await stop();
  console.error(`# rollout of ${rolloutReplicas} pods: ${JSON.stringify(result)}`);
  assert.is(result.failed, 0, JSON.stringify(result.failures));
  assert.ok(result.pods > rolloutReplicas, "pods of both generations answered");
});

const reviews = (...http: readonly object[]): readonly object[] => [
  {
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "DestinationRule",
    metadata: { name: "reviews", namespace: meshed },
    spec: { host: "reviews", subsets: ["v1", "v2"].map((version) => ({ name: version, labels: { version } })) },
  },
  {
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "VirtualService",
    metadata: { name: "reviews", namespace: meshed },
    spec: { hosts: ["reviews"], http },
  },
];

const weighted = (v1: number, v2: number): object => ({
  route: [
    { destination: { host: "reviews", subset: "v1" }, weight: v1 },
    { destination: { host: "reviews", subset: "v2" }, weight: v2 },
  ],
});

check("a canary takes its share, and a change of weights loses no request", async ({ mesh }) => {
  await mesh.apply(
    ...["v1", "v2"].flatMap((version) =>
      echo({ name: `reviews-${version}`, namespace: meshed, labels: { service: "reviews", version }, version }),
    ),
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "reviews", namespace: meshed },
      spec: { selector: { service: "reviews" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
    },
    ...reviews(weighted(90, 10)),
  );
  for (const version of ["v1", "v2"]) await mesh.rolledOut(meshed, `reviews-${version}`);
  const shareOf = async (count: number): Promise<number> => {
    const url = `http://echo/call?count=${count}&url=${encodeURIComponent("http://reviews/")}`;
    const { status, body } = await mesh.get(meshed, "deployment/client", url);
    assert.is(status, 200, body);
    const tally = JSON.parse(body) as Readonly<Record<string, number>>;
    const of = (version: string): number =>
      Object.entries(tally).reduce((sum, [key, value]) => sum + (key.includes(version) ? value : 0), 0);
    return of("v2") / Math.max(1, of("v1") + of("v2"));
  };
  await waitFor("the rule is in force", async () => (await shareOf(100)) < 0.4, 30);
  // 1,000 of one in ten: outside of 6 to 14 in a hundred once in 40,000 tries.
  const share = await shareOf(1000);
  assert.ok(share > 0.06 && share < 0.14, `v2 had ${share}`);
  const stop = await mesh.startLoad(meshed, "deployment/client", "http://reviews/", 600, 4);
  await mesh.apply(...reviews(weighted(0, 100)));
  await waitFor("all requests go to v2", async () => (await shareOf(100)) === 1, 30);
  const result = await stop();
  assert.is(result.failed, 0, JSON.stringify(result.failures));
});

check(
  "kubectl is told what is wrong with a rule, with field and cure, and what is surely not meant",
  async ({ mesh }) => {
    const refused = await mesh.apply(...reviews({ route: [{ destination: { host: "reviews" }, weight: -5 }] })).then(
      () => "",
      (error: Error) => error.message,
    );
    assert.match(refused, /spec\.http\[0\]\.route\[0\]\.weight/);
    const [, rule] = reviews({ route: [{ destination: { host: "reviews", subset: "v9" } }] });
    const warned = await mesh.tryOut(rule);
    assert.match(warned, /Warning: .*subset/);
  },
);

check("a CA bundle that someone takes away is back within a second", async ({ mesh }) => {
  const bundle = (): Promise<string> =>
    mesh.kubectl(
      ...["get", "mutatingwebhookconfiguration", "heddle-sidecar-injector"],
      ...["-o", "jsonpath={.webhooks[0].clientConfig.caBundle}"],
    );
  const before = await bundle();
  const patch = JSON.stringify([{ op: "remove", path: "/webhooks/0/clientConfig/caBundle" }]);
  await mesh.kubectl("patch", "mutatingwebhookconfiguration", "heddle-sidecar-injector", "--type=json", "-p", patch);
  await waitFor("the bundle is back", async () => (await bundle()) === before, 2);
});

check("a pod that can have no sidecar makes an Event on its ReplicaSet", async ({ mesh }) => {
  await mesh.apply(...client({ name: "hosted", namespace: meshed, spec: { hostNetwork: true } }));
  const events = (): Promise<string> =>
    mesh.kubectl(
      ...["get", "events", "-n", meshed, "--field-selector", "reason=SidecarNotInjected"],
      ...["-o", "jsonpath={range .items[*]}{.involvedObject.kind} {.message}{end}"],
    );
  await waitFor("the Event", async () => /^ReplicaSet pod hosted-.*hostNetwork/.test(await events()), 30);
  await mesh.kubectl("delete", "deployment,serviceaccount", "hosted", "-n", meshed, "--wait=false");
});

check("a new cacerts gives every workload a certificate of the new root and loses no request", async ({ mesh }) => {
  // Connections outlive a rotation, so a new one is asked what the proxy presents.
  const { status } = await onePod(mesh, meshed, "client");
  const presented = async (): Promise<string> =>
    (
      JSON.parse(await mesh.fromClient(plain, "deployment/client", "certificate", `${status.podIP}:8080`)) as {
        readonly fingerprint256: string;
      }
    ).fingerprint256;
  const store = createMemorySecrets();
  await openAuthority(store, "cluster.local");
  const before = await presented();
  const stop = await mesh.startLoad(meshed, "deployment/client", "http://echo/", 600, 4);
  await mesh.apply({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cacerts", namespace: "istio-system" },
    stringData: await store.read("istio-ca-secret"),
  });
  // Ten seconds until the bundle is out, then a random moment within a minute.
  await waitFor("the client has another certificate", async () => (await presented()) !== before, 120);
  const result = await stop();
  assert.is(result.failed, 0, JSON.stringify(result.failures));
});

check("uninstall leaves nothing behind", async ({ mesh, before }) => {
  console.error(await mesh.heddle("uninstall", "--purge", "-y"));
  await waitFor(
    "cluster objects are as before",
    async () => {
      const now = await clusterObjects(mesh);
      if (now !== before) throw new Error(`left: ${now.split("\n").filter((line) => !before.includes(line))}`);
      return true;
    },
    120,
  );
  const maps = await mesh.kubectl("get", "configmaps", "-A", "-o", "name");
  assert.not.match(maps, "istio-ca-root-cert");
  await mesh.kubectl("rollout", "restart", "deployment/client", "-n", meshed);
  await mesh.rolledOut(meshed, "client");
  await waitFor(
    "new pods are plain",
    async () => (await containersOf(mesh, meshed, "app=client")).join() === "1/1",
    60,
  );
});

main.run();
