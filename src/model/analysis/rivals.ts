import { byAge } from "../age.js";
import type { Labels } from "../selector.js";
import type { Code } from "./codes.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { keyOf, type Named, namespaceOf } from "./named.js";
import { selectedBy } from "./workloads.js";

/** A kind of which a workload has one at a time: the oldest that selects it, else the oldest without a selector. */
export interface Exclusive<Value extends Named> {
  readonly kind: string;
  readonly code: Code;
  readonly selectorPath: string;
  readonly labelsPath: string;
  readonly labelsOf: (object: Value) => Labels;
}

const isForAll = (labels: Labels): boolean => Object.keys(labels).length === 0;

/** Whether another of the same namespace is taken instead; `whole` is what those without a selector are for. */
export const checkRivals = <Value extends Named>(
  { kind, code, selectorPath, labelsPath, labelsOf }: Exclusive<Value>,
  index: AnalysisIndex,
  object: Value,
  others: readonly Value[],
  whole: "namespace" | "mesh",
): readonly CodedFinding[] => {
  const labels = labelsOf(object);
  const older = others.filter(
    (other) =>
      keyOf(other) !== keyOf(object) && byAge(other, object) < 0 && isForAll(labelsOf(other)) === isForAll(labels),
  );
  const [first] = older;
  if (first === undefined) return [];
  if (isForAll(labels))
    return [
      found(
        code,
        selectorPath,
        `there is none, and ${kind} ${keyOf(first)} without one is taken for the ${whole}; merge the two, or add a selector`,
      ),
    ];
  const namespace = namespaceOf(object);
  const own = selectedBy(index.workloads(), namespace, labels);
  for (const rival of older) {
    const theirs = new Set(selectedBy(index.workloads(), namespace, labelsOf(rival)));
    const shared = own.filter((workload) => theirs.has(workload));
    if (shared.length > 0)
      return [
        found(
          code,
          labelsPath,
          `${enumerate(shared.map((workload) => `${workload.kind} ${workload.name}`))}: ${kind} ${keyOf(rival)} selects the same and is taken; merge the two, or make the selectors exclude each other`,
        ),
      ];
  }
  return [];
};
