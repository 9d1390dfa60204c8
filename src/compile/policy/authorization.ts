import type { MeshConfig } from "../../api/meshconfig.js";
import { type AuthorizationPolicy, isDryRun, providerOf } from "../../api/security/authorization-policy-spec.js";
import { asksForRequests } from "../../api/security/request-only.js";
import type { Policy } from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import type { TrustedDomains } from "../tls.js";
import { compileRule, type RuleContext } from "./rules.js";

/** Rules by the names that they have in access logs and metadata. */
export type NamedRules = Readonly<Record<string, Policy>>;

export interface CompiledAuthorization {
  readonly action: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";
  readonly isDryRun: boolean;
  /** Who is asked for CUSTOM, "" for the others. */
  readonly provider: string;
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

/** Of the mesh configuration; undefined if there is none of the name that can be asked. */
export const authorizerOf = ({ extensionProviders }: Pick<MeshConfig, "extensionProviders">, provider: string) =>
  extensionProviders.find(
    ({ name, envoyExtAuthzGrpc, envoyExtAuthzHttp }) =>
      name === provider && (envoyExtAuthzGrpc ?? envoyExtAuthzHttp) !== undefined,
  );

type Mesh = TrustedDomains & Pick<MeshConfig, "extensionProviders">;

const compile = (policy: AuthorizationPolicy, mesh: Mesh): CompiledAuthorization => {
  const { action = "ALLOW" } = policy.spec;
  const common = { action, isDryRun: isDryRun(policy), provider: action === "CUSTOM" ? providerOf(policy) : "" };
  try {
    const rules = { http: rulesFor(policy, mesh, "http"), tcp: rulesFor(policy, mesh, "tcp") };
    if (action !== "CUSTOM" || common.isDryRun || authorizerOf(mesh, common.provider) !== undefined)
      return { ...common, ...rules, failure: undefined };
    const failure = new Error(`the mesh configuration has no provider ${JSON.stringify(common.provider)} to be asked`);
    return { ...common, ...rules, action: "DENY", failure };
  } catch (failure) {
    const everything = { [ruleName(policy, 0)]: compileRule({}, { mesh, namespace: "", protocol: "http" }) };
    const isRestriction = action === "DENY" || (action === "CUSTOM" && !common.isDryRun);
    const rules = isRestriction ? everything : {};
    return {
      ...common,
      action: isRestriction ? "DENY" : action,
      http: rules,
      tcp: rules,
      failure: failure as Error,
    };
  }
};

const compiled = new WeakMap<Mesh, WeakMap<AuthorizationPolicy, CompiledAuthorization>>();

/**
 * One policy, for proxies and for its status alike. What cannot be compiled allows nothing, or denies everything that the
 * policy selects. Never throws.
 */
export const compileAuthorization = (policy: AuthorizationPolicy, mesh: Mesh): CompiledAuthorization => {
  const ofMesh = compiled.get(mesh) ?? new WeakMap<AuthorizationPolicy, CompiledAuthorization>();
  compiled.set(mesh, ofMesh);
  const made = ofMesh.get(policy) ?? compile(policy, mesh);
  ofMesh.set(policy, made);
  return made;
};
