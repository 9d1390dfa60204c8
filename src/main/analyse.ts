import type { Analyse } from "../admission/validation.js";
import type { ConfigurationKind, ConfigurationObjects } from "../api/kinds.js";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { Compiler } from "../compile/compiler.js";
import { envoyFilterValueFindings } from "../compile/patch/patches.js";
import { analyseObject, isAnalysed } from "../model/analysis/analyse.js";
import type { CodedFinding } from "../model/analysis/finding.js";
import { type AnalysisIndex, buildAnalysisIndex } from "../model/analysis/index.js";
import type { Snapshot } from "../model/snapshot.js";

/** What of a snapshot the analysis reads: the same objects while only endpoints and nodes change. */
const readOf = (snapshot: Snapshot): readonly unknown[] => [
  snapshot.namespaces,
  snapshot.services,
  snapshot.pods,
  snapshot.virtualServices.written,
  snapshot.destinationRules,
  snapshot.serviceEntries,
  snapshot.workloadEntries,
  snapshot.sidecars,
  snapshot.envoyFilters,
  snapshot.peerAuthentications,
  snapshot.authorizationPolicies,
  snapshot.requestAuthentications,
];

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
      requestAuthentications: [...snapshot.requestAuthentications.values()].flat(),
      peerAuthentications: [...snapshot.peerAuthentications.values()].flatMap(({ policies }) => policies),
      authorizationPolicies: [...snapshot.authorizationPolicies.values()].flat(),
    },
    snapshot.mesh,
  );

let latest: { readonly read: readonly unknown[]; readonly index: AnalysisIndex } | undefined;

/** The index of a snapshot; that of the last one while what it reads is the same. */
const indexed = (snapshot: Snapshot): AnalysisIndex => {
  const read = readOf(snapshot);
  if (latest === undefined || read.some((part, at) => part !== latest?.read[at]))
    latest = { read, index: indexOf(snapshot) };
  return latest.index;
};

export type AnalyseCoded = (
  kind: ConfigurationKind,
  namespace: string,
  object: ConfigurationObjects[ConfigurationKind],
) => readonly CodedFinding[];

/** Against this snapshot; what is indexed is indexed when first needed. */
export const analysisOf =
  (snapshot: Snapshot): AnalyseCoded =>
  (kind, namespace, object) => {
    if (!isAnalysed(kind)) return [];
    const placed = { ...object, metadata: { ...object.metadata, namespace } };
    return analyseObject(indexed(snapshot), kind, placed as ConfigurationObjects[ConfigurationKind & typeof kind]);
  };

/** Warnings at admission about what others in the model's latest snapshot have to say. */
export const createAnalyse =
  (compiler: Compiler): Analyse =>
  (kind, namespace, object) => {
    // Only the whole Envoy API can judge what a patch holds, and that is not the kind's to know.
    const values = kind === "EnvoyFilter" ? envoyFilterValueFindings(object as EnvoyFilter) : [];
    const found = analysisOf(compiler.snapshot())(kind, namespace, object as ConfigurationObjects[ConfigurationKind]);
    return [...values, ...found.map(({ finding }) => finding)];
  };
