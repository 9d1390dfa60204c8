import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import type { Logger } from "pino";
import type { ObjectEvent, Pod, Service } from "../../api/kubernetes.js";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { SecretStore } from "../../identity/authority.js";
import { createMemorySecrets } from "../../identity/memory-secrets.js";
import { parseTemplate } from "../../injection/template.js";
import { createInjector } from "../../main/admit.js";
import { type ControlPlane, type RotationSettings, startControlPlane } from "../../main/control-plane.js";
import type { IssuerKeySettings } from "../../main/issuer-keys.js";
import type { ResourceStatus } from "../../main/status/reporter.js";
import type { ProxyIdentity } from "../../serve/configuration.js";
import { createCluster } from "./cluster.js";
import { inject } from "./inject.js";
import type { Network } from "./network.js";
import { nodeNameOf, nodeOf } from "./nodes.js";
import { type Machine, type RunningPod, startPod } from "./pod.js";
import { isReady, periodOf } from "./probe.js";
import { hostsOf, serviceRules } from "./services.js";
import { createSettling } from "./settling.js";

export interface LocalMeshOptions {
  readonly mesh: MeshConfig;
  readonly network: Network;
  /** Readable by every user: pods' files go below it. */
  readonly folder: string;
  readonly machine: Machine;
  readonly templateFile: string;
  readonly logger: Logger;
  /** Names outside of the mesh that pods can resolve. */
  readonly hosts?: Readonly<Record<string, string>>;
  readonly issuerKeys?: IssuerKeySettings;
  /** Where the authority is; in memory, and gone with the mesh, if left out. */
  readonly secrets?: SecretStore;
  readonly rotation?: RotationSettings;
}

/** A control plane and pods on this machine; what Kubernetes would do between the two is done here. */
export interface LocalMesh {
  readonly plane: ControlPlane;
  /** By `namespace/name`. */
  readonly pods: ReadonlyMap<string, RunningPod>;
  /** As they were applied, with the addresses that they were given. */
  readonly services: () => readonly Service[];
  /** Of every resource of the configuration API, as it is now. */
  readonly statuses: () => readonly ResourceStatus[];
  /** How often a proxy has refused its configuration. */
  readonly refusals: () => number;
  /**
   * Resolves when new pods are ready and every proxy holds what this changed. Throws an Error that names the pod that is
   * not ready, with its last words.
   */
  readonly apply: (events: readonly ObjectEvent[]) => Promise<void>;
  /** A pod ends as it does in Kubernetes: it leaves its Services at once, and has time to finish. */
  readonly remove: (kind: string, namespace: string, name: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

const serverName = "heddled.istio-system.svc";
const readyMilliseconds = 30_000;
/** How long the kubelet takes to see that a container has ended. */
const noticeMilliseconds = 1000;

const keyOf = (namespace: string | undefined, name: string | undefined): string => `${namespace ?? "default"}/${name}`;
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

const scheduled = (pod: V1Pod, addresses: readonly string[], gateway: string): V1Pod => ({
  ...pod,
  metadata: { ...pod.metadata, uid: randomUUID() },
  spec: { nodeName: nodeNameOf(pod), ...pod.spec!, serviceAccountName: pod.spec?.serviceAccountName ?? "default" },
  status: {
    phase: "Running",
    hostIP: gateway,
    podIP: addresses[0] ?? "",
    podIPs: addresses.map((ip) => ({ ip })),
  },
});

export const startLocalMesh = async (options: LocalMeshOptions): Promise<LocalMesh> => {
  const { mesh, network, logger } = options;
  const cluster = createCluster(network.families);
  const settling = createSettling();
  const tokens = new Map<string, ProxyIdentity>();
  const template = parseTemplate(await readFile(options.templateFile, "utf8"));
  const planeStarted = Promise.withResolvers<ControlPlane>();
  const statuses = new Map<string, ResourceStatus>();
  const statusOf = ({ kind, namespace, name }: Pick<ResourceStatus, "kind" | "namespace" | "name">): string =>
    `${kind} ${namespace}/${name}`;
  const plane: ControlPlane = await startControlPlane({
    statusChanged: (status) => {
      statuses.set(statusOf(status), status);
      planeStarted.promise.then((started) => started.statuses.written(status));
      for (const { type, status: value, reason, message } of status.conditions)
        logger.info({ resource: statusOf(status), condition: type, status: value, reason }, message);
    },
    mesh,
    source: cluster.source,
    secrets: options.secrets ?? createMemorySecrets(),
    ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
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
        trustDomain: mesh.trustDomain,
        clusterDomain: mesh.clusterDomain,
        clusterId: "Kubernetes",
        network: "",
        ipFamilies: network.families,
        spire: mesh.spire,
      }),
    }),
    host: network.gateway,
    xdsPort: 15012,
    webhookPort: 0,
    serverNames: [serverName],
    logger,
    observe: settling.observer,
    ...(options.issuerKeys === undefined ? {} : { issuerKeys: options.issuerKeys }),
  });
  planeStarted.resolve(plane);
  const pods = new Map<string, RunningPod>();
  const timers = new Set<NodeJS.Timeout>();
  const starts = new Set<Promise<unknown>>();
  let isClosing = false;

  const webhook = { host: network.gateway, port: plane.admission.port, serverName, rootsPem: plane.authority.rootsPem };
  const fixedHosts = [[serverName, network.gateway] as const, ...Object.entries(options.hosts ?? {})];

  /** Names and virtual addresses follow the Services, in every pod. */
  const spread = async (networks = [...pods.values()].map(({ namespace, network }) => ({ namespace, network }))) => {
    const rules = serviceRules(cluster.services(), cluster.slices());
    await Promise.all(
      networks.map(async ({ namespace, network: own }) => {
        const hosts = hostsOf(cluster.objects(), cluster.slices(), namespace, mesh.clusterDomain);
        await Promise.all([own.setHosts([...fixedHosts, ...hosts]), own.setServices(rules)]);
      }),
    );
  };
  let spreading: Promise<void> = Promise.resolve();
  const spreadInTurn = (): Promise<void> => {
    spreading = spreading.then(() => (isClosing ? undefined : spread()));
    return spreading;
  };

  const setReady = (running: RunningPod, ready: boolean): void => {
    if (isClosing || pods.get(keyOf(running.namespace, running.name)) !== running) return;
    cluster.setPods([{ pod: running.pod as unknown as Pod, isReady: ready }]);
    spreadInTurn().catch((error: Error) => logger.error({ error: error.message }, "Services did not spread"));
  };

  /** The kubelet's part once a pod is up. */
  const watchPod = (running: RunningPod): void => {
    let failures = 0;
    let isDead = false;
    const later = (milliseconds: number, action: () => void): void => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        action();
      }, milliseconds).unref();
      timers.add(timer);
    };
    const look = async (): Promise<void> => {
      const ready = !isDead && (await isReady(running.pod, running.address));
      const before = failures < 3;
      failures = ready ? 0 : failures + 1;
      if (!isDead && before !== failures < 3) setReady(running, failures < 3);
      if (!isDead && pods.get(keyOf(running.namespace, running.name)) === running)
        later(periodOf(running.pod), () => void look());
    };
    later(periodOf(running.pod), () => void look());
    void running.died.then((container) =>
      later(noticeMilliseconds, () => {
        isDead = true;
        logger.info({ pod: running.name, container }, "a container has ended");
        setReady(running, false);
      }),
    );
  };

  const waitUntilReady = async (running: RunningPod): Promise<void> => {
    const deadline = Date.now() + readyMilliseconds;
    let dead: string | undefined;
    void running.died.then((container) => {
      dead = container;
    });
    while (!(await isReady(running.pod, running.address))) {
      if (isClosing) throw new Error(`pod ${running.name}: the mesh is closed`);
      if (dead === undefined && Date.now() < deadline) await pause(30);
      else {
        const why = dead === undefined ? `is not ready after ${readyMilliseconds / 1000} s` : `: ${dead} has ended`;
        const words = await running.log(dead ?? "istio-proxy");
        throw new Error(`pod ${running.name} ${why}; its last words:\n${words.slice(-2000)}`);
      }
    }
  };

  const startOne = async (live: V1Pod, podNetwork: Awaited<ReturnType<Network["addPod"]>>): Promise<void> => {
    const { namespace = "default", name = "", uid = "" } = live.metadata ?? {};
    const folder = join(options.folder, `${namespace}-${name}`);
    await mkdir(folder, { recursive: true });
    const token = randomBytes(32).toString("base64url");
    tokens.set(token, {
      namespace,
      podName: name,
      podUid: uid,
      serviceAccount: live.spec?.serviceAccountName ?? "default",
    });
    const secrets = { token, rootCertificatePem: plane.authority.rootsPem };
    const running = await startPod(live, podNetwork, folder, options.machine, secrets);
    pods.set(keyOf(namespace, name), running);
    if (isClosing) return running.kill();
    await waitUntilReady(running);
    cluster.setPods([{ pod: running.pod as unknown as Pod, isReady: true }]);
    watchPod(running);
  };

  const putSidecars = (): void => {
    const sidecars = network.sidecars(cluster.pods(), cluster.services());
    if (sidecars.length > 0)
      cluster.put(
        sidecars.map((object): ObjectEvent => {
          const { namespace = "default", name = "" } = object.metadata ?? {};
          return { kind: "Sidecar", namespace, name, object };
        }),
      );
  };

  const startPods = async (events: readonly ObjectEvent[]): Promise<void> => {
    const placed = await Promise.all(
      events.map(async ({ namespace, name, object }) => {
        if (pods.has(keyOf(namespace, name)))
          throw new Error(`pod ${namespace}/${name} runs already; remove it before it is applied again`);
        const injected = await inject(webhook, object as unknown as V1Pod);
        const podNetwork = await network.addPod(`${namespace}-${name}`);
        const live = network.place(scheduled(injected, podNetwork.addresses, network.gateway));
        return { namespace, network: podNetwork, live };
      }),
    );
    cluster.put(placed.map(({ live }) => nodeOf(live)));
    cluster.setPods(placed.map(({ live }) => ({ pod: live as unknown as Pod, isReady: false })));
    putSidecars();
    await spread(placed);
    // Every start comes to its end before one's failure is told, so that none is left running unknown.
    const start = Promise.allSettled(placed.map(({ live, network: own }) => startOne(live, own)));
    starts.add(start);
    const outcomes = await start;
    starts.delete(start);
    const failure = outcomes.find((outcome) => outcome.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  };

  const removePod = async (key: string, running: RunningPod): Promise<void> => {
    const metadata = { ...running.pod.metadata, deletionTimestamp: new Date().toISOString() };
    cluster.setPods([{ pod: { ...running.pod, metadata } as unknown as Pod, isReady: true }]);
    await spreadInTurn();
    await running.stop();
    pods.delete(key);
    cluster.removePod(running.namespace, running.name);
    await running.network.remove();
  };

  return {
    plane,
    pods,
    services: cluster.services,
    statuses: () => {
      plane.statuses.flush();
      return [...statuses.values()];
    },
    refusals: settling.refused,
    apply: async (events) => {
      const isPod = (event: ObjectEvent): boolean => event.kind === "Pod" && event.object !== undefined;
      cluster.put(events.filter((event) => !isPod(event)));
      putSidecars();
      await startPods(events.filter(isPod));
      await Promise.all([spreadInTurn(), settling.settled()]);
    },
    remove: async (kind, namespace, name) => {
      const running = kind === "Pod" ? pods.get(keyOf(namespace, name)) : undefined;
      if (running !== undefined) await removePod(keyOf(namespace, name), running);
      else cluster.put([{ kind, namespace, name, object: undefined } as ObjectEvent]);
      statuses.delete(`${kind} ${namespace}/${name}`);
      await Promise.all([spreadInTurn(), settling.settled()]);
    },
    close: async () => {
      isClosing = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([spreading.catch(() => {}), ...starts]);
      await Promise.all([...pods.values()].map((running) => running.kill()));
      await plane.stop();
    },
  };
};
