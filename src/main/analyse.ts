import type { Analyse } from "../admission/validation.js";
import type { ConfigurationKind, ConfigurationObjects } from "../api/kinds.js";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { Compiler } from "../compile/compiler.js";
import { envoyFilterValueFindings } from "../compile/patch/patches.js";
import { analyseObject, isAnalysed } from "../model/analysis/analyse.js";
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
      peerAuthentications: [...snapshot.peerAuthentications.values()].flatMap(({ policies }) => policies),
    },
    snapshot.mesh,
  );

/** Warnings at admission about what others in the model's latest snapshot have to say; indexed once a snapshot. */
export const createAnalyse = (compiler: Compiler): Analyse => {
  let latest: { readonly snapshot: Snapshot; readonly index: AnalysisIndex } | undefined;
  return (kind, namespace, object) => {
    if (!isAnalysed(kind)) return [];
    const snapshot = compiler.snapshot();
    if (latest?.snapshot !== snapshot) latest = { snapshot, index: indexOf(snapshot) };
    // Only the whole Envoy API can judge what a patch holds, and that is not the kind's to know.
    const values = kind === "EnvoyFilter" ? envoyFilterValueFindings(object as EnvoyFilter) : [];
    const placed = { ...object, metadata: { ...object.metadata, namespace } };
    const found = analyseObject(latest.index, kind, placed as ConfigurationObjects[ConfigurationKind & typeof kind]);
    return [...values, ...found.map(({ finding }) => finding)];
  };
};
