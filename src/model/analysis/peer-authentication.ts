import { show } from "../../api/findings.js";
import type { PeerAuthentication } from "../../api/security/peer-authentication.js";
import { isForAll } from "../peer-authentication.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { byAge, keyOf, namespaceOf } from "./named.js";
import { checkSelector, labelsText } from "./scope.js";
import { selectedBy } from "./workloads.js";

const labelsOf = ({ spec }: PeerAuthentication): Readonly<Record<string, string>> => spec.selector?.matchLabels ?? {};

const checkRivals = (index: AnalysisIndex, object: PeerAuthentication): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  const older = (index.peerAuthentications().get(namespace)?.policies ?? []).filter(
    (other) => keyOf(other) !== keyOf(object) && byAge(other, object) < 0 && isForAll(other) === isForAll(object),
  );
  const [first] = older;
  if (first === undefined) return [];
  if (isForAll(object)) {
    const what = namespace === index.mesh.rootNamespace ? "mesh" : "namespace";
    return [
      found(
        "HDL0406",
        "spec.selector",
        `there is none, and PeerAuthentication ${keyOf(first)} without one is taken for the ${what}; merge the two, or add a selector`,
      ),
    ];
  }
  const own = selectedBy(index.workloads(), namespace, labelsOf(object));
  for (const rival of older) {
    const theirs = new Set(selectedBy(index.workloads(), namespace, labelsOf(rival)));
    const shared = own.filter((workload) => theirs.has(workload));
    if (shared.length > 0)
      return [
        found(
          "HDL0406",
          "spec.selector.matchLabels",
          `${enumerate(shared.map(({ kind, name }) => `${kind} ${name}`))}: PeerAuthentication ${keyOf(rival)} selects the same and is taken; merge the two, or make the selectors exclude each other`,
        ),
      ];
  }
  return [];
};

export const checkPeerAuthenticationReferences = (
  index: AnalysisIndex,
  object: PeerAuthentication,
): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  if (namespace === index.mesh.rootNamespace && !isForAll(object))
    return [
      found(
        "HDL0405",
        "spec.selector.matchLabels",
        `${show(labelsText(labelsOf(object)))}: in the root namespace ${namespace} nothing is selected, so this is not in force; remove the selector for the whole mesh, or move this to the namespace of the workloads`,
      ),
    ];
  return [
    ...checkRivals(index, object),
    ...checkSelector(index, namespace, object.spec.selector?.matchLabels, "spec.selector.matchLabels"),
  ];
};
