import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { KubeConfig } from "@kubernetes/client-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AdmissionServer, startAdmissionServer } from "../../src/admission/server.js";
import type { ObjectEvent } from "../../src/api/kubernetes.js";
import { customResourceDefinitions } from "../../src/cli/manifests/definitions.js";
import { renderManifests } from "../../src/cli/manifests/render.js";
import { loadValues } from "../../src/cli/manifests/values.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { watchKubernetes } from "../../src/watch/kubernetes.js";
import { type ApiServer, openApiServer } from "../cluster/apiserver.ts";
import { run, waitFor } from "../cluster/processes.ts";

/** The way of a resource on a real API server: definitions, watching, and the validating webhook over HTTPS. */
const top = new URL("../../", import.meta.url).pathname;
let server: ApiServer;
let webhook: AdmissionServer;
let rootsPem = "";

const execute = promisify(execFile);
/** Standard output and error: kubectl prints a webhook's warnings to the latter. */
const kubectl = async (commandArguments: readonly string[], input?: unknown): Promise<string> => {
  const running = execute("kubectl", ["--kubeconfig", server.kubeconfig, ...commandArguments], { timeout: 60_000 });
  running.child.stdin?.end(input === undefined ? "" : JSON.stringify(input));
  try {
    const { stdout, stderr } = await running;
    return stdout + stderr;
  } catch (error) {
    throw new Error((error as Error & { readonly stderr?: string }).stderr ?? (error as Error).message);
  }
};
const apply = (...items: readonly object[]): Promise<string> =>
  kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], { apiVersion: "v1", kind: "List", items });

const definitionNames = customResourceDefinitions().map(({ metadata }) => metadata.name);
const crdsThere = async (): Promise<boolean> =>
  (await kubectl(["get", "crd", "-o", "name"])).includes(definitionNames[0]!);

const web = { hosts: ["api.example.com"], ports: [{ number: 443, name: "tls", protocol: "TLS" }], resolution: "DNS" };
const entry = (name: string, spec: object, labels: Record<string, string> = {}, version = "v1beta1"): object => ({
  apiVersion: `networking.istio.io/${version}`,
  kind: "ServiceEntry",
  metadata: { name, namespace: "default", labels },
  spec,
});

test.before(async () => {
  server = await openApiServer();
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  rootsPem = authority.rootsPem;
  webhook = await startAdmissionServer({
    host: "127.0.0.1",
    port: 0,
    certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600),
    admit: () => ({ allowed: true }),
  });
});
test.after(async () => {
  await kubectl(["delete", "validatingwebhookconfiguration", "heddle-validator", "--ignore-not-found"]);
  await kubectl(["delete", "serviceentries", "--all"]).catch(() => undefined);
  await webhook?.close();
  await server?.close();
});

test("a control plane starts before the definitions are there, and sees resources once they are", async () => {
  if (await crdsThere()) await kubectl(["delete", "crd", ...definitionNames]);
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(server.kubeconfig);
  const failures: string[] = [];
  const seen: string[] = [];
  const source = watchKubernetes(kubeConfig, { failed: (kind, { message }) => failures.push(`${kind}: ${message}`) });
  source.subscribe((events: readonly ObjectEvent[]) => {
    for (const { kind, name, object } of events)
      if (kind === "ServiceEntry") seen.push(`${object === undefined ? "-" : "+"}${name} ${object?.apiVersion}`);
  });
  try {
    await source.synced;
    assert.is(failures.filter((failure) => failure.startsWith("ServiceEntry")).length, 1);
    await apply(...customResourceDefinitions());
    await kubectl([
      "wait",
      "--for=condition=Established",
      "--timeout=30s",
      ...definitionNames.map((name) => `crd/${name}`),
    ]);
    await apply(entry("api", web, {}, "v1alpha3"));
    await waitFor("the resource is seen", () => seen.includes("+api networking.istio.io/v1"), 60);
    await kubectl(["delete", "se", "api"]);
    await waitFor("its end is seen", () => seen.at(-1)?.startsWith("-api"), 30);
  } finally {
    await source.stop();
  }
});

test("heddle install makes the definitions and is idempotent", async () => {
  const install = (): Promise<string> =>
    run(
      process.execPath,
      [
        ...["--import", "tsx", "src/cli/main.ts", "install", "-y", "--no-wait", "--force-conflicts"],
        ...["--kubeconfig", server.kubeconfig, "--set", "profile=minimal"],
      ],
      { cwd: top, deadlineSeconds: 120 },
    );
  assert.match(await install(), /Installed heddle/);
  assert.match(await install(), new RegExp(`Configuration API.*${definitionNames.length} unchanged`));
  const rules = await kubectl(["get", "crd", "serviceentries.networking.istio.io", "-o", "json"]);
  assert.match(rules, "x-kubernetes-validations", "no rule was lost on the way");
  // Its webhooks point at a Service that no pod backs here.
  await kubectl(["delete", "mutatingwebhookconfiguration", "heddle-sidecar-injector"]);
  await kubectl(["delete", "validatingwebhookconfiguration", "heddle-validator"]);
});

/** The configuration as it is installed, but for where the webhook is. */
const installValidator = async (): Promise<void> => {
  const manifest = renderManifests(loadValues({})).find(({ kind }) => kind === "ValidatingWebhookConfiguration")!;
  const webhooks = (manifest as unknown as { readonly webhooks: readonly object[] }).webhooks.map((hook) => ({
    ...hook,
    clientConfig: {
      url: `https://localhost:${webhook.port}/validate`,
      caBundle: Buffer.from(rootsPem).toString("base64"),
    },
  }));
  await apply({ ...manifest, webhooks });
  // The API server takes a moment to learn of a webhook.
  await waitFor("the webhook is asked", async () =>
    kubectl(["create", "--dry-run=server", "-f", "-"], entry("probe", { ...web, exportTo: ["~", "*"] })).then(
      () => false,
      (error: Error) => error.message.includes("stands alone"),
    ),
  );
};

test("the webhook refuses with every field, and warns of what is surely not meant", async () => {
  await installValidator();
  const refused = await kubectl(
    ["create", "-f", "-"],
    entry("bad", { ...web, hosts: ["a_b.example.com"], exportTo: ["*", "shop"] }),
  ).then(
    () => assert.unreachable("it was let in"),
    (error: Error) => error.message,
  );
  assert.match(
    refused!,
    /admission webhook "validation\.heddle\.io" denied the request: ServiceEntry bad has 3 faults:\n {2}spec\.hosts\[0\]: "a_b\.example\.com".*\n.*\n {2}spec\.exportTo: /,
  );
  const warned = await kubectl(["create", "-f", "-"], entry("warned", { ...web, ports: [] }));
  assert.match(warned, /Warning: spec\.ports: is empty: no traffic reaches the service; add its ports/);
  assert.match(warned, /serviceentry\.networking\.istio\.io\/warned created/);
});

test("each version is judged, and another revision's resources are left to it", async () => {
  const bad = { ...web, exportTo: ["*", "shop"] };
  for (const version of ["v1", "v1beta1", "v1alpha3"])
    await kubectl(["create", "-f", "-"], entry("bad", bad, {}, version)).then(
      () => assert.unreachable(`${version} was let in`),
      (error: Error) => assert.match(error.message, /stands alone/),
    );
  assert.match(await kubectl(["create", "-f", "-"], entry("other", bad, { "istio.io/rev": "canary" })), /created/);
  await kubectl(["create", "-f", "-"], entry("own", bad, { "istio.io/rev": "default" })).then(
    () => assert.unreachable("its own revision's was let in"),
    (error: Error) => assert.match(error.message, /webhook "rev\.validation\.heddle\.io" denied/),
  );
});

test.run();
