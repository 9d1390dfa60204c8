import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { ExtensionProvider } from "../../api/extension-provider.js";
import type { MeshConfig } from "../../api/meshconfig.js";
import { type Filter, FilterSchema } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { type RBAC, RBAC_Action, RBACSchema } from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema as HttpRbacSchema } from "../../proto/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../../proto/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { packed } from "../encode.js";
import type { EncodedResource } from "../resources.js";
import { authorizerOf, type CompiledAuthorization, type NamedRules } from "./authorization.js";
import { askedPrefix, askedRule, connectionAuthorizer, requestAuthorizer } from "./external.js";
import { type ChainFacts, refusesAll } from "./foregone.js";
import { policyResource } from "./slots.js";

/** What one filter decides; without rules it decides nothing. */
interface Rules {
  readonly rules?: RBAC;
  readonly shadowRules?: RBAC;
  readonly shadowRulesStatPrefix?: string;
}

type Protocol = "http" | "tcp";

const merged = (action: RBAC_Action, rules: readonly NamedRules[]): RBAC =>
  create(RBACSchema, { action, policies: Object.assign({}, ...rules) });

const decisions = {
  audit: { action: "AUDIT", does: RBAC_Action.LOG },
  deny: { action: "DENY", does: RBAC_Action.DENY },
  allow: { action: "ALLOW", does: RBAC_Action.ALLOW },
} as const;

type Decision = keyof typeof decisions;
const decisionNames: readonly Decision[] = ["audit", "deny", "allow"];

const rulesOf = (decision: Decision, policies: readonly CompiledAuthorization[], protocol: Protocol): Rules => {
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

/** Who is asked, and about what. */
interface Asking<Authorizer> {
  readonly rules: Rules;
  readonly authorizer: Authorizer | undefined;
}

/** What nobody can be asked about, or several would have to be, is denied. */
const askingOf = <Authorizer>(
  policies: readonly CompiledAuthorization[],
  protocol: Protocol,
  authorizerFor: (provider: string) => Authorizer | undefined,
): Asking<Authorizer> => {
  const custom = policies.filter(({ action, isDryRun }) => action === "CUSTOM" && !isDryRun);
  if (custom.length === 0) return { rules: {}, authorizer: undefined };
  const [provider = "", ...others] = new Set(custom.map((policy) => policy.provider));
  const authorizer = others.length > 0 ? undefined : authorizerFor(provider);
  const rules = custom.map((policy) =>
    Object.fromEntries(
      Object.entries(policy[protocol]).map(([name, rule]) => [`${askedRule}${policy.provider}-${name}`, rule]),
    ),
  );
  if (authorizer === undefined) return { rules: { rules: merged(RBAC_Action.DENY, rules) }, authorizer };
  return {
    rules: { shadowRules: merged(RBAC_Action.DENY, rules), shadowRulesStatPrefix: askedPrefix },
    authorizer,
  };
};

const providers =
  <Authorizer>(
    mesh: Pick<MeshConfig, "extensionProviders">,
    make: (provider: ExtensionProvider) => Authorizer | undefined,
  ) =>
  (name: string): Authorizer | undefined => {
    const provider = authorizerOf(mesh, name);
    return provider && make(provider);
  };

type Mesh = Pick<MeshConfig, "extensionProviders">;

/** For requests: what the filters of each slot do. */
export const requestResources = (
  policies: readonly CompiledAuthorization[],
  mesh: Mesh,
): readonly EncodedResource[] => {
  const asking = askingOf(policies, "http", providers(mesh, requestAuthorizer));
  return [
    policyResource("custom", create(HttpRbacSchema, asking.rules)),
    policyResource("external", asking.authorizer ?? create(HttpRbacSchema)),
    ...decisionNames.map((decision) =>
      policyResource(decision, create(HttpRbacSchema, rulesOf(decision, policies, "http"))),
    ),
  ];
};

const networkFilter = <Desc extends DescMessage>(name: string, schema: Desc, config: MessageShape<Desc>): Filter =>
  create(FilterSchema, { name, configType: { case: "typedConfig", value: packed(schema, config) } });

const networkRules = (rules: Rules): readonly Filter[] =>
  Object.keys(rules).length === 0
    ? []
    : [
        networkFilter(
          "envoy.filters.network.rbac",
          NetworkRbacSchema,
          create(NetworkRbacSchema, { ...rules, statPrefix: "tcp." }),
        ),
      ];

/** What security policies say of TCP connections. */
export interface NetworkPolicies {
  /** They decide at the first byte of the client; none where no policy says anything. */
  readonly filters: readonly Filter[];
  /** Nothing can pass: then the application is not even called, which might speak before the client does. */
  readonly isClosed: (facts: ChainFacts) => boolean;
}

export const connectionPolicies = (policies: readonly CompiledAuthorization[], mesh: Mesh): NetworkPolicies => {
  const asking = askingOf(policies, "tcp", providers(mesh, connectionAuthorizer));
  const decided = decisionNames.map((decision) => rulesOf(decision, policies, "tcp"));
  const enforced = [asking.rules, ...decided].flatMap(({ rules }) => rules ?? []);
  return {
    filters: [
      ...networkRules(asking.rules),
      ...(asking.authorizer === undefined ? [] : [asking.authorizer]),
      ...decided.flatMap(networkRules),
    ],
    isClosed: (facts) => enforced.some((rules) => refusesAll(rules, facts)),
  };
};
