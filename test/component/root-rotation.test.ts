import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { KubeConfig } from "@kubernetes/client-node";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { renderManifests } from "../../src/cli/manifests/render.js";
import { loadValues } from "../../src/cli/manifests/values.js";
import { typeUrls } from "../../src/compile/resources.js";
import type { Identities } from "../../src/main/certificates/identities.js";
import type { AuthorityStatus, ReplicaReport } from "../../src/main/certificates/state.js";
import { SecretSchema } from "../../src/proto/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { type ApiServer, openApiServer } from "../cluster/apiserver.ts";
import { run } from "../cluster/processes.ts";
import { openXdsStream, type XdsClient } from "./support/clients.js";
import { eventually, type HeddledProcess, spawnHeddled } from "./support/heddled.js";

/**
 * The root's rotation on a real API server: two replicas of heddled with the rights of their service account and no more,
 * a proxy on each, and the command line with the rights that docs/certificates.md names.
 */
const project = join(import.meta.dirname, "..", "..");
const system = "istio-system";
const namespace = "rotation-test";
const serverName = `heddled.${system}.svc`;
const replicas = ["heddled-1", "heddled-2"] as const;

interface Proxy {
  readonly client: XdsClient;
  /** Withholds its answers, as a proxy does that hangs. */
  isStuck: boolean;
  certificate: string;
  roots: string;
}

interface Context {
  server: ApiServer;
  folder: string;
  heddled: Map<string, HeddledProcess>;
  proxies: Map<string, Proxy>;
  operator: string;
}

const rotation = suite<Context>("root rotation");

const kubectl = ({ server }: Context, words: readonly string[], input?: unknown): Promise<string> =>
  run("kubectl", ["--kubeconfig", server.kubeconfig, ...words], {
    deadlineSeconds: 60,
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });

const apply = (context: Context, ...items: readonly object[]): Promise<string> =>
  kubectl(context, ["apply", "--server-side", "--force-conflicts", "-f", "-"], {
    apiVersion: "v1",
    kind: "List",
    items,
  });

const token = async (context: Context, account: string, ...words: readonly string[]): Promise<string> =>
  (await kubectl(context, ["create", "token", account, "--duration", "1h", ...words])).trim();

/** A kubeconfig of the same cluster with a token in the place of the administrator's certificate. */
const kubeconfigWith = ({ server, folder }: Context, name: string, bearer: string): string => {
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfig);
  const cluster = config.getCurrentCluster()!;
  config.loadFromOptions({
    clusters: [cluster],
    users: [{ name, token: bearer }],
    contexts: [{ name, cluster: cluster.name, user: name, namespace }],
    currentContext: name,
  });
  const path = join(folder, `${name}.kubeconfig`);
  writeFileSync(path, config.exportConfig());
  return path;
};

const pod = (name: string, inNamespace: string, labels: object, serviceAccountName: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: inNamespace, labels },
  spec: {
    serviceAccountName,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "main",
        image: "none",
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
});

const runs = (context: Context, name: string, inNamespace: string, ip: string): Promise<string> =>
  kubectl(context, [
    ...["patch", "pod", name, "-n", inNamespace, "--subresource=status", "--type=merge", "-p"],
    JSON.stringify({ status: { phase: "Running", podIP: ip, podIPs: [{ ip }] } }),
  ]);

const heddle = (
  kubeconfig: string,
  ...words: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> =>
  new Promise((resolve) => {
    const command = ["--import", "tsx", join(project, "src/cli/main.ts"), ...words, "--kubeconfig", kubeconfig];
    execFile(process.execPath, command, { cwd: project, timeout: 120_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
  });

const startReplica = async (context: Context, name: string): Promise<void> => {
  const folder = join(context.folder, name);
  mkdirSync(folder, { recursive: true });
  const kubeconfig = kubeconfigWith(context, name, await token(context, "heddled", "-n", system));
  const heddled = await spawnHeddled(kubeconfig, folder, {
    POD_NAME: name,
    CERTIFICATE_DISTRIBUTION: "500ms",
    CERTIFICATE_REISSUE_WINDOW: "500ms",
  });
  context.heddled.set(name, heddled);
};

/** A proxy, as far as certificates go: it asks for both secrets, and answers each response. */
const connectProxy = async (context: Context, name: string, replica: string): Promise<void> => {
  const bound = ["--bound-object-kind", "Pod", "--bound-object-name", name];
  const bearer = await token(context, "default", "-n", namespace, "--audience", "istio-ca", ...bound);
  const roots = await kubectl(context, [
    ...["get", "configmap", "istio-ca-root-cert", "-n", namespace, "-o", "jsonpath={.data.root-cert\\.pem}"],
  ]);
  const { ports } = context.heddled.get(replica)!;
  const client = openXdsStream(`127.0.0.1:${ports.xds}`, roots, bearer, serverName);
  const proxy: Proxy = { client, isStuck: false, certificate: "", roots: "" };
  context.proxies.set(name, proxy);
  client.call.on("data", (response) => {
    for (const resource of response.resources) {
      const secret = fromBinary(SecretSchema, resource.resource!.value);
      if (secret.type.case === "tlsCertificate")
        proxy.certificate = String(secret.type.value.certificateChain?.specifier.value);
      else if (secret.type.case === "validationContext")
        proxy.roots = String(secret.type.value.trustedCa?.specifier.value);
    }
    const answer = (): void => client.send({ typeUrl: typeUrls.secret, responseNonce: response.nonce });
    const answerLater = (): void => {
      if (proxy.isStuck) setTimeout(answerLater, 50).unref();
      else answer();
    };
    answerLater();
  });
  const node = { id: `sidecar~10.0.0.1~${name}.${namespace}~x` };
  client.send({ typeUrl: typeUrls.secret, resourceNamesSubscribe: ["default", "ROOTCA"], node });
  await eventually(`${name} has a certificate`, () => proxy.certificate !== "" && proxy.roots !== "");
};

type Shown = AuthorityStatus & { readonly replicas: Readonly<Record<string, ReplicaReport>> };

const shown = async ({ operator }: Context): Promise<Shown> => {
  const { code, out, err } = await heddle(operator, "ca", "status", "-o", "json");
  assert.is(code, 0, err);
  return JSON.parse(out) as Shown;
};

const statusOf = async (context: Context): Promise<AuthorityStatus> =>
  JSON.parse(
    await kubectl(context, ["get", "configmap", "heddle-ca", "-n", system, "-o", "jsonpath={.data.status\\.json}"]),
  ) as AuthorityStatus;

const verifies = (leafPem: string, rootsPem: string): boolean => {
  const leaf = new X509Certificate(leafPem);
  const blocks = rootsPem.match(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.some((root) => leaf.verify(new X509Certificate(root).publicKey));
};

const inspect = (
  port: number,
  path: string,
  host = "heddled",
): Promise<{ readonly code: number; readonly body: string }> =>
  new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", path, headers: { host } }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve({ code: response.statusCode ?? 0, body }));
    });
    sent.on("error", reject);
    sent.end();
  });

rotation.before(async (context) => {
  try {
    context.server = await openApiServer();
    context.folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
    context.heddled = new Map();
    context.proxies = new Map();
    const labelled = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
    const isWanted = ({ kind }: { readonly kind: string }): boolean =>
      !["Deployment", "PodDisruptionBudget", "Service"].includes(kind);
    await apply(context, ...renderManifests(loadValues({})).filter(isWanted), labelled);
    const rights = {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "rotate", namespace: system },
      rules: [{ apiGroups: [""], resources: ["configmaps"], resourceNames: ["heddle-ca"], verbs: ["get", "patch"] }],
    };
    const account = { kind: "ServiceAccount", name: "operator", namespace: system };
    await apply(
      context,
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "operator", namespace: system } },
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } },
      rights,
      {
        ...rights,
        kind: "RoleBinding",
        rules: undefined,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "rotate" },
        subjects: [account],
      },
    );
    for (const [index, name] of replicas.entries()) {
      await apply(context, pod(name, system, { app: "heddled" }, "heddled"));
      await runs(context, name, system, `10.1.0.${index + 1}`);
      await apply(context, pod(`cart-${index + 1}`, namespace, { app: "cart" }, "default"));
      await runs(context, `cart-${index + 1}`, namespace, `10.0.0.${index + 1}`);
    }
    for (const name of replicas) await startReplica(context, name);
    context.operator = kubeconfigWith(context, "operator", await token(context, "operator", "-n", system));
  } catch (error) {
    console.error(error);
    throw error;
  }
});

rotation.after(async (context) => {
  for (const { client } of context.proxies?.values() ?? []) client.close();
  for (const heddled of context.heddled?.values() ?? []) await heddled.kill();
  const names = [`namespace/${namespace}`, `namespace/${system}`];
  await kubectl(context, ["delete", ...names, "--wait=false"]).catch(() => undefined);
  await context.server?.close();
  rmSync(context.folder, { recursive: true, force: true });
});

rotation("the status tells which root signs, and how many proxies hold its certificates", async (context) => {
  await eventually("the root's ConfigMap", () =>
    kubectl(context, ["get", "configmap", "istio-ca-root-cert", "-n", namespace]),
  );
  await connectProxy(context, "cart-1", "heddled-1");
  await connectProxy(context, "cart-2", "heddled-2");
  const status = await eventually(
    "both replicas have reported their proxies",
    async () => {
      const seen = await shown(context);
      return Object.values(seen.replicas).filter(({ proxies }) => proxies === 1).length === 2 && seen;
    },
    30,
  );
  assert.is(status.origin, "self-made");
  assert.is(status.phase, "none");
  assert.equal(
    status.roots.map(({ signs }) => signs),
    [true],
  );
  const { out } = await heddle(context.operator, "ca", "status");
  assert.match(out, /Authority +self-made/);
  assert.match(out, /Proxies +2 connected to 2 replicas/);
});

rotation("each replica tells its own machine what its proxies hold, and nobody else", async (context) => {
  const { ports } = context.heddled.get("heddled-1")!;
  const { code, body } = await inspect(ports.inspection, "/identities");
  assert.is(code, 200);
  const { identities, replica } = JSON.parse(body) as Identities;
  assert.is(replica, "heddled-1");
  assert.is(identities.length, 1);
  const leaf = new X509Certificate(context.proxies.get("cart-1")!.certificate);
  assert.equal(
    { ...identities[0]!.proxy, podUid: "" },
    { namespace, podName: "cart-1", podUid: "", serviceAccount: "default" },
  );
  assert.is(identities[0]!.state, "acknowledged");
  assert.is(identities[0]!.issued.serialNumber, leaf.serialNumber.toLowerCase());
  assert.is(identities[0]!.issued.spiffeId, `spiffe://cluster.local/ns/${namespace}/sa/default`);
  assert.not.match(body, /PRIVATE|BEGIN/);
  assert.is((await inspect(ports.inspection, "/identities", "attacker.example")).code, 403);
  const elsewhere = Object.values((await import("node:os")).networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address;
  if (elsewhere !== undefined) {
    const refused = await fetch(`http://${elsewhere}:${ports.inspection}/identities`).catch((error: Error) => error);
    assert.instance(refused, Error, "the network is not answered");
  }
});

rotation("metrics tell of the authority and of what it has issued, by Istio's names", async (context) => {
  const { metric } = context.heddled.get("heddled-1")!;
  const inTenYears = Date.now() / 1000 + 3650 * 86_400;
  const near = (value: number | undefined, wanted: number): boolean => Math.abs((value ?? 0) - wanted) < 3600;
  assert.ok(near(await metric("citadel_server_root_cert_expiry_timestamp"), inTenYears));
  assert.ok(near(await metric("citadel_server_cert_chain_expiry_seconds"), 3650 * 86_400));
  assert.is(await metric("citadel_server_success_cert_issuance_count"), 2, "its own and its proxy's");
  assert.is(await metric('heddle_certificates_total{use="proxy",outcome="issued"}'), 1);
  assert.is(await metric("heddle_trusted_roots"), 1);
  const servingUntil = await metric("heddle_serving_certificate_expiry_timestamp_seconds");
  assert.ok(near(servingUntil, Date.now() / 1000 + 90 * 86_400));
});

rotation(
  "no root signs while a proxy of any replica has not taken it; status and log name that proxy",
  async (context) => {
    const [one, two] = ["cart-1", "cart-2"].map((name) => context.proxies.get(name)!);
    const before = { one: one!.certificate, two: two!.certificate, roots: one!.roots };
    two!.isStuck = true;
    const asked = await heddle(context.operator, "ca", "rotate", "--yes");
    assert.is(asked.code, 0, asked.err);
    const named = `1 of 1 proxies of heddled-2 have not taken the new root: ${namespace}/cart-2`;
    await eventually(
      "the status names who is behind",
      async () => (await statusOf(context)).waitingFor.join().includes(named),
      30,
    );
    assert.is((await statusOf(context)).phase, "distributing");
    await eventually("the other proxy trusts both", () => (one!.roots.match(/BEGIN/g) ?? []).length === 2);
    const again = await heddle(context.operator, "ca", "rotate", "--yes");
    assert.is(again.code, 1);
    assert.match(again.err, /a rotation is under way \(distributing\)/);

    // A replica that ends in this phase comes back to it.
    await context.heddled.get("heddled-1")!.kill();
    one!.client.close();
    await startReplica(context, "heddled-1");
    await connectProxy(context, "cart-1", "heddled-1");
    const restarted = context.proxies.get("cart-1")!;
    assert.is((restarted.roots.match(/BEGIN/g) ?? []).length, 2);
    assert.ok(verifies(restarted.certificate, before.roots), "the earlier root signs until all trust the new one");
    assert.is((await statusOf(context)).phase, "distributing");

    two!.isStuck = false;
    await eventually(
      "every certificate is of the new root",
      async () => (await statusOf(context)).phase === "retiring",
      40,
    );
    for (const proxy of [restarted, two!]) {
      assert.not(verifies(proxy.certificate, before.roots));
      assert.ok(verifies(proxy.certificate, proxy.roots));
      assert.ok(verifies(before.one, proxy.roots), "certificates of the earlier root are still trusted");
    }
    const secret = await kubectl(context, ["get", "secret", "istio-ca-secret", "-n", system, "-o", "json"]);
    assert.not.match(secret, "next-ca-key.pem");
    assert.match(secret, '"type": "istio.io/ca-root"');
  },
);

rotation(
  "rotate --wait comes back when every certificate is of the new root, and tells until when the other is trusted",
  async (context) => {
    const before = (await statusOf(context)).roots.find(({ signs }) => signs)!.sha256;
    const rotated = await heddle(context.operator, "ca", "rotate", "--yes", "--wait", "--timeout", "60s");
    assert.is(rotated.code, 0, rotated.err);
    assert.match(rotated.out, /The new root signs\. The earlier one stays trusted until 20/);
    const status = await shown(context);
    const signing = status.roots.find(({ signs }) => signs)!.sha256;
    assert.is.not(signing, before);
    assert.is(status.roots.length, 3);
    for (const { byRoot } of Object.values(status.replicas)) assert.equal(byRoot, { [signing]: 1 });
  },
);

rotation("a root that is in other hands is dropped before its time; one in force is not", async (context) => {
  const { roots } = await statusOf(context);
  const signs = roots.find((root) => root.signs)!;
  const refused = await heddle(context.operator, "ca", "distrust", signs.sha256, "--yes");
  assert.is(refused.code, 1);
  assert.match(refused.err, "is in force; let another one sign first, with heddle ca rotate --wait");
  const earliest = [...roots].sort((left, right) => (left.notAfter < right.notAfter ? -1 : 1))[0]!;
  const dropped = await heddle(context.operator, "ca", "distrust", earliest.sha256.slice(0, 12), "--yes");
  assert.is(dropped.code, 0, dropped.err);
  for (const proxy of context.proxies.values())
    await eventually("the proxy trusts it no more", () => (proxy.roots.match(/BEGIN/g) ?? []).length === 2);
});

rotation("the webhooks trust what the proxies trust", async (context) => {
  const roots = await kubectl(context, [
    ...[
      "get",
      "mutatingwebhookconfiguration",
      "heddle-sidecar-injector",
      "-o",
      "jsonpath={.webhooks[0].clientConfig.caBundle}",
    ],
  ]);
  assert.is((Buffer.from(roots, "base64").toString().match(/BEGIN/g) ?? []).length, 2);
});

rotation("an operator's authority is not rotated, and the error says what to do", async (context) => {
  const secret = JSON.parse(
    await kubectl(context, ["get", "secret", "istio-ca-secret", "-n", system, "-o", "json"]),
  ) as { readonly data: Readonly<Record<string, string>> };
  const { "ca-cert.pem": certificate, "ca-key.pem": key, "root-cert.pem": root } = secret.data;
  await apply(context, {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: "cacerts", namespace: system },
    data: { "tls.crt": certificate, "tls.key": key, "ca.crt": root },
  });
  await eventually("it is in force", async () => (await statusOf(context)).origin === "operator", 30);
  const refused = await heddle(context.operator, "ca", "rotate", "--yes");
  assert.is(refused.code, 1);
  assert.match(refused.err, /Secret istio-system\/cacerts.*docs\/certificates\.md/);
  await kubectl(context, ["delete", "secret", "cacerts", "-n", system]);
});

rotation.run();
