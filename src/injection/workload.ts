import type { V1OwnerReference, V1Pod } from "@kubernetes/client-node";

/** The workload a pod belongs to, as far as the pod itself tells. */
export interface Workload {
  readonly name: string;
  readonly kind: string;
}

const controllerOf = (pod: V1Pod): V1OwnerReference | undefined => {
  const owners = pod.metadata?.ownerReferences ?? [];
  return owners.find((owner) => owner.controller === true) ?? owners[0];
};

/** A name for messages: an ownerless pod with generateName has no name yet when it is admitted. */
export const podName = (pod: V1Pod): string => {
  // Asked of what is not a pod, too, when that is refused.
  const { name, generateName } = (pod as V1Pod | null)?.metadata ?? {};
  return name || (generateName === undefined ? "(unnamed)" : `${generateName}*`);
};

/** Deployment for a ReplicaSet of one, CronJob for a Job of one, else the owner; the pod itself if it has none. */
export const workloadOf = (pod: V1Pod): Workload => {
  const owner = controllerOf(pod);
  if (owner === undefined) {
    const { name, generateName } = pod.metadata ?? {};
    return { kind: "Pod", name: name || (generateName ?? "").replace(/[-.]+$/, "") };
  }
  if (owner.kind === "ReplicaSet") {
    const hash = pod.metadata?.labels?.["pod-template-hash"];
    if (hash !== undefined && owner.name.endsWith(`-${hash}`))
      return { kind: "Deployment", name: owner.name.slice(0, -hash.length - 1) };
  }
  if (owner.kind === "Job") {
    // The CronJob controller appends the scheduled time in minutes since 1970.
    const scheduled = /^(.+)-\d{8,10}$/.exec(owner.name);
    if (scheduled !== null) return { kind: "CronJob", name: scheduled[1]! };
  }
  return { kind: owner.kind, name: owner.name };
};

/** Whether the pod is meant to end by itself, so that an ordinary sidecar would keep it alive. */
export const runsToCompletion = (pod: V1Pod): boolean =>
  controllerOf(pod)?.kind === "Job" || pod.spec?.restartPolicy === "Never" || pod.spec?.restartPolicy === "OnFailure";

/** A text cut to what fits a label's value. */
const labelValue = (text: string): string => text.slice(0, 63).replace(/[^A-Za-z0-9]+$/, "");

export const canonicalName = (pod: V1Pod): string => {
  const labels = pod.metadata?.labels ?? {};
  return labelValue(
    labels["service.istio.io/canonical-name"] ||
      labels["app.kubernetes.io/name"] ||
      labels["app"] ||
      workloadOf(pod).name,
  );
};

/** The workload's name as a label. */
export const workloadNameLabel = (pod: V1Pod): string => labelValue(workloadOf(pod).name);

export const canonicalRevision = (pod: V1Pod): string => {
  const labels = pod.metadata?.labels ?? {};
  return labelValue(
    labels["service.istio.io/canonical-revision"] ||
      labels["app.kubernetes.io/version"] ||
      labels["version"] ||
      "latest",
  );
};
