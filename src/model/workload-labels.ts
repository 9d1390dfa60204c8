import type { Labels } from "./selector.js";

/** What telemetry calls a workload by; a part that is not known is left out. */
export interface WorkloadLabels {
  readonly workload?: string;
  readonly app?: string;
  readonly version?: string;
  readonly service?: string;
  readonly revision?: string;
}

/** Written by injection, so that nobody has to follow the pod's owners. */
export const workloadNameLabel = "service.istio.io/workload-name";

const first = (labels: Labels, ...names: readonly string[]): string | undefined =>
  names.map((name) => labels[name]).find((value) => value !== undefined && value !== "");

/** By Istio's canonical labels, where injection wrote them, else by those that they are made from. */
export const workloadLabelsOf = (labels: Labels): WorkloadLabels => {
  const known: { readonly [Key in keyof WorkloadLabels]: string | undefined } = {
    workload: first(labels, workloadNameLabel),
    app: first(labels, "app"),
    version: first(labels, "version"),
    service: first(labels, "service.istio.io/canonical-name", "app.kubernetes.io/name", "app"),
    revision: first(labels, "service.istio.io/canonical-revision", "app.kubernetes.io/version", "version") ?? "latest",
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
};
