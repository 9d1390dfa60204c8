import { type Context, holds, isConstraint, type Predicate, rulePredicates } from "./predicates.js";
import type { Action, AuthorizationPolicy, Decision, Request, Rule, Verdict, Workload } from "./types.js";

/** What AuthorizationPolicies mean, by their specification alone: docs/authorization-semantics.md. */

/**
 * On TCP nothing is known of what only HTTP has: a rule of ALLOW that asks for it is left out as a whole, any other rule
 * is read as if it did not ask, and so takes in more.
 */
const ruleMatches = (rule: Rule, action: Action, context: Context): boolean => {
  const { conditions, sources, operations } = rulePredicates(rule, context);
  const isUnknown = (predicate: Predicate): boolean =>
    context.request.protocol === "tcp" && predicate.isHttpOnly && isConstraint(predicate);
  if (action === "ALLOW" && [conditions, ...sources, ...operations].flat().some(isUnknown)) return false;
  const allHold = (predicates: readonly Predicate[]): boolean =>
    predicates.every((predicate) => isUnknown(predicate) || holds(predicate));
  return sources.some(allHold) && operations.some(allHold) && allHold(conditions);
};

const actionOf = ({ spec }: AuthorizationPolicy): Action => spec.action ?? "ALLOW";

const keyOf = ({ metadata }: AuthorizationPolicy): string => `${metadata.namespace}/${metadata.name}`;

/** Of Go's ways to write true. */
const isDryRun = ({ metadata }: AuthorizationPolicy): boolean =>
  ["1", "t", "T", "TRUE", "true", "True"].includes(metadata.annotations?.["istio.io/dry-run"] ?? "");

/** Of the root namespace or the workload's own; a policy for other resources is for no sidecar. */
export const isSelected = ({ metadata, spec }: AuthorizationPolicy, workload: Workload): boolean =>
  [workload.rootNamespace, workload.namespace].includes(metadata.namespace) &&
  (spec.targetRefs ?? []).length === 0 &&
  Object.entries(spec.selector?.matchLabels ?? {}).every(([name, value]) => workload.labels[name] === value);

const policyMatches = (policy: AuthorizationPolicy, workload: Workload, request: Request): boolean =>
  (policy.spec.rules ?? []).some((rule) =>
    ruleMatches(rule, actionOf(policy), { request, workload, policyNamespace: policy.metadata.namespace }),
  );

/** The first of these that denies by its external authorizer, or because nobody can be asked. */
const customDenial = (
  policies: readonly AuthorizationPolicy[],
  matches: (policy: AuthorizationPolicy) => boolean,
  workload: Workload,
  request: Request,
): AuthorizationPolicy | undefined => {
  const names = new Set(policies.map(({ spec }) => spec.provider?.name));
  return policies.filter(matches).find(({ spec }) => {
    const name = spec.provider?.name ?? "";
    const speaks = Object.hasOwn(workload.providers, name) ? workload.providers[name] : undefined;
    const canTell = speaks === "grpc" || (speaks === "http" && request.protocol === "http");
    return names.size > 1 || !canTell || request.external === "deny";
  });
};

export const decide = (policies: readonly AuthorizationPolicy[], workload: Workload, request: Request): Decision => {
  const selected = policies.filter((policy) => isSelected(policy, workload));
  const of = (action: Action, dryRun: boolean): readonly AuthorizationPolicy[] =>
    selected.filter((policy) => actionOf(policy) === action && isDryRun(policy) === dryRun);
  const matches = (policy: AuthorizationPolicy): boolean => policyMatches(policy, workload, request);
  const allowing = of("ALLOW", false);
  const allowed = allowing.find(matches);
  const denied = customDenial(of("CUSTOM", false), matches, workload, request) ?? of("DENY", false).find(matches);
  const by = denied ?? allowed;
  const shadowOf = (action: Action, ifMatched: Verdict, otherwise: Verdict): Verdict | undefined => {
    const dry = of(action, true);
    return dry.length === 0 ? undefined : dry.some(matches) ? ifMatched : otherwise;
  };
  const allow = shadowOf("ALLOW", "allow", "deny");
  const deny = shadowOf("DENY", "deny", "allow");
  return {
    verdict: denied !== undefined || (allowing.length > 0 && allowed === undefined) ? "deny" : "allow",
    ...(by === undefined ? {} : { by: keyOf(by) }),
    shadow: { ...(allow === undefined ? {} : { allow }), ...(deny === undefined ? {} : { deny }) },
    isAudited: of("AUDIT", false).some(matches),
  };
};
