import type { Telemetry } from "../../api/telemetry/telemetry.js";
import { isForAll } from "../selector.js";
import type { CodedFinding } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { namespaceOf } from "./named.js";
import { checkRivals, type Exclusive } from "./rivals.js";
import { checkSelector } from "./scope.js";

const exclusive: Exclusive<Telemetry> = {
  kind: "Telemetry",
  code: "HDL0650",
  selectorPath: "spec.selector",
  labelsPath: "spec.selector.matchLabels",
  labelsOf: ({ spec }) => spec.selector?.matchLabels ?? {},
};

/** Those that select workloads all hold together; of those for a whole namespace only one does. */
export const checkTelemetryReferences = (index: AnalysisIndex, object: Telemetry): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  if (!isForAll(object)) return checkSelector(index, namespace, exclusive.labelsOf(object), exclusive.labelsPath);
  return checkRivals(
    exclusive,
    index,
    object,
    index.telemetries().get(namespace) ?? [],
    namespace === index.mesh.rootNamespace ? "mesh" : "namespace",
  );
};
