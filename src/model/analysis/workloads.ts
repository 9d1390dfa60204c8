import type { Namespace, Pod } from "../../api/kubernetes.js";
import type { WorkloadEntry } from "../../api/networking/workload-entry.js";
import { type Labels, selectsOrAll } from "../selector.js";
import { nameOf, namespaceOf, push } from "./named.js";

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
  /** Of its containers. */
  readonly ports: () => readonly { readonly name: string; readonly port: number }[];
}

/** Made a namespace at a time, when it is first asked for: one resource looks at one namespace, seldom at all. */
export interface Workloads {
  readonly namespaces: readonly string[];
  readonly of: (namespace: string) => readonly Workload[];
  /** Those of a namespace that carry the label. */
  readonly withLabel: (namespace: string, key: string, value: string) => readonly Workload[];
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

const ofPod = (pod: Pod, namespace: Namespace | undefined): Workload => {
  const labels = pod.metadata?.labels ?? {};
  const phase = pod.status?.phase;
  const asksForSidecar = asksFor(pod, namespace);
  return {
    kind: "Pod",
    namespace: namespaceOf(pod),
    name: nameOf(pod),
    labels,
    hasSidecar: labels["security.istio.io/tlsMode"] === "istio" || (phase === undefined && asksForSidecar),
    asksForSidecar,
    isRunning:
      pod.metadata?.deletionTimestamp === undefined &&
      phase !== undefined &&
      phase !== "Succeeded" &&
      phase !== "Failed",
    ports: () => portsOf(pod),
  };
};

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
    ports: () => portsOf(template.pod),
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
    ports: () => [],
  };
};

const remember = <Value>(make: (key: string) => Value): ((key: string) => Value) => {
  const made = new Map<string, Value>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    made.set(key, value);
    return value;
  };
};

export const indexWorkloads = (
  pods: readonly Pod[],
  templates: readonly WorkloadTemplate[],
  workloadEntries: readonly WorkloadEntry[],
  namespaces: ReadonlyMap<string, Namespace>,
): Workloads => {
  const makers = new Map<string, (() => Workload)[]>();
  for (const pod of pods) {
    const namespace = namespaceOf(pod);
    push(makers, namespace, () => ofPod(pod, namespaces.get(namespace)));
  }
  for (const template of templates)
    push(makers, template.namespace, () => ofTemplate(template, namespaces.get(template.namespace)));
  for (const entry of workloadEntries) push(makers, namespaceOf(entry), () => ofWorkloadEntry(entry));
  const of = remember((namespace) => (makers.get(namespace) ?? []).map((make) => make()));
  const byValue = remember((namespace) =>
    remember((key) => {
      const values = new Map<string, Workload[]>();
      for (const workload of of(namespace)) {
        const value = workload.labels[key];
        if (value !== undefined) push(values, value, workload);
      }
      return values;
    }),
  );
  return {
    namespaces: [...makers.keys()],
    of,
    withLabel: (namespace, key, value) => byValue(namespace)(key).get(value) ?? [],
  };
};

/** The workloads of a namespace that carry all labels; all of them if there are none. */
export const selectedBy = (workloads: Workloads, namespace: string, selector: Labels): readonly Workload[] => {
  const [first] = Object.entries(selector);
  if (first === undefined) return workloads.of(namespace);
  return workloads.withLabel(namespace, ...first).filter(({ labels }) => selectsOrAll(selector, labels));
};
