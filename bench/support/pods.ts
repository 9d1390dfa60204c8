import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { V1Pod, V1Service } from "@kubernetes/client-node";
import jsonPatch from "fast-json-patch";
import { pino } from "pino";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import { createNetwork, type PodNetwork, run } from "../../src/cli/run/network.js";
import { createStore, eventsOf } from "../../src/cli/run/objects.js";
import { type LocalImages, startPod } from "../../src/cli/run/pod.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { parseTemplate } from "../../src/injection/template.js";
import { createInjector } from "../../src/main/admit.js";
import { startControlPlane } from "../../src/main/control-plane.js";
import type { ProxyIdentity } from "../../src/serve/configuration.js";

/** Pods in network namespaces of their own, with the sidecars and the redirection that injection gives them. */
export interface Pods {
  readonly network: (pod: string) => PodNetwork;
  readonly folder: (pod: string) => string;
  readonly close: () => Promise<void>;
}

export interface PodsOptions {
  readonly pods: readonly V1Pod[];
  readonly services: readonly V1Service[];
  readonly images: LocalImages;
}

const serverName = "heddled.istio-system.svc";
const checkout = resolve(import.meta.dirname, "../..");
export const envoyBinary = join(checkout, ".cache/tools/bin/envoy");
const readinessProbe = `const r=await fetch("http://127.0.0.1:15021/healthz/ready").catch(()=>undefined);process.exit(r?.ok?0:1)`;

/** Runs a program inside the pod, as an application's user, to its end; gives its output. */
export const runInside = (network: PodNetwork, ...command: readonly string[]): Promise<string> =>
  run(
    "ip",
    ...["netns", "exec", network.name, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"],
    ...command,
  );

const waitUntilReady = async (pod: string, network: PodNetwork, folder: string): Promise<void> => {
  const deadline = Date.now() + 60_000;
  const probe = (): Promise<boolean> =>
    runInside(network, process.execPath, "--input-type=module", "-e", readinessProbe).then(
      () => true,
      () => false,
    );
  while (!(await probe())) {
    if (Date.now() > deadline) {
      const log = await readFile(join(folder, "istio-proxy.log"), "utf8").catch(() => "");
      throw new Error(`pod ${pod}: the proxy is not ready after 60 s; its last words:\n${log.slice(-2000)}`);
    }
    await delay(100);
  }
};

const isInjected = (pod: V1Pod): boolean => (pod.spec?.containers ?? []).some(({ name }) => name === "istio-proxy");

/** Needs root. On failure nothing is left behind. */
export const startPods = async ({ pods, services, images }: PodsOptions): Promise<Pods> => {
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse())
      await step().catch((error: Error) => console.error(`cleaning up: ${error.message}`));
  };
  try {
    const work = await mkdtemp(join(tmpdir(), "heddle-bench-"));
    undo.push(() => rm(work, { recursive: true, force: true }));
    await run("chmod", "755", work);
    const network = await createNetwork();
    undo.push(network.close);
    const store = createStore();
    const namespace = { metadata: { name: "default", labels: { "istio-injection": "enabled" } } };
    store.put([{ kind: "Namespace", namespace: "", name: "default", object: namespace }]);
    const tokens = new Map<string, ProxyIdentity>();
    const template = parseTemplate(await readFile(join(checkout, "templates/sidecar.yaml"), "utf8"));
    const admitWith = createInjector({
      revision: "default",
      template: () => template,
      values: { proxyImage: "heddle/proxyv2", initImage: "heddle/proxyv2", logLevel: "warning" },
      cluster: {
        controlPlaneHost: serverName,
        controlPlanePort: 15012,
        trustDomain: defaultMeshConfig.trustDomain,
        clusterDomain: defaultMeshConfig.clusterDomain,
        clusterId: "Kubernetes",
        network: "",
        ipFamilies: ["IPv4"],
      },
    });
    const plane = await startControlPlane({
      mesh: defaultMeshConfig,
      source: store,
      secrets: createMemorySecrets(),
      authenticate: async (token) => {
        const identity = tokens.get(token);
        if (identity === undefined) throw new Error("the token is not of this run");
        return identity;
      },
      admit: admitWith,
      host: network.gateway,
      xdsPort: 15012,
      webhookPort: 0,
      serverNames: [serverName],
      logger: pino({ level: "warn" }, pino.destination(2)),
    });
    undo.push(plane.stop);

    const hosts = new Map([
      [serverName, network.gateway],
      ...services.map(({ metadata, spec }): [string, string] => [metadata?.name ?? "", spec?.clusterIP ?? ""]),
    ]);
    const admit = admitWith(plane.compiler);
    const started = new Map<string, V1Pod>();
    const networks = new Map<string, PodNetwork>();
    for (const pod of pods) {
      const plain = { apiVersion: "v1", kind: "Pod", ...pod };
      const name = plain.metadata?.name ?? "";
      const verdict = await admit(
        { uid: randomUUID(), namespace: "default", operation: "CREATE", dryRun: false, pod: plain as never },
        new Map(),
      );
      if (!verdict.allowed) throw new Error(`pod ${name}: ${verdict.message}`);
      const patched = jsonPatch.applyPatch(structuredClone(plain), verdict.patch ?? [], true).newDocument;
      const own = await network.addPod(name, hosts);
      const status = { podIP: own.address, podIPs: [{ ip: own.address }], phase: "Running" };
      const live: V1Pod = { ...patched, metadata: { ...patched.metadata, uid: randomUUID() }, status };
      started.set(name, live);
      networks.set(name, own);
      store.put(eventsOf({ namespaces: [], services, pods: [] }, started));
      const token = randomBytes(32).toString("base64url");
      tokens.set(token, {
        namespace: "default",
        podName: name,
        podUid: live.metadata?.uid ?? "",
        serviceAccount: live.spec?.serviceAccountName ?? "default",
      });
      const files = { token, rootCertificatePem: plane.authority.rootsPem };
      undo.push((await startPod(live, own, join(work, name), images, files)).stop);
    }
    for (const [name, own] of networks)
      if (isInjected(started.get(name)!)) await waitUntilReady(name, own, join(work, name));
    return { network: (pod) => networks.get(pod)!, folder: (pod) => join(work, pod), close };
  } catch (error) {
    await close();
    throw error;
  }
};
