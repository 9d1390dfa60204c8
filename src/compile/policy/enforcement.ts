import { create } from "@bufbuild/protobuf";
import { type Filter, FilterSchema } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { type RBAC, RBAC_Action, RBACSchema } from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import {
  type RBAC as HttpRbac,
  RBACSchema as HttpRbacSchema,
} from "../../proto/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../../proto/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { packed } from "../encode.js";
import type { CompiledAuthorization, NamedRules } from "./authorization.js";

const decisions = {
  audit: { action: "AUDIT", does: RBAC_Action.LOG },
  deny: { action: "DENY", does: RBAC_Action.DENY },
  allow: { action: "ALLOW", does: RBAC_Action.ALLOW },
} as const;

export type Decision = keyof typeof decisions;
export const decisionNames: readonly Decision[] = ["audit", "deny", "allow"];

/** What of all policies that select a workload one filter decides; without any policy of its kind it decides nothing. */
interface Rules {
  readonly rules?: RBAC;
  readonly shadowRules?: RBAC;
  readonly shadowRulesStatPrefix?: string;
}

const merged = (does: RBAC_Action, rules: readonly NamedRules[]): RBAC =>
  create(RBACSchema, { action: does, policies: Object.assign({}, ...rules) });

const rulesOf = (decision: Decision, policies: readonly CompiledAuthorization[], protocol: "http" | "tcp"): Rules => {
  const { action, does } = decisions[decision];
  const own = policies.filter((policy) => policy.action === action);
  const of = (isDryRun: boolean): readonly NamedRules[] =>
    own.filter((policy) => policy.isDryRun === isDryRun).map((policy) => policy[protocol]);
  const [enforced, tried] = [of(false), of(true)];
  return {
    ...(enforced.length === 0 ? {} : { rules: merged(does, enforced) }),
    ...(tried.length === 0 || decision === "audit"
      ? {}
      : { shadowRules: merged(does, tried), shadowRulesStatPrefix: `istio_dry_run_${decision}_` }),
  };
};

export const requestDecision = (decision: Decision, policies: readonly CompiledAuthorization[]): HttpRbac =>
  create(HttpRbacSchema, rulesOf(decision, policies, "http"));

/** For connections; none where no policy says anything. */
export const connectionDecisions = (policies: readonly CompiledAuthorization[]): readonly Filter[] =>
  decisionNames.flatMap((decision) => {
    const rules = rulesOf(decision, policies, "tcp");
    if (Object.keys(rules).length === 0) return [];
    const config = create(NetworkRbacSchema, { ...rules, statPrefix: "tcp." });
    return create(FilterSchema, {
      name: "envoy.filters.network.rbac",
      configType: { case: "typedConfig", value: packed(NetworkRbacSchema, config) },
    });
  });
