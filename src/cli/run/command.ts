import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import type { Command } from "commander";
import jsonPatch, { type Operation } from "fast-json-patch";
import { pino } from "pino";
import { defaultMeshConfig } from "../../api/meshconfig.js";
import { createMemorySecrets } from "../../identity/memory-secrets.js";
import { parseTemplate } from "../../injection/template.js";
import { createInjector } from "../../main/admit.js";
import { type ControlPlane, startControlPlane } from "../../main/control-plane.js";
import type { ProxyIdentity } from "../../serve/configuration.js";
import { createNetwork, type Network, run } from "./network.js";
import { createStore, eventsOf, type LocalObjects, readObjects } from "./objects.js";
import { type RunningPod, startPod } from "./pod.js";
import { report } from "./report.js";

interface RunOptions {
  readonly once: boolean;
  readonly envoy: string;
  readonly from: string;
  readonly url: string;
}

const serverName = "heddled.istio-system.svc";
const projectFolder = join(import.meta.dirname, "..", "..", "..");

/** Sends the pod to the webhook over HTTPS, as the API server does, and applies the patch. */
const inject = (plane: ControlPlane, gateway: string, pod: V1Pod): Promise<V1Pod> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: {
        uid: randomUUID(),
        kind: { group: "", version: "v1", kind: "Pod" },
        resource: { group: "", version: "v1", resource: "pods" },
        operation: "CREATE",
        namespace: pod.metadata?.namespace,
        object: { apiVersion: "v1", ...pod },
      },
    });
    const call = httpsRequest(
      {
        host: gateway,
        port: plane.admission.port,
        path: "/inject",
        method: "POST",
        servername: serverName,
        ca: plane.authority.rootsPem,
        agent: false,
        headers: { "content-type": "application/json" },
        timeout: 10_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const review = JSON.parse(Buffer.concat(chunks).toString("utf8")) as {
            readonly response?: {
              readonly allowed: boolean;
              readonly patch?: string;
              readonly status?: { readonly message?: string };
            };
          };
          if (review.response?.allowed !== true)
            return reject(
              new Error(`pod ${pod.metadata?.name}: ${review.response?.status?.message ?? "the webhook refused it"}`),
            );
          if (review.response.patch === undefined) return resolve(pod);
          const patch = JSON.parse(Buffer.from(review.response.patch, "base64").toString("utf8")) as Operation[];
          resolve(jsonPatch.applyPatch(pod, patch, true, false).newDocument);
        });
      },
    );
    call.on("error", reject);
    call.end(body);
  });

/** Readiness through the proxy's own listener, asked inside the pod. */
const waitUntilReady = async (pod: string, network: string, folder: string): Promise<void> => {
  const deadline = Date.now() + 30_000;
  const probe = `const r=await fetch("http://127.0.0.1:15021/healthz/ready").catch(()=>undefined);process.exit(r?.ok?0:1)`;
  for (;;) {
    const ready = await run("ip", "netns", "exec", network, process.execPath, "--input-type=module", "-e", probe).then(
      () => true,
      () => false,
    );
    if (ready) return;
    if (Date.now() > deadline) {
      const log = await readFile(join(folder, "istio-proxy.log"), "utf8").catch(() => "");
      throw new Error(`pod ${pod}: the proxy is not ready after 30 s; its last words:\n${log.slice(-2000)}`);
    }
  }
};

const withIdentity = (pod: V1Pod, address: string): V1Pod => ({
  ...pod,
  metadata: { ...pod.metadata, uid: randomUUID() },
  status: { ...pod.status, podIP: address, podIPs: [{ ip: address }], phase: "Running" },
});

const hostsOf = (objects: LocalObjects, gateway: string): ReadonlyMap<string, string> =>
  new Map([
    [serverName, gateway],
    ...objects.services.flatMap(({ metadata, spec }): [string, string][] => {
      const namespace = metadata?.namespace ?? "default";
      return [
        metadata?.name ?? "",
        `${metadata?.name}.${namespace}`,
        `${metadata?.name}.${namespace}.svc`,
        `${metadata?.name}.${namespace}.svc.cluster.local`,
      ].map((host) => [host, spec?.clusterIP ?? ""]);
    }),
  ]);

const runMesh = async (
  folder: string,
  options: RunOptions,
  network: Network,
  work: string,
  undo: (() => Promise<void>)[],
): Promise<void> => {
  const objects = await readObjects(folder);
  const store = createStore();
  store.put(
    objects.namespaces.map((namespace) => ({
      kind: "Namespace",
      namespace: "",
      name: namespace.metadata?.name ?? "",
      object: namespace as never,
    })),
  );
  const tokens = new Map<string, ProxyIdentity>();
  const template = parseTemplate(await readFile(join(projectFolder, "templates", "sidecar.yaml"), "utf8"));
  const plane = await startControlPlane({
    mesh: defaultMeshConfig,
    source: store,
    secrets: createMemorySecrets(),
    authenticate: async (token) => {
      const identity = tokens.get(token);
      if (identity === undefined) throw new Error("the token is not of this run");
      return identity;
    },
    admit: createInjector({
      revision: "default",
      injection: () => ({
        template,
        values: { proxyImage: "heddle/proxyv2", initImage: "heddle/proxyv2", logLevel: "warning" },
      }),
      cluster: () => ({
        controlPlaneHost: serverName,
        controlPlanePort: 15012,
        trustDomain: defaultMeshConfig.trustDomain,
        clusterDomain: defaultMeshConfig.clusterDomain,
        clusterId: "Kubernetes",
        network: "",
        ipFamilies: ["IPv4"],
      }),
    }),
    host: network.gateway,
    xdsPort: 15012,
    webhookPort: 0,
    serverNames: [serverName],
    logger: pino({ level: process.env["HEDDLE_LOG"] ?? "warn" }, pino.destination(2)),
  });
  undo.push(plane.stop);
  console.log(
    `control plane   xDS ${network.gateway}:${plane.xds.port}, webhook ${network.gateway}:${plane.admission.port}`,
  );

  const images = new Map([
    [
      "heddle/echo",
      [
        process.execPath,
        "--import",
        join(projectFolder, "node_modules/tsx/dist/loader.mjs"),
        join(projectFolder, "deploy/samples/echo/server.ts"),
      ],
    ],
    ["heddle/proxyv2", [options.envoy]],
  ]);
  const started = new Map<string, V1Pod>();
  const networks = new Map<string, string>();
  const injected: V1Pod[] = [];
  for (const pod of objects.pods) {
    const patched = await inject(plane, network.gateway, { apiVersion: "v1", ...pod });
    const name = patched.metadata?.name ?? "";
    const podNetwork = await network.addPod(name, hostsOf(objects, network.gateway));
    const live = withIdentity(patched, podNetwork.address);
    injected.push(live);
    started.set(name, live);
    networks.set(name, podNetwork.name);
    store.put(eventsOf(objects, started));
    const token = randomBytes(32).toString("base64url");
    tokens.set(token, {
      namespace: live.metadata?.namespace ?? "default",
      podName: name,
      podUid: live.metadata?.uid ?? "",
      serviceAccount: live.spec?.serviceAccountName ?? "default",
    });
    const running: RunningPod = await startPod(live, podNetwork, join(work, name), images, {
      token,
      rootCertificatePem: plane.authority.rootsPem,
    });
    undo.push(running.stop);
  }
  for (const [name, podNetwork] of networks) await waitUntilReady(name, podNetwork, join(work, name));
  await report({ pods: injected, networks, from: options.from, url: options.url });
};

const runCommand = async (folder: string, options: RunOptions): Promise<void> => {
  if (process.getuid?.() !== 0)
    throw new Error("run: network namespaces and redirect rules need root; run it with sudo");
  const work = await mkdtemp(join(tmpdir(), "heddle-run-"));
  const undo: (() => Promise<void>)[] = [() => rm(work, { recursive: true, force: true })];
  const interrupted = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.resolve());
  try {
    await run("chmod", "755", work);
    const network = await createNetwork();
    undo.push(network.close);
    await Promise.race([runMesh(folder, options, network, work, undo), interrupted.promise]);
    if (!options.once) {
      console.log("\nThe mesh goes on until Ctrl-C.");
      await interrupted.promise;
    }
  } finally {
    for (const step of undo.reverse())
      await step().catch((error: Error) => console.error(`cleaning up: ${error.message}`));
  }
};

export const registerRun = (program: Command): void => {
  program
    .command("run")
    .description("run a mesh on this machine, without a cluster, from a directory of Kubernetes YAML")
    .argument("[directory]", "Namespaces, Services and Pods", join(projectFolder, "deploy/samples/hello"))
    .option("--once", "send one request, print what happened, and end", false)
    .option("--envoy <path>", "the Envoy binary", join(projectFolder, ".cache/tools/bin/envoy"))
    .option("--from <pod>", "the pod whose application sends the request", "frontend")
    .option("--url <url>", "what it asks for", "http://backend/hello")
    .action(runCommand);
};
