import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { pino } from "pino";
import type { ObjectSource } from "../../src/api/kubernetes.js";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import { typeUrls } from "../../src/compile/resources.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { createTokenAuthenticator } from "../../src/identity/token.js";
import { parseTemplate } from "../../src/injection/template.js";
import { createInjector } from "../../src/main/admit.js";
import { type ControlPlane, startControlPlane } from "../../src/main/control-plane.js";
import { createBatcher } from "../../src/watch/batch.js";
import { serveParent } from "./child.js";
import { collectGarbage } from "./garbage.js";
import { type MeshShape, meshEvents, sliceEvent } from "./mesh.js";

/** The control plane of the benchmarks: the real one, but for objects from memory and token reviews in this process. */
export interface ControlPlaneStart {
  readonly port: number;
  readonly webhookPort: number;
  readonly rootsPem: string;
}

export interface Usage {
  /** After garbage collection. */
  readonly residentBytes: number;
  readonly liveBytes: number;
  /** Since the last asking; what the garbage collection of asking costs is left out. */
  readonly cpuMilliseconds: number;
  readonly pushedBytes: number;
  readonly encodes: number;
  readonly connected: number;
  /** Of the event loop since the last asking. */
  readonly loopDelayP99Milliseconds: number;
  readonly loopDelayMaxMilliseconds: number;
}

const serverName = "heddled.istio-system.svc";
const batcher = createBatcher();
const source: ObjectSource = {
  subscribe: batcher.subscribe,
  synced: Promise.resolve(),
  stop: async () => batcher.stop(),
};
/** Tokens are `namespace/pod/account`, base64: the reviewer's own work is no part of what is measured. */
const authenticate = createTokenAuthenticator(async (token) => {
  const [namespace = "", pod = "", account = ""] = Buffer.from(token, "base64url").toString("utf8").split("/");
  return {
    authenticated: true,
    audiences: ["istio-ca"],
    user: {
      username: `system:serviceaccount:${namespace}:${account}`,
      extra: {
        "authentication.kubernetes.io/pod-name": [pod],
        "authentication.kubernetes.io/pod-uid": [`uid-${pod}`],
      },
    },
  };
}, "istio-ca");

let plane: ControlPlane | undefined;
let shape: MeshShape = { services: 0, endpoints: 0 };
let pushedBytes = 0;
let connected = 0;
let cpuBefore = process.cpuUsage();
let endpointAnswers = 0;
let answered: (() => void) | undefined;
const loopDelay = monitorEventLoopDelay({ resolution: 2 });
loopDelay.enable();

const start = async (size: MeshShape): Promise<ControlPlaneStart> => {
  shape = size;
  for (const event of meshEvents(shape)) batcher.add(event);
  batcher.flush();
  const template = parseTemplate(readFileSync("templates/sidecar.yaml", "utf8"));
  plane = await startControlPlane({
    mesh: defaultMeshConfig,
    source,
    secrets: createMemorySecrets(),
    authenticate,
    // All proxies of a benchmark have one address.
    newcomers: { perAddress: 100_000, total: 100_000 },
    admit: createInjector({
      revision: "default",
      injection: () => ({ template, values: { proxyImage: "heddle/proxyv2:1", initImage: "heddle/proxyv2:1" } }),
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
    host: "127.0.0.1",
    xdsPort: 0,
    webhookPort: 0,
    serverNames: [serverName],
    logger: pino({ level: "info" }, pino.destination("/dev/null")),
    observe: {
      connected: (count) => {
        connected = count;
      },
      pushed: (bytes) => {
        pushedBytes += bytes;
      },
      acked: (type) => {
        if (type !== typeUrls.endpoint) return;
        endpointAnswers++;
        if (endpointAnswers === connected) answered?.();
      },
      nacked: (type) => console.error(`a proxy rejected ${type}`),
      refused: () => console.error("a proxy was refused"),
    },
  });
  return { port: plane.xds.port, webhookPort: plane.admission.port, rootsPem: plane.authority.rootsPem };
};

const usage = async (): Promise<Usage> => {
  const { user, system } = process.cpuUsage(cpuBefore);
  const delays = { p99: loopDelay.percentile(99) / 1e6, max: loopDelay.max / 1e6 };
  await collectGarbage();
  const { rss, heapUsed, external } = process.memoryUsage();
  loopDelay.reset();
  cpuBefore = process.cpuUsage();
  return {
    residentBytes: rss,
    liveBytes: heapUsed + external,
    cpuMilliseconds: (user + system) / 1000,
    pushedBytes,
    encodes: plane?.xds.encodes() ?? 0,
    connected,
    loopDelayP99Milliseconds: delays.p99,
    loopDelayMaxMilliseconds: delays.max,
  };
};

/** Gives one service one endpoint more or less; resolves with the time until every proxy has acknowledged it. */
const change = async ({ service, extra }: { readonly service: number; readonly extra: number }): Promise<number> => {
  endpointAnswers = 0;
  const all = Promise.withResolvers<void>();
  answered = all.resolve;
  const began = performance.now();
  batcher.add(sliceEvent(shape, service, extra));
  const deadline = setTimeout(
    () => all.reject(new Error(`${endpointAnswers} of ${connected} proxies have answered after 60 s`)),
    60_000,
  );
  await all.promise;
  clearTimeout(deadline);
  return performance.now() - began;
};

serveParent({ start, usage, change });
