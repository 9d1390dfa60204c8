import type { ObjectKinds } from "../../api/kubernetes.js";
import { checkAuthorizationPolicyReferences } from "./authorization-policy.js";
import { checkDelegates } from "./delegates.js";
import { checkDestinationRuleReferences } from "./destination-rule.js";
import type { AnalysisFinding, CodedFinding } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { type Named, nameOf, namespaceOf } from "./named.js";
import { checkPeerAuthenticationReferences } from "./peer-authentication.js";
import { checkRequestAuthenticationReferences } from "./request-authentication.js";
import { checkExportTo, checkSelector, checkWholeNamespace } from "./scope.js";
import { checkServiceEntryReferences } from "./service-entry.js";
import { checkService, checkWorkload } from "./services.js";
import { checkShadowing } from "./shadowing.js";
import { checkSidecarReferences } from "./sidecar.js";
import { checkTelemetryReferences } from "./telemetry.js";
import { checkVirtualServiceReferences } from "./virtual-service.js";

/** The kinds that have checks against others. */
type AnalysedKinds = Pick<
  ObjectKinds,
  | "Service"
  | "VirtualService"
  | "DestinationRule"
  | "ServiceEntry"
  | "Sidecar"
  | "EnvoyFilter"
  | "ProxyConfig"
  | "PeerAuthentication"
  | "AuthorizationPolicy"
  | "RequestAuthentication"
  | "Telemetry"
>;
type Check<Kind extends keyof AnalysedKinds> = (
  index: AnalysisIndex,
  object: AnalysedKinds[Kind],
) => readonly CodedFinding[];

const checks: { readonly [Kind in keyof AnalysedKinds]: Check<Kind> } = {
  Service: checkService,
  VirtualService: (index, object) => [
    ...checkVirtualServiceReferences(index, object),
    ...checkShadowing(object),
    ...checkDelegates(index, object),
    ...checkExportTo(index, object.spec.exportTo),
  ],
  DestinationRule: (index, object) => [
    ...checkDestinationRuleReferences(index, object),
    ...checkSelector(
      index,
      namespaceOf(object),
      object.spec.workloadSelector?.matchLabels,
      "spec.workloadSelector.matchLabels",
    ),
    ...checkExportTo(index, object.spec.exportTo),
  ],
  ServiceEntry: checkServiceEntryReferences,
  Sidecar: checkSidecarReferences,
  EnvoyFilter: (index, object) => {
    const labels = object.spec.workloadSelector?.labels;
    const isForAll = labels === undefined || Object.keys(labels).length === 0;
    if ((object.spec.targetRefs ?? []).length > 0) return [];
    return isForAll
      ? checkWholeNamespace(index, namespaceOf(object))
      : checkSelector(index, namespaceOf(object), labels, "spec.workloadSelector.labels", "mesh");
  },
  ProxyConfig: (index, object) =>
    checkSelector(index, namespaceOf(object), object.spec.selector?.matchLabels, "spec.selector.matchLabels"),
  PeerAuthentication: checkPeerAuthenticationReferences,
  AuthorizationPolicy: checkAuthorizationPolicyReferences,
  RequestAuthentication: checkRequestAuthenticationReferences,
  Telemetry: checkTelemetryReferences,
};

export const isAnalysed = (kind: string): kind is keyof AnalysedKinds => Object.hasOwn(checks, kind);

const run = <Kind extends keyof AnalysedKinds>(
  index: AnalysisIndex,
  kind: Kind,
  object: AnalysedKinds[Kind],
): readonly CodedFinding[] => checks[kind](index, object);

const owned = (kind: string, object: Named, findings: readonly CodedFinding[]): readonly AnalysisFinding[] =>
  findings.map((finding) => ({ kind, namespace: namespaceOf(object), name: nameOf(object), ...finding }));

/**
 * One resource, valid by itself, against the set. It need not be in the set; if it is there in another version, this one
 * is judged. For admission: the findings are warnings.
 */
export const analyseObject = <Kind extends keyof AnalysedKinds>(
  index: AnalysisIndex,
  kind: Kind,
  object: AnalysedKinds[Kind],
): readonly CodedFinding[] => run(index, kind, object);

/** Every resource of the set against the others, in the order of the kinds and of the lists. */
export const analyseAll = (index: AnalysisIndex): readonly AnalysisFinding[] => {
  const { objects } = index;
  const all = <Kind extends keyof AnalysedKinds>(
    kind: Kind,
    list: readonly AnalysedKinds[Kind][] | undefined,
  ): readonly AnalysisFinding[] => (list ?? []).flatMap((object) => owned(kind, object, run(index, kind, object)));
  const workloads = index.workloads().namespaces.flatMap(index.workloads().of);
  return [
    ...all("Service", objects.services),
    ...workloads.flatMap((workload) =>
      checkWorkload(workload).map((finding) => ({
        kind: workload.kind,
        namespace: workload.namespace,
        name: workload.name,
        ...finding,
      })),
    ),
    ...all("VirtualService", objects.virtualServices),
    ...all("DestinationRule", objects.destinationRules),
    ...all("ServiceEntry", objects.serviceEntries),
    ...all("Sidecar", objects.sidecars),
    ...all("EnvoyFilter", objects.envoyFilters),
    ...all("ProxyConfig", objects.proxyConfigs),
    ...all("PeerAuthentication", objects.peerAuthentications),
    ...all("AuthorizationPolicy", objects.authorizationPolicies),
    ...all("RequestAuthentication", objects.requestAuthentications),
    ...all("Telemetry", objects.telemetries),
  ];
};
