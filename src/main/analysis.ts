import type { Analyse } from "../admission/validation.js";
import type { Kind, ObjectEvent, ObjectKinds } from "../api/kubernetes.js";
import type { MeshConfig } from "../api/meshconfig.js";
import { analyseObject, isAnalysed } from "../model/analysis/analyse.js";
import { type AnalysisIndex, buildAnalysisIndex } from "../model/analysis/index.js";

export interface Analyser {
  readonly apply: (events: readonly ObjectEvent[]) => void;
  readonly analyse: Analyse;
}

/** Judges a resource at admission by all others that are known. They are indexed when one is asked about, not before. */
export const createAnalyser = (mesh: MeshConfig): Analyser => {
  const kept = new Map<Kind, Map<string, object>>();
  let index: AnalysisIndex | undefined;

  const all = <Of extends Kind>(kind: Of): readonly ObjectKinds[Of][] =>
    [...(kept.get(kind)?.values() ?? [])] as ObjectKinds[Of][];

  const indexed = (): AnalysisIndex => {
    index ??= buildAnalysisIndex(
      {
        namespaces: all("Namespace"),
        services: all("Service"),
        pods: all("Pod"),
        virtualServices: all("VirtualService"),
        destinationRules: all("DestinationRule"),
        serviceEntries: all("ServiceEntry"),
        workloadEntries: all("WorkloadEntry"),
        sidecars: all("Sidecar"),
        envoyFilters: all("EnvoyFilter"),
        proxyConfigs: all("ProxyConfig"),
      },
      mesh,
    );
    return index;
  };

  return {
    apply: (events) => {
      for (const { kind, namespace, name, object } of events) {
        // Nodes and slices are many, change often, and say nothing of configuration.
        if (kind === "Node" || kind === "EndpointSlice") continue;
        const objects = kept.get(kind) ?? new Map<string, object>();
        kept.set(kind, objects);
        if (object === undefined) objects.delete(`${namespace}/${name}`);
        else objects.set(`${namespace}/${name}`, object);
        index = undefined;
      }
    },
    analyse: (kind, namespace, object) => {
      if (!isAnalysed(kind)) return [];
      // A resource may leave its namespace to the request.
      const placed = { ...object, metadata: { ...object.metadata, namespace } };
      return analyseObject(indexed(), kind, placed as never).map(({ finding }) => finding);
    },
  };
};
