import { show } from "../../api/findings.js";
import type { AuthorizationPolicy } from "../../api/security/authorization-policy-spec.js";
import { outputHeadersOf, tokenHeadersOf } from "../../api/security/request-authentication-check.js";
import type { RequestAuthentication } from "../../api/security/request-authentication-schema.js";
import type { Labels } from "../selector.js";
import { type CodedFinding, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { keyOf, namespaceOf } from "./named.js";
import { checkSelector } from "./scope.js";

type Selecting = RequestAuthentication | AuthorizationPolicy;

const labelsOf = ({ spec }: Selecting): Labels => spec.selector?.matchLabels ?? {};

/** Whether some workload could take both. */
const mayMeet = (left: Selecting, right: Selecting, rootNamespace: string): boolean => {
  const [home, other] = [namespaceOf(left), namespaceOf(right)];
  const others = labelsOf(right);
  return (
    (home === other || home === rootNamespace || other === rootNamespace) &&
    Object.entries(labelsOf(left)).every(([name, value]) => others[name] === undefined || others[name] === value)
  );
};

/** Within one policy this is an error. */
const checkOutputs = (index: AnalysisIndex, object: RequestAuthentication): readonly CodedFinding[] => {
  const own = keyOf(object);
  const others = (index.objects.requestAuthentications ?? []).filter(
    (other) => keyOf(other) !== own && mayMeet(object, other, index.mesh.rootNamespace),
  );
  return (object.spec.jwtRules ?? []).flatMap((rule, at) => {
    const outputs = outputHeadersOf(rule);
    const other = others.find(({ spec }) =>
      (spec.jwtRules ?? []).some((theirs) => tokenHeadersOf(theirs).some((name) => outputs.includes(name))),
    );
    if (other === undefined) return [];
    const field = rule.outputPayloadToHeader ? "outputPayloadToHeader" : "outputClaimToHeaders";
    return [
      found(
        "HDL0630",
        `spec.jwtRules[${at}].${field}`,
        `${show(outputs.join(", "))}: RequestAuthentication ${keyOf(other)} takes tokens from a header of this name; choose another`,
      ),
    ];
  });
};

/** Whether it has anything to say about requests without a token, be it that it lets nothing pass at all. */
const asksForTokens = ({ spec }: AuthorizationPolicy): boolean =>
  spec.action === "CUSTOM" ||
  ((spec.action ?? "ALLOW") === "ALLOW" && (spec.rules ?? []).length === 0) ||
  (spec.rules ?? []).some(
    ({ from = [], when = [] }) =>
      from.some(
        ({ source }) => source?.requestPrincipals !== undefined || source?.notRequestPrincipals !== undefined,
      ) || when.some(({ key }) => key.startsWith("request.auth.")),
  );

const checkAnonymous = (index: AnalysisIndex, object: RequestAuthentication): readonly CodedFinding[] =>
  (object.spec.jwtRules ?? []).length === 0 ||
  (index.objects.authorizationPolicies ?? []).some(
    (policy) => mayMeet(object, policy, index.mesh.rootNamespace) && asksForTokens(policy),
  )
    ? []
    : [
        found(
          "HDL0631",
          "spec.jwtRules",
          "requests without a token pass, since no AuthorizationPolicy asks for one; require requestPrincipals where they must not",
        ),
      ];

export const checkRequestAuthenticationReferences = (
  index: AnalysisIndex,
  object: RequestAuthentication,
): readonly CodedFinding[] => [
  ...checkSelector(index, namespaceOf(object), object.spec.selector?.matchLabels, "spec.selector.matchLabels", "mesh"),
  ...checkOutputs(index, object),
  ...checkAnonymous(index, object),
];
