import type { Namespace, Pod } from "../../api/kubernetes.js";
import type { WorkloadEntry } from "../../api/networking/workload-entry.js";
import { nameOf, namespaceOf, push } from "./named.js";

type Labels = Readonly<Record<string, string>>;

/** A Deployment, StatefulSet or other object of a file, by the pods that it will make. */
export interface WorkloadTemplate {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly pod: Pick<Pod, "metadata" | "spec">;
}

/** A pod, pods that a template will make, or a WorkloadEntry. */
export interface Workload {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** Whether it speaks the mesh's mutual TLS, or will once it is made. */
  readonly hasSidecar: boolean;
  /** Whether its namespace and itself ask for a sidecar. */
  readonly asksForSidecar: boolean;
  /** It is there and not about to end; not a template. */
  readonly isRunning: boolean;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
}

export interface Workloads {
  readonly size: number;
  readonly byNamespace: ReadonlyMap<string, readonly Workload[]>;
  /** By namespace, then by one label as `key=value`. */
  readonly byLabel: ReadonlyMap<string, ReadonlyMap<string, readonly Workload[]>>;
}

const namespaceAsks = (namespace: Namespace | undefined): boolean => {
  const labels = namespace?.metadata?.labels ?? {};
  const injection = labels["istio-injection"];
  return injection === undefined ? labels["istio.io/rev"] !== undefined : injection === "enabled";
};

const asksFor = ({ metadata, spec }: Pick<Pod, "metadata" | "spec">, namespace: Namespace | undefined): boolean => {
  const wish = metadata?.labels?.["sidecar.istio.io/inject"] ?? metadata?.annotations?.["sidecar.istio.io/inject"];
  return namespaceAsks(namespace) && wish !== "false" && spec?.hostNetwork !== true && spec?.os?.name !== "windows";
};

const containersOf = ({ spec }: Pick<Pod, "spec">) => [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];

const portsOf = (pod: Pick<Pod, "spec">) =>
  containersOf(pod).flatMap(({ ports }) =>
    (ports ?? []).map(({ name, containerPort }) => ({ name: name ?? "", port: containerPort })),
  );

const ofPod = (pod: Pod, namespace: Namespace | undefined): Workload => ({
  kind: "Pod",
  namespace: namespaceOf(pod),
  name: nameOf(pod),
  labels: pod.metadata?.labels ?? {},
  hasSidecar:
    pod.metadata?.labels?.["security.istio.io/tlsMode"] === "istio" ||
    (pod.status?.phase === undefined && asksFor(pod, namespace)),
  asksForSidecar: asksFor(pod, namespace),
  isRunning:
    pod.metadata?.deletionTimestamp === undefined &&
    pod.status?.phase !== undefined &&
    !["Succeeded", "Failed"].includes(pod.status.phase),
  ports: portsOf(pod),
});

const ofTemplate = (template: WorkloadTemplate, namespace: Namespace | undefined): Workload => {
  const asks = asksFor(template.pod, namespace);
  return {
    kind: template.kind,
    namespace: template.namespace,
    name: template.name,
    labels: template.pod.metadata?.labels ?? {},
    hasSidecar: asks,
    asksForSidecar: asks,
    isRunning: false,
    ports: portsOf(template.pod),
  };
};

const ofWorkloadEntry = (entry: WorkloadEntry): Workload => {
  const labels = { ...entry.spec.labels, ...entry.metadata?.labels };
  const tlsMode = labels["security.istio.io/tlsMode"];
  return {
    kind: "WorkloadEntry",
    namespace: namespaceOf(entry),
    name: nameOf(entry),
    labels,
    hasSidecar: tlsMode === undefined ? entry.spec.serviceAccount !== undefined : tlsMode === "istio",
    asksForSidecar: false,
    isRunning: false,
    ports: [],
  };
};

export const indexWorkloads = (
  pods: Iterable<Pod>,
  templates: Iterable<WorkloadTemplate>,
  workloadEntries: Iterable<WorkloadEntry>,
  namespaces: ReadonlyMap<string, Namespace>,
): Workloads => {
  const byNamespace = new Map<string, Workload[]>();
  const byLabel = new Map<string, Map<string, Workload[]>>();
  let size = 0;
  const add = (workload: Workload): void => {
    size += 1;
    push(byNamespace, workload.namespace, workload);
    const labels = byLabel.get(workload.namespace) ?? new Map<string, Workload[]>();
    byLabel.set(workload.namespace, labels);
    for (const [key, value] of Object.entries(workload.labels)) push(labels, `${key}=${value}`, workload);
  };
  for (const pod of pods) add(ofPod(pod, namespaces.get(namespaceOf(pod))));
  for (const template of templates) add(ofTemplate(template, namespaces.get(template.namespace)));
  for (const entry of workloadEntries) add(ofWorkloadEntry(entry));
  return { size, byNamespace, byLabel };
};

export const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

/** The workloads of a namespace that carry all labels; all of them if there are none. */
export const selectedBy = (workloads: Workloads, namespace: string, selector: Labels): readonly Workload[] => {
  const pairs = Object.entries(selector);
  if (pairs.length === 0) return workloads.byNamespace.get(namespace) ?? [];
  const byLabel = workloads.byLabel.get(namespace);
  const candidates = pairs.map(([key, value]) => byLabel?.get(`${key}=${value}`) ?? []);
  const fewest = candidates.reduce((least, list) => (list.length < least.length ? list : least));
  return fewest.filter(({ labels }) => hasLabels(labels, selector));
};
