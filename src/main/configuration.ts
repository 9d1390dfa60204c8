import type { Pod } from "../api/kubernetes.js";
import type { Compiler } from "../compile/compiler.js";
import { typeUrls } from "../compile/resources.js";
import { workloadUnits } from "../compile/telemetry/peer.js";
import { secretResources } from "../compile/tls.js";
import { createView } from "../compile/view.js";
import type { WorkloadCertificates, WorkloadSecrets } from "../identity/workload.js";
import { keyOf, type Snapshot } from "../model/snapshot.js";
import type { ConfigurationSource, ProxyIdentity } from "../serve/configuration.js";
import type { Holdings } from "./certificates/holdings.js";
import { createEnding } from "./ending.js";
import type { ProxyTracker, TrackedStream } from "./status/distribution.js";

export interface ConfigurationOptions {
  readonly compiler: Compiler;
  /** None where others give proxies their certificates: then neither secrets are sent nor holdings told. */
  readonly certificates: WorkloadCertificates | undefined;
  readonly tracker?: ProxyTracker;
  readonly holdings?: Holdings;
  readonly nacked: ConfigurationSource["nacked"];
}

/** Waits until the model knows the pod, its address included: a proxy can be quicker than the watch. */
const attachWorkload = (compiler: Compiler, proxy: ProxyIdentity, signal: AbortSignal) => {
  const attach = () => compiler.attach(proxy.namespace, proxy.podName, proxy.podUid);
  const first = attach();
  if (first !== undefined) return Promise.resolve(first);
  return new Promise<NonNullable<ReturnType<typeof attach>>>((resolve, reject) => {
    const stop = compiler.onApplied(() => {
      const workload = attach();
      if (workload === undefined) return;
      stop();
      resolve(workload);
    });
    signal.addEventListener("abort", () => {
      stop();
      reject(new Error(`pod ${proxy.namespace}/${proxy.podName} is not known with an address yet; try again`));
    });
  });
};

/** Follows pods whose proxies are connected: one look at each batch that changes pods, for all of them. */
const watchPods = (compiler: Compiler) => {
  const watched = new Set<{ readonly proxy: ProxyIdentity; readonly seen: (pod: Pod | undefined) => void }>();
  let pods = compiler.snapshot().pods;
  compiler.onApplied(() => {
    const before = pods;
    pods = compiler.snapshot().pods;
    if (pods === before) return;
    for (const { proxy, seen } of [...watched]) {
      const key = keyOf(proxy.namespace, proxy.podName);
      const pod = pods.get(key);
      if (pod?.metadata?.uid !== proxy.podUid) seen(undefined);
      else if (pod !== before.get(key)) seen(pod);
    }
  });
  return (proxy: ProxyIdentity, seen: (pod: Pod | undefined) => void): (() => void) => {
    const entry = { proxy, seen };
    watched.add(entry);
    return () => watched.delete(entry);
  };
};

const unitsOf = ({ pods, mesh }: Snapshot, { namespace, podName }: ProxyIdentity): readonly string[] =>
  workloadUnits(pods.get(keyOf(namespace, podName)), mesh.clusterId);

/** A proxy's layers: its certificates, what ends it, its own listener, its namespace's routes and what all see. */
export const createConfiguration = ({
  compiler,
  certificates,
  tracker,
  holdings,
  nacked,
}: ConfigurationOptions): ConfigurationSource => {
  const onPod = watchPods(compiler);
  return {
    nacked,
    attach: async (proxy, signal) => {
      const workload = await attachWorkload(compiler, proxy, signal);
      const secrets = createView();
      const holding = certificates && holdings?.open(proxy);
      const write = (issued: WorkloadSecrets): void => {
        const resources = secretResources(issued);
        holding?.written(issued, resources);
        for (const resource of resources) secrets.set(typeUrls.secret, resource);
        secrets.commit();
      };
      const subscription = await certificates
        ?.subscribe(proxy.namespace, proxy.serviceAccount, write, () => unitsOf(compiler.snapshot(), proxy))
        .catch((error: Error) => {
          holding?.close();
          workload.release();
          throw error;
        });
      if (subscription !== undefined) write(subscription.current);
      const ending = createEnding();
      const follow = (pod: Pod | undefined): void => {
        if (pod !== undefined) ending.follow(pod);
      };
      follow(compiler.snapshot().pods.get(keyOf(proxy.namespace, proxy.podName)));
      const stopFollowing = onPod(proxy, follow);
      let tracked: TrackedStream | undefined;
      return {
        layers: [secrets, ending.view, ...workload.layers],
        onChange: (listener) => {
          const stopSecrets = secrets.onChange((touched) => listener(secrets, touched));
          const stopEnding = ending.view.onChange((touched) => listener(ending.view, touched));
          const stopWorkload = workload.onChange(listener);
          return () => {
            stopSecrets();
            stopEnding();
            stopWorkload();
          };
        },
        opened: (isInSync) => {
          tracked = tracker?.open(proxy, isInSync);
        },
        answered: () => tracked?.answered(),
        onGone: (listener) =>
          onPod(proxy, (pod) => {
            if (pod === undefined) listener(`pod ${proxy.namespace}/${proxy.podName} is gone`);
          }),
        ...(holding === undefined ? {} : { delivered: holding.delivered }),
        release: () => {
          stopFollowing();
          ending.release();
          tracked?.close();
          holding?.close();
          subscription?.stop();
          workload.release();
        },
      };
    },
  };
};
