import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { checkSelector } from "../names.js";
import {
  type AuthorizationPolicy,
  type AuthorizationPolicySpec,
  type AuthorizationRule,
  isDryRun,
  providerOf,
} from "./authorization-policy-spec.js";
import { checkCondition, checkOperation, checkSource } from "./authorization-rule-check.js";
import { isLimitedToRequests } from "./request-only.js";
import { hasTargets } from "./target-refs.js";

const actionOf = ({ action = "ALLOW" }: AuthorizationPolicySpec) => action;

const checkProvider = (policy: AuthorizationPolicy): readonly Finding[] => {
  const isCustom = actionOf(policy.spec) === "CUSTOM";
  if (isCustom && providerOf(policy) === "")
    return [error("spec.provider", "is missing; name one of the mesh configuration's extensionProviders")];
  return !isCustom && policy.spec.provider !== undefined
    ? [error("spec.provider", `${show(providerOf(policy))} goes with the action CUSTOM alone; remove it`)]
    : [];
};

const checkTargets = (spec: AuthorizationPolicySpec): readonly Finding[] => {
  const { selector, targetRef, targetRefs = [] } = spec;
  const field = targetRefs.length > 0 ? "spec.targetRefs" : "spec.targetRef";
  if (!hasTargets(spec)) return checkSelector("spec.selector", selector, "matchLabels");
  return [
    ...(selector !== undefined || (targetRef !== undefined && targetRefs.length > 0)
      ? [error(field, "one of selector, targetRef and targetRefs says what a policy is for; remove the others")]
      : []),
    ...[...targetRefs, ...(targetRef === undefined ? [] : [targetRef])].flatMap(({ namespace, name }) =>
      namespace === undefined || namespace === ""
        ? []
        : [warning(field, `${show(name)}: an object of the policy's own namespace is meant; leave namespace out`)],
    ),
    warning(field, "a policy for gateways does nothing to workloads with sidecars; select these with selector"),
  ];
};

const checkRule = (rule: AuthorizationRule, path: string): readonly Finding[] => [
  ...(["from", "to"] as const).flatMap((field) =>
    rule[field]?.length === 0 ? [error(`${path}.${field}`, "is empty; remove it, or say who or what is meant")] : [],
  ),
  ...(rule.from ?? []).flatMap((each, index) => checkSource(each.source, `${path}.from[${index}].source`)),
  ...(rule.to ?? []).flatMap((each, index) => checkOperation(each.operation, `${path}.to[${index}].operation`)),
  ...(rule.when ?? []).flatMap((each, index) => checkCondition(each, `${path}.when[${index}]`)),
];

const checkForTcp = (spec: AuthorizationPolicySpec): readonly Finding[] => {
  if (actionOf(spec) !== "DENY" && actionOf(spec) !== "CUSTOM") return [];
  return (spec.rules ?? []).flatMap((rule, index) =>
    isLimitedToRequests(rule)
      ? [
          warning(
            `spec.rules[${index}]`,
            "names only what HTTP has, so on TCP ports it matches every connection; add operation.ports",
          ),
        ]
      : [],
  );
};

const checkEffect = (policy: AuthorizationPolicy): readonly Finding[] => {
  const action = actionOf(policy.spec);
  const hasRules = (policy.spec.rules ?? []).length > 0;
  const given = policy.metadata?.annotations?.["istio.io/dry-run"];
  return [
    ...(hasRules || action === "ALLOW"
      ? []
      : [warning("spec.rules", `are none, so this ${action} policy never matches; add one, {} for everything`)]),
    ...(given === undefined || given === "true" || given === "false"
      ? []
      : [
          error(
            'metadata.annotations["istio.io/dry-run"]',
            `${show(given)} is neither "true" nor "false"; write one of them`,
          ),
        ]),
    ...(isDryRun(policy) && (action === "CUSTOM" || action === "AUDIT")
      ? [warning("spec.action", `${action}: a dry run tells of ALLOW and DENY alone, so this policy does nothing`)]
      : []),
  ];
};

export const checkAuthorizationPolicy = (policy: AuthorizationPolicy): readonly Finding[] => {
  const { spec } = policy;
  return [
    ...checkTargets(spec),
    ...checkProvider(policy),
    ...checkEffect(policy),
    ...(spec.rules ?? []).flatMap((rule, index) => checkRule(rule, `spec.rules[${index}]`)),
    ...checkForTcp(spec),
  ];
};
