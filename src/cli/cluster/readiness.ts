import { setTimeout as delay } from "node:timers/promises";
import type {
  V1CustomResourceDefinition,
  V1Deployment,
  V1MutatingWebhookConfiguration,
  V1Pod,
  V1ValidatingWebhookConfiguration,
} from "@kubernetes/client-node";
import type { Manifest } from "../manifests/context.js";
import { find, list } from "./apply.js";
import type { ClusterClient } from "./client.js";

/** Asks every second until `check` says that all is well, by undefined; after the deadline throws with what it said last. */
export const waitUntil = async (
  deadlineSeconds: number,
  check: () => Promise<string | undefined>,
  tell: (state: string) => void,
  cure: () => Promise<string>,
): Promise<void> => {
  const deadline = performance.now() + deadlineSeconds * 1000;
  for (;;) {
    const missing = await check();
    if (missing === undefined) return;
    tell(missing);
    if (performance.now() > deadline) throw new Error(`not so after ${deadlineSeconds} s: ${missing}; ${await cure()}`);
    await delay(1000);
  }
};

/** What a rollout still lacks, in words; undefined once every replica is new and available. */
export const rolloutLacks = (deployment: V1Deployment | undefined): string | undefined => {
  if (deployment === undefined) return "the Deployment is not there yet";
  const { status = {}, spec, metadata } = deployment;
  const wanted = spec?.replicas ?? 1;
  if ((status.observedGeneration ?? 0) < (metadata?.generation ?? 0)) return "the Deployment's change is not seen yet";
  const updated = status.updatedReplicas ?? 0;
  if (updated < wanted) return `${updated} of ${wanted} replicas are of the new version`;
  const available = status.availableReplicas ?? 0;
  if (available < wanted) return `${available} of ${wanted} replicas are available`;
  return (status.replicas ?? 0) > updated ? "old replicas are ending" : undefined;
};

/** Why pods are not ready, in the kubelet's words. */
export const podTroubles = (pods: readonly V1Pod[]): readonly string[] =>
  pods.flatMap((pod) => {
    const name = pod.metadata?.name ?? "";
    const unscheduled = pod.status?.conditions?.find(
      ({ type, status }) => type === "PodScheduled" && status === "False",
    );
    if (unscheduled !== undefined)
      return [`pod ${name} is not scheduled: ${unscheduled.message ?? unscheduled.reason}`];
    return (pod.status?.containerStatuses ?? []).flatMap(({ state, lastState, ready }) => {
      if (ready) return [];
      const { waiting } = state ?? {};
      const exit = (state?.terminated ?? lastState?.terminated)?.exitCode;
      const words = [waiting?.reason, waiting?.message, exit === undefined ? undefined : `exit code ${exit}`];
      return [`pod ${name}: ${words.filter((word) => word !== undefined).join(", ") || "running, not ready"}`];
    });
  });

const cureOf = (troubles: readonly string[], target: string, namespace: string): string => {
  const text = troubles.join("\n");
  if (/ImagePull|ErrImage|InvalidImageName/.test(text))
    return "the image cannot be pulled: set hub and tag to where it is, and imagePullSecrets if the registry asks for a login";
  if (/not scheduled/.test(text)) return "no node takes the pod: lower controlPlane.resources or add a node";
  return `see: kubectl -n ${namespace} logs ${target}`;
};

/** Waits until the Deployments among the manifests are rolled out. */
export const waitForRollout = async (
  client: ClusterClient,
  manifests: readonly Manifest[],
  deadlineSeconds: number,
  tell: (state: string) => void,
): Promise<void> => {
  for (const deployment of manifests.filter(({ kind }) => kind === "Deployment")) {
    const { namespace = "", name } = deployment.metadata;
    await waitUntil(
      deadlineSeconds,
      async () => rolloutLacks(await find<V1Deployment>(client, deployment)),
      tell,
      async () => {
        const labels = `app=heddled,istio.io/rev=${deployment.metadata.labels?.["istio.io/rev"]}`;
        const troubles = podTroubles(await list<V1Pod>(client, "v1", "Pod", { namespace, labels }));
        return [...troubles, cureOf(troubles, `deployment/${name}`, namespace)].join("; ");
      },
    );
  }
};

/** What a definition still lacks before its kind is served; undefined once it is. Throws if it never will be. */
export const definitionLacks = (definition: V1CustomResourceDefinition | undefined): string | undefined => {
  const { metadata, status } = definition ?? {};
  const conditions = status?.conditions ?? [];
  const wrong = conditions.find(({ type, status: state }) =>
    type === "NamesAccepted" ? state === "False" : type === "NonStructuralSchema" && state === "True",
  );
  if (wrong !== undefined)
    throw new Error(
      `CustomResourceDefinition ${metadata?.name}: ${wrong.message ?? wrong.reason}; remove what conflicts`,
    );
  return conditions.some(({ type, status: state }) => type === "Established" && state === "True")
    ? undefined
    : `${metadata?.name ?? "a definition"} is not served yet`;
};

/** Waits until the API server serves the kinds that the manifests define. */
export const waitForDefinitions = async (
  client: ClusterClient,
  manifests: readonly Manifest[],
  deadlineSeconds: number,
  tell: (state: string) => void,
): Promise<void> => {
  for (const manifest of manifests.filter(({ kind }) => kind === "CustomResourceDefinition"))
    await waitUntil(
      deadlineSeconds,
      async () => definitionLacks(await find<V1CustomResourceDefinition>(client, manifest)),
      tell,
      async () => `see: kubectl describe crd ${manifest.metadata.name}`,
    );
};

/** Waits until heddled has put its CA into the webhooks, so that the API server can call it. */
export const waitForWebhook = async (
  client: ClusterClient,
  manifests: readonly Manifest[],
  deadlineSeconds: number,
  tell: (state: string) => void,
): Promise<void> => {
  const kinds = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
  for (const configuration of manifests.filter(({ kind }) => kinds.includes(kind)))
    await waitUntil(
      deadlineSeconds,
      async () => {
        const found = await find<V1MutatingWebhookConfiguration | V1ValidatingWebhookConfiguration>(
          client,
          configuration,
        );
        const webhooks = found?.webhooks ?? [];
        const trusted = webhooks.filter(({ clientConfig }) => (clientConfig.caBundle ?? "") !== "");
        return webhooks.length > 0 && trusted.length === webhooks.length
          ? undefined
          : `${trusted.length} of ${webhooks.length} webhooks have their CA`;
      },
      tell,
      async () => "see: kubectl -n istio-system logs deployment/heddled",
    );
};
