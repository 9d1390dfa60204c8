import { show } from "../../api/findings.js";
import type { Labels } from "../selector.js";
import { type CodedFinding, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { selectedBy } from "./workloads.js";

/** Without a single pod of a namespace, files say nothing about what runs there; a cluster does. */
export const workloadsKnown = (index: AnalysisIndex, namespace: string): boolean => {
  const workloads = index.workloads();
  return (
    workloads.namespaces.includes(namespace) ||
    workloads.namespaces.some((name) => workloads.of(name).some(({ isRunning }) => isRunning))
  );
};

export const labelsText = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

/** A selector of a resource; one in the root namespace may reach all namespaces. */
export const checkSelector = (
  index: AnalysisIndex,
  namespace: string,
  labels: Labels | undefined,
  path: string,
  reach: "namespace" | "mesh" = "namespace",
): readonly CodedFinding[] => {
  if (labels === undefined || Object.keys(labels).length === 0 || !workloadsKnown(index, namespace)) return [];
  const workloads = index.workloads();
  const namespaces = reach === "mesh" && namespace === index.mesh.rootNamespace ? workloads.namespaces : [namespace];
  if (namespaces.some((name) => selectedBy(workloads, name, labels).length > 0)) return [];
  const elsewhere = workloads.namespaces.find((name) => selectedBy(workloads, name, labels).length > 0);
  const cure =
    elsewhere === undefined
      ? "correct the labels"
      : `namespace ${elsewhere} has some: is the resource meant for there?`;
  return [found("HDL0401", path, `${show(labelsText(labels))} selects no pod of namespace ${namespace}; ${cure}`)];
};

/** Whether a namespace exists: it is known or holds something, or none is known at all. */
export const mayExist = (index: AnalysisIndex, name: string): boolean =>
  index.namespaces().size === 0 ||
  name === index.mesh.rootNamespace ||
  index.namespaces().has(name) ||
  index.workloads().namespaces.includes(name);

export const checkExportTo = (
  index: AnalysisIndex,
  exportTo: readonly string[] | undefined,
  path = "spec.exportTo",
): readonly CodedFinding[] =>
  (exportTo ?? []).flatMap((target, position) =>
    target === "." || target === "*" || target === "~" || mayExist(index, target)
      ? []
      : [found("HDL0404", `${path}[${position}]`, `${show(target)}: there is no such namespace; correct it`)],
  );

/** A resource without a selector is for all workloads of its namespace, of the root namespace for all of the mesh. */
export const checkWholeNamespace = (index: AnalysisIndex, namespace: string): readonly CodedFinding[] => {
  if (!workloadsKnown(index, namespace)) return [];
  const workloads = index.workloads();
  const reached = namespace === index.mesh.rootNamespace ? workloads.namespaces : [namespace];
  return reached.some((name) => workloads.of(name).some(({ hasSidecar }) => hasSidecar))
    ? []
    : [
        found(
          "HDL0401",
          "metadata.namespace",
          `${show(namespace)} holds no pod with a sidecar, so this reaches nothing; correct the namespace`,
        ),
      ];
};
