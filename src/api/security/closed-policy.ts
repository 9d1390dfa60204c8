import type { ConfigObject } from "../kind.js";
import { isObject } from "../normalize.js";
import { type AuthorizationPolicy, actions } from "./authorization-policy-spec.js";
import { readableSelector } from "./readable-selector.js";

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
  const chosen = readableSelector(selector);
  return {
    ...object,
    spec: {
      ...(chosen === undefined ? {} : { selector: chosen }),
      ...(known === "ALLOW" ? {} : { action: "DENY" as const, rules: [{}] }),
    },
  };
};
