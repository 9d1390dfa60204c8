import type { Analyse } from "../admission/validation.js";
import type { ConfigurationKind, ConfigurationObjects } from "../api/kinds.js";
import type { Compiler } from "../compile/compiler.js";
import { analyseObject, isAnalysed } from "../model/analysis/analyse.js";
import type { CodedFinding } from "../model/analysis/finding.js";
import { type AnalysisIndex, buildAnalysisIndex } from "../model/analysis/index.js";
import type { Snapshot } from "../model/snapshot.js";

const indexOf = (snapshot: Snapshot): AnalysisIndex =>
  buildAnalysisIndex(
    {
      namespaces: [...snapshot.namespaces.values()],
      meshServices: [...snapshot.services.values()],
      pods: [...snapshot.pods.values()],
      virtualServices: [...snapshot.virtualServices.written.values()],
      destinationRules: [...snapshot.destinationRules.values()],
      serviceEntries: [...snapshot.serviceEntries.values()],
      workloadEntries: [...snapshot.workloadEntries.values()],
      sidecars: [...snapshot.sidecars.values()],
      envoyFilters: [...snapshot.envoyFilters.values()],
    },
    snapshot.mesh,
  );

export type AnalyseCoded = (
  kind: ConfigurationKind,
  namespace: string,
  object: ConfigurationObjects[ConfigurationKind],
) => readonly CodedFinding[];

/** Against this snapshot; what is indexed is indexed when first needed. */
export const analysisOf = (snapshot: Snapshot): AnalyseCoded => {
  const index = indexOf(snapshot);
  return (kind, namespace, object) => {
    if (!isAnalysed(kind)) return [];
    const placed = { ...object, metadata: { ...object.metadata, namespace } };
    return analyseObject(index, kind, placed as ConfigurationObjects[ConfigurationKind & typeof kind]);
  };
};

/** Warnings at admission about what others in the model's latest snapshot have to say; indexed once a snapshot. */
export const createAnalyse = (compiler: Compiler): Analyse => {
  let latest: { readonly snapshot: Snapshot; readonly analyse: AnalyseCoded } | undefined;
  return (kind, namespace, object) => {
    const snapshot = compiler.snapshot();
    if (latest?.snapshot !== snapshot) latest = { snapshot, analyse: analysisOf(snapshot) };
    return latest
      .analyse(kind, namespace, object as ConfigurationObjects[ConfigurationKind])
      .map(({ finding }) => finding);
  };
};
