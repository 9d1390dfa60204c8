import { show } from "../../api/findings.js";
import type { Sidecar } from "../../api/networking/sidecar.js";
import { hostMatches, isExportedTo } from "../hosts.js";
import type { MeshService } from "../service.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import { completionOf } from "./hosts.js";
import type { AnalysisIndex } from "./index.js";
import { byAge, keyOf, namespaceOf } from "./named.js";
import { checkSelector, mayExist } from "./scope.js";
import { selectedBy } from "./workloads.js";

const labelsOf = ({ spec }: Sidecar): Readonly<Record<string, string>> => spec.workloadSelector?.labels ?? {};
const isForAll = (sidecar: Sidecar): boolean => Object.keys(labelsOf(sidecar)).length === 0;

const checkRivals = (index: AnalysisIndex, object: Sidecar): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  const older = (index.sidecars().get(namespace) ?? []).filter(
    (other) => keyOf(other) !== keyOf(object) && byAge(other, object) < 0 && isForAll(other) === isForAll(object),
  );
  const [first] = older;
  if (first === undefined) return [];
  if (isForAll(object))
    return [
      found(
        "HDL0402",
        "spec.workloadSelector",
        `there is none, and Sidecar ${keyOf(first)} without one is taken for the namespace; merge the two, or add a selector`,
      ),
    ];
  const own = selectedBy(index.workloads(), namespace, labelsOf(object));
  for (const rival of older) {
    const theirs = new Set(selectedBy(index.workloads(), namespace, labelsOf(rival)));
    const shared = own.filter((workload) => theirs.has(workload));
    if (shared.length > 0)
      return [
        found(
          "HDL0402",
          "spec.workloadSelector.labels",
          `${enumerate(shared.map(({ kind, name }) => `${kind} ${name}`))}: Sidecar ${keyOf(rival)} selects the same and is taken; merge the two, or make the selectors exclude each other`,
        ),
      ];
  }
  return [];
};

const importsSomething = (index: AnalysisIndex, own: string, namespace: string, pattern: string): boolean => {
  const accept = (entry: MeshService): boolean =>
    (namespace === "*" || entry.namespace === namespace) && isExportedTo(entry.exportTo, own);
  const { exact, wildcards } = index.hosts();
  if (index.virtualServicesByHost().has(pattern)) return true;
  if (!pattern.startsWith("*") && exact.get(pattern)?.some(accept)) return true;
  for (const entries of pattern.startsWith("*") ? [...exact.values(), ...wildcards.values()] : wildcards.values())
    if (
      entries.some((entry) =>
        hostMatches(pattern, entry.host) || hostMatches(entry.host, pattern) ? accept(entry) : false,
      )
    )
      return true;
  return false;
};

const checkEgress = (index: AnalysisIndex, object: Sidecar): readonly CodedFinding[] => {
  const own = namespaceOf(object);
  return (object.spec.egress ?? []).flatMap(({ hosts }, listener) =>
    (hosts ?? []).flatMap((written, position) => {
      const slash = written.indexOf("/");
      if (slash === -1 || written.startsWith("~/")) return [];
      const named = written.slice(0, slash).replace(/^~/, "");
      const namespace = named === "." ? own : named;
      const pattern = written.slice(slash + 1).toLowerCase();
      // A whole namespace is a habit, also where nothing is in it yet.
      if (pattern === "*" && (namespace === "*" || namespace === own || mayExist(index, namespace))) return [];
      if (importsSomething(index, own, namespace, pattern)) return [];
      const { clusterDomain } = index.mesh;
      const completed =
        completionOf(index.hosts(), pattern, clusterDomain) ??
        completionOf(index.hosts(), `${pattern}.${namespace === "*" ? own : namespace}`, clusterDomain);
      return [
        found(
          "HDL0403",
          `spec.egress[${listener}].hosts[${position}]`,
          `${show(written)} imports nothing: no host of that name is exported to namespace ${own}${namespace === "*" ? "" : ` from ${namespace}`}; ${completed === undefined ? "correct namespace/host" : `write ${named}/${completed}`}`,
        ),
      ];
    }),
  );
};

export const checkSidecarReferences = (index: AnalysisIndex, object: Sidecar): readonly CodedFinding[] => [
  ...checkRivals(index, object),
  ...checkEgress(index, object),
  ...checkSelector(index, namespaceOf(object), labelsOf(object), "spec.workloadSelector.labels"),
];
