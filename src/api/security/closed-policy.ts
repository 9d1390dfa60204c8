import type { ConfigObject } from "../kind.js";
import { checkLabels } from "../names.js";
import { isObject } from "../normalize.js";
import { type AuthorizationPolicy, type AuthorizationPolicySpec, actions } from "./authorization-policy-spec.js";

/** Labels that can be read; undefined, for all workloads, if any of them cannot. */
const selectorOf = (selector: unknown): AuthorizationPolicySpec["selector"] => {
  const labels = isObject(selector) ? selector["matchLabels"] : undefined;
  if (!isObject(labels) || !Object.values(labels).every((value) => typeof value === "string")) return undefined;
  const matchLabels = labels as Readonly<Record<string, string>>;
  return checkLabels("", matchLabels).length === 0 ? { matchLabels } : undefined;
};

/**
 * What stands for an AuthorizationPolicy that cannot be used and has no earlier version: it allows nothing, or denies
 * everything, to whom it selects. Nothing stands for one that restricts nobody: AUDIT, a dry run, or one for gateways.
 */
export const closedPolicy = (object: ConfigObject<unknown>): AuthorizationPolicy | undefined => {
  const spec = isObject(object.spec) ? object.spec : {};
  const { action = "ALLOW", targetRef, targetRefs, selector } = spec;
  const isDry = object.metadata?.annotations?.["istio.io/dry-run"] === "true";
  const isForGateways = isObject(targetRef) || (Array.isArray(targetRefs) && targetRefs.length > 0);
  if (isDry || action === "AUDIT" || (isForGateways && selector === undefined)) return undefined;
  const known = actions.find((each) => each === action);
  const chosen = selectorOf(selector);
  return {
    ...object,
    spec: {
      ...(chosen === undefined ? {} : { selector: chosen }),
      ...(known === "ALLOW" ? {} : { action: "DENY" as const, rules: [{}] }),
    },
  };
};
