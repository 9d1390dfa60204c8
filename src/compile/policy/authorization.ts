import type { AuthorizationPolicy } from "../../api/security/authorization-policy-spec.js";
import { isDryRun } from "../../api/security/authorization-policy-spec.js";
import { asksForRequests } from "../../api/security/request-only.js";
import type { Policy } from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import type { TrustedDomains } from "../tls.js";
import { compileRule, type RuleContext } from "./rules.js";

/** Rules by the names that they have in access logs and metadata. */
export type NamedRules = Readonly<Record<string, Policy>>;

export interface CompiledAuthorization {
  readonly action: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";
  readonly isDryRun: boolean;
  readonly http: NamedRules;
  readonly tcp: NamedRules;
  /** Why it denies what it would have restricted, if it could not be compiled. */
  readonly failure: Error | undefined;
}

const ruleName = ({ metadata }: AuthorizationPolicy, index: number): string =>
  `ns[${metadata?.namespace ?? "default"}]-policy[${metadata?.name ?? ""}]-rule[${index}]`;

const rulesFor = (policy: AuthorizationPolicy, mesh: TrustedDomains, protocol: RuleContext["protocol"]): NamedRules => {
  const { action = "ALLOW", rules = [] } = policy.spec;
  const context = { mesh, namespace: policy.metadata?.namespace ?? "default", protocol };
  return Object.fromEntries(
    rules.flatMap((rule, index) =>
      // What a connection cannot show is not allowed to it; what it cannot hide is denied.
      protocol === "tcp" && action === "ALLOW" && asksForRequests(rule)
        ? []
        : [[ruleName(policy, index), compileRule(rule, context)]],
    ),
  );
};

/** One policy. What cannot be compiled allows nothing, or denies everything that the policy selects. Never throws. */
export const compileAuthorization = (policy: AuthorizationPolicy, mesh: TrustedDomains): CompiledAuthorization => {
  const { action = "ALLOW" } = policy.spec;
  const common = { action, isDryRun: isDryRun(policy) };
  try {
    return {
      ...common,
      http: rulesFor(policy, mesh, "http"),
      tcp: rulesFor(policy, mesh, "tcp"),
      failure: undefined,
    };
  } catch (failure) {
    const rules =
      action === "ALLOW" || action === "AUDIT"
        ? {}
        : { [ruleName(policy, 0)]: compileRule({}, { mesh, namespace: "", protocol: "http" }) };
    return {
      ...common,
      action: action === "CUSTOM" ? "DENY" : action,
      http: rules,
      tcp: rules,
      failure: failure as Error,
    };
  }
};
