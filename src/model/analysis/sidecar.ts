import { show } from "../../api/findings.js";
import type { Sidecar } from "../../api/networking/sidecar.js";
import { hostMatches, isExportedTo } from "../hosts.js";
import type { MeshService } from "../service.js";
import { type CodedFinding, found } from "./finding.js";
import { completionOf } from "./hosts.js";
import type { AnalysisIndex } from "./index.js";
import { namespaceOf } from "./named.js";
import { checkRivals, type Exclusive } from "./rivals.js";
import { checkSelector, mayExist } from "./scope.js";

const exclusive: Exclusive<Sidecar> = {
  kind: "Sidecar",
  code: "HDL0402",
  selectorPath: "spec.workloadSelector",
  labelsPath: "spec.workloadSelector.labels",
  labelsOf: ({ spec }) => spec.workloadSelector?.labels ?? {},
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

export const checkSidecarReferences = (index: AnalysisIndex, object: Sidecar): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  return [
    ...checkRivals(exclusive, index, object, index.sidecars().get(namespace) ?? [], "namespace"),
    ...checkEgress(index, object),
    ...checkSelector(index, namespace, exclusive.labelsOf(object), exclusive.labelsPath),
  ];
};
