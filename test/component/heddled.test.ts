import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import type { ApiObject } from "./support/api-server.js";
import { admit } from "./support/clients.js";
import { eventually, type RunningHeddled, startHeddled, values } from "./support/heddled.js";

/** What the program does with its cluster while it runs: Secrets, ConfigMaps, webhook configurations, Events. */
interface Context {
  heddled: RunningHeddled;
}

const running = suite<Context>("heddled");

running.before(async (context) => {
  context.heddled = await startHeddled({ CERTIFICATE_DISTRIBUTION: "300ms", CERTIFICATE_REISSUE_WINDOW: "100ms" });
});
running.after(async ({ heddled }) => {
  await heddled?.close();
});

const pod = (fields: object = {}, metadata: object = {}) => ({
  metadata: { generateName: "web-", ...metadata },
  spec: { containers: [{ name: "app", image: "app" }], ...fields },
});
const replicaSet = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-abc", uid: "rs-uid", controller: true };
const eventsOf = ({ api }: RunningHeddled, reason: string): readonly ApiObject[] =>
  api.list("events").filter((event) => event["reason"] === reason);

const bundlesOf = ({ api }: RunningHeddled, kind: string, name: string): readonly string[] =>
  (
    (api.get(`${kind}webhookconfigurations`, "", name)?.["webhooks"] ?? []) as { clientConfig: { caBundle?: string } }[]
  ).map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString());

running("a foreign change of a caBundle is undone within a second, in both configurations", async ({ heddled }) => {
  const roots = await eventually("the root ConfigMap", () => heddled.roots() || undefined);
  for (const [kind, name] of [
    ["mutating", "heddle-sidecar-injector"],
    ["validating", "heddle-validator"],
  ] as const) {
    const webhooks = ["one", "two"].map((webhook) => ({ name: webhook, clientConfig: { caBundle: "Zm9yZWlnbg==" } }));
    heddled.api.put(`${kind}webhookconfigurations`, { metadata: { name }, webhooks });
    await eventually(kind, () => bundlesOf(heddled, kind, name).every((bundle) => bundle === roots), 1);
  }
});

running("a foreign change of a root ConfigMap is undone, and a new namespace gets one", async ({ heddled }) => {
  const { api } = heddled;
  const roots = heddled.roots();
  api.put("configmaps", {
    metadata: { name: "istio-ca-root-cert", namespace: "shop" },
    data: { "root-cert.pem": "x" },
  });
  await eventually("the change is undone", () => heddled.roots() === roots, 2);
  api.remove("configmaps", "shop", "istio-ca-root-cert");
  await eventually("the ConfigMap is back", () => heddled.roots() === roots, 2);
  api.put("namespaces", { metadata: { name: "fresh" } });
  await eventually("the namespace has one", () => api.get("configmaps", "fresh", "istio-ca-root-cert"), 2);
});

running(
  "connections to the API server that break are made anew, and what changed meanwhile is seen",
  async ({ heddled }) => {
    const { api } = heddled;
    api.cut();
    api.put("namespaces", { metadata: { name: "after-the-cut" } });
    await eventually(
      "the namespace has its roots",
      () => api.get("configmaps", "after-the-cut", "istio-ca-root-cert"),
      10,
    );
    assert.is(await heddled.ready(), 200);
  },
);

running(
  "a bad template keeps the last good one, with log and metric; a good one is taken at once",
  async ({ heddled }) => {
    const { api, ports } = heddled;
    const metric = 'heddle_configmap_rejected{configmap="istio-sidecar-injector"}';
    const write = (data: Readonly<Record<string, string>>) =>
      api.put("configmaps", { metadata: { name: "istio-sidecar-injector", namespace: "istio-system" }, data });
    const proxyImage = async (): Promise<string> => {
      const { allowed, patch, message } = await admit(ports.webhook, heddled.roots(), pod());
      assert.ok(allowed, message);
      return JSON.stringify(patch).match(/"image":"([^"]+)"/)?.[1] ?? "none";
    };
    assert.is(await proxyImage(), values.proxyImage);
    const bad: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
      [{ values: JSON.stringify(values), config: "spec: {}" }, "spec.containers holds no container istio-proxy"],
      [{ values: JSON.stringify({ ...values, proxyImage: 1 }) }, "values.proxyImage: 1; name an image"],
      [
        { values: JSON.stringify({ ...values, defaultConfig: { concurrency: "many" } }) },
        "values.defaultConfig: the field concurrency",
      ],
      [{ values: JSON.stringify({ ...values, proxyimage: "x" }) }, "values.proxyimage: is not known"],
      [{ values: "{" }, "values: is not YAML"],
      [{ values: JSON.stringify(values), overlays: "- op: never" }, "injection overlays"],
    ];
    for (const [data, message] of bad) {
      write(data);
      await eventually(`the log says: ${message}`, () => heddled.log().includes(message.replaceAll('"', '\\"')), 3);
      assert.is(await heddled.metric(metric), 1);
      assert.is(await proxyImage(), values.proxyImage);
    }
    write({ values: JSON.stringify({ proxyImage: "r.example/proxy:2", initImage: "r.example/proxy:2" }) });
    await eventually("the new image", async () => (await proxyImage()) === "r.example/proxy:2", 3);
    assert.is(await heddled.metric(metric), 0);
  },
);

running(
  "the mesh's defaultConfig takes effect at once; for the rest the log asks for a restart",
  async ({ heddled }) => {
    const { api, ports } = heddled;
    const write = (mesh: object) =>
      api.put("configmaps", {
        metadata: { name: "istio", namespace: "istio-system" },
        data: { mesh: JSON.stringify(mesh) },
      });
    write({ defaultConfig: { proxyMetadata: { COLOUR: "blue" } } });
    await eventually(
      "the proxy's environment",
      async () => JSON.stringify((await admit(ports.webhook, heddled.roots(), pod())).patch).includes("COLOUR"),
      3,
    );
    assert.not.match(heddled.log(), "when heddled is restarted");
    write({ enableAutoMtls: false });
    await eventually("the log", () => heddled.log().includes("when heddled is restarted"), 3);
  },
);

running("a pod that is left out or refused makes an Event on its owner, else on the namespace", async ({ heddled }) => {
  const { ports } = heddled;
  const owned = { ownerReferences: [replicaSet] };
  const roots = heddled.roots();
  await admit(ports.webhook, roots, pod({ hostNetwork: true }, owned), { dryRun: true });
  for (let round = 0; round < 3; round++) await admit(ports.webhook, roots, pod({ hostNetwork: true }, owned));
  const left = await eventually("an Event", () => eventsOf(heddled, "SidecarNotInjected")[0], 3);
  const { apiVersion, kind, name, uid } = replicaSet;
  const {
    apiVersion: version,
    kind: what,
    name: called,
    uid: id,
    namespace,
  } = left["involvedObject"] as Record<string, string>;
  assert.equal([version, what, called, id, namespace], [apiVersion, kind, name, uid, "shop"]);
  assert.match(String(left["message"]), /web-\*.*hostNetwork.*sidecar\.istio\.io\/inject/);

  const bad = pod({}, { ...owned, annotations: { "sidecar.istio.io/proxyCPU": "lots" } });
  const { allowed } = await admit(ports.webhook, roots, bad);
  assert.is(allowed, false);
  const refused = await eventually("an Event", () => eventsOf(heddled, "SidecarInjectionRefused")[0], 3);
  assert.match(String(refused["message"]), /sidecar\.istio\.io\/proxyCPU.*lots/);

  await admit(ports.webhook, roots, pod({ hostNetwork: true }, { name: "alone" }));
  await eventually(
    "an Event on the namespace",
    () =>
      eventsOf(heddled, "SidecarNotInjected").some(
        (event) => (event["involvedObject"] as ApiObject["metadata"])["kind"] === "Namespace",
      ),
    3,
  );
  assert.is(eventsOf(heddled, "SidecarNotInjected").length, 2, "the same thing is told once, a dry run not at all");
});

running(
  "a new cacerts takes over with no restart and no failed admission, a bad one changes nothing",
  async ({ heddled }) => {
    const { api, ports } = heddled;
    const metric = 'heddle_authority_secret_rejected{secret="cacerts"}';
    const before = heddled.roots();
    const made = createMemorySecrets();
    await openAuthority(made, "cluster.local");
    const cacerts = (await made.read("istio-ca-secret"))!;
    const write = (stringData: Readonly<Record<string, string>>) =>
      api.put("secrets", { metadata: { name: "cacerts", namespace: "istio-system" }, stringData });
    write({ ...cacerts, "ca-key.pem": "SECRET" });
    await eventually(
      "the log names the field",
      () => heddled.log().includes("ca-key.pem: is not an unencrypted PEM"),
      3,
    );
    assert.is(await heddled.metric(metric), 1);
    assert.not.match(heddled.log(), "SECRET");
    assert.is(heddled.roots(), before);

    let admissions = 0;
    let isOver = false;
    const load = async (): Promise<void> => {
      while (!isOver) {
        // As the API server does: each call with the caBundle of the moment.
        const [bundle = ""] = bundlesOf(heddled, "mutating", "heddle-sidecar-injector");
        assert.ok((await admit(ports.webhook, bundle, pod())).allowed);
        admissions++;
      }
    };
    const loads = [load(), load()];
    write(cacerts);
    await eventually("the log says so", () => heddled.log().includes("another authority signs from now on"), 5);
    await eventually(
      "only the new root verifies the webhook",
      async () => (await admit(ports.webhook, cacerts["root-cert.pem"]!, pod())).allowed,
      5,
    );
    isOver = true;
    await Promise.all(loads);
    assert.ok(admissions > 10, `${admissions} admissions`);
    assert.is(await heddled.metric(metric), 0);
    const roots = heddled.roots();
    assert.ok(roots.includes(before.trim()), "the earlier root is still trusted");
    assert.ok(roots.includes(cacerts["root-cert.pem"]!.trim()), "and so is the new one");
    assert.ok((await admit(ports.webhook, before, pod())).allowed, "who knows the earlier root only is served too");
    assert.ok(api.get("secrets", "istio-system", "heddle-trust"));
  },
);

running.run();
