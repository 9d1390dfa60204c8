import { show } from "../../api/findings.js";
import type { PeerAuthentication } from "../../api/security/peer-authentication.js";
import { isForAll } from "../selector.js";
import { type CodedFinding, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { namespaceOf } from "./named.js";
import { checkRivals, type Exclusive } from "./rivals.js";
import { checkSelector, labelsText } from "./scope.js";

const exclusive: Exclusive<PeerAuthentication> = {
  kind: "PeerAuthentication",
  code: "HDL0406",
  selectorPath: "spec.selector",
  labelsPath: "spec.selector.matchLabels",
  labelsOf: ({ spec }) => spec.selector?.matchLabels ?? {},
};

export const checkPeerAuthenticationReferences = (
  index: AnalysisIndex,
  object: PeerAuthentication,
): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  const isInRoot = namespace === index.mesh.rootNamespace;
  if (isInRoot && !isForAll(object))
    return [
      found(
        "HDL0405",
        exclusive.labelsPath,
        `${show(labelsText(exclusive.labelsOf(object)))}: in the root namespace ${namespace} nothing is selected, so this is not in force; remove the selector for the whole mesh, or move this to the namespace of the workloads`,
      ),
    ];
  return [
    ...checkRivals(
      exclusive,
      index,
      object,
      index.peerAuthentications().get(namespace)?.policies ?? [],
      isInRoot ? "mesh" : "namespace",
    ),
    ...checkSelector(index, namespace, exclusive.labelsOf(object), exclusive.labelsPath),
  ];
};
