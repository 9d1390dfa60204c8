import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import { byAge } from "./age.js";
import { selectsOrAll } from "./selector.js";

const gatewayNameLabel = "gateway.networking.k8s.io/gateway-name";

export interface PatchedWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

const selects = (filter: EnvoyFilter, { namespace, labels }: PatchedWorkload, rootNamespace: string): boolean => {
  const own = filter.metadata?.namespace === namespace;
  const targets = filter.spec.targetRefs ?? [];
  if (targets.length > 0)
    return (
      own &&
      targets.some(
        ({ group, kind, name, namespace: targetNamespace }) =>
          group === "gateway.networking.k8s.io" &&
          kind === "Gateway" &&
          (targetNamespace === undefined || targetNamespace === namespace) &&
          labels[gatewayNameLabel] === name,
      )
    );
  if (!own && filter.metadata?.namespace !== rootNamespace) return false;
  return selectsOrAll(filter.spec.workloadSelector?.labels, labels);
};

/** The filters of a workload in the order of application: priority, root namespace before its own, age, name. */
export const selectEnvoyFilters = (
  filters: readonly EnvoyFilter[],
  workload: PatchedWorkload,
  rootNamespace: string,
): readonly EnvoyFilter[] => {
  const rank = ({ metadata }: EnvoyFilter): number => (metadata?.namespace === rootNamespace ? 0 : 1);
  return filters
    .filter((filter) => selects(filter, workload, rootNamespace))
    .sort((a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0) || rank(a) - rank(b) || byAge(a, b));
};
