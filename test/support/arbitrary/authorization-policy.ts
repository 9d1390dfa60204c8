import fc from "fast-check";
import type {
  Action,
  AuthorizationPolicy,
  Condition,
  Operation,
  Rule,
  Source,
  Workload,
} from "../authorization/types.js";
import * as pools from "./authorization-pools.js";
import { pattern, pick } from "./authorization-pools.js";

const few = <Value>(values: fc.Arbitrary<Value>): fc.Arbitrary<Value[]> =>
  fc.array(values, { minLength: 1, maxLength: 2 });

const principals = [...pools.trustDomains, "*"].flatMap((domain) =>
  ["shop", "shop-admin", "dev"].flatMap((namespace) =>
    ["web", "web-admin"].map((account) => `${domain}/ns/${namespace}/sa/${account}`),
  ),
);
/** A principal of any domain is a suffix already, and takes no second star. */
const principal = pattern(principals).filter(
  (text) => text.lastIndexOf("*") <= 0 || text.indexOf("*") === text.length - 1,
);
const requestPrincipal = fc.oneof(
  pattern(pools.issuers.flatMap((issuer) => pools.subjects.map((subject) => `${issuer}/${subject}`))),
  pick([...pools.issuers.map((issuer) => `${issuer}/*`), ...pools.subjects.map((subject) => `*/${subject}`), "*"]),
);
const serviceAccount = pick([
  ...pools.serviceAccounts,
  ...pools.peerNamespaces.flatMap((namespace) => pools.serviceAccounts.map((account) => `${namespace}/${account}`)),
]);
const namespace = pattern(pools.peerNamespaces);
const trustDomain = pattern(pools.trustDomains);
const port = pick(Object.values(pools.ports).map(String));
const host = pattern(pools.hosts);
const method = pattern(pools.methods);
const path = fc.oneof({ arbitrary: pattern(pools.paths), weight: 3 }, { arbitrary: pick(pools.templates), weight: 2 });

/** One field of a source or operation, and its contrary. */
const fields = {
  source: {
    principals: principal,
    requestPrincipals: requestPrincipal,
    namespaces: namespace,
    serviceAccounts: serviceAccount,
    ipBlocks: pick(pools.sourceBlocks),
    remoteIpBlocks: pick(pools.remoteBlocks),
    trustDomains: trustDomain,
  },
  operation: { hosts: host, ports: port, methods: method, paths: path },
} as const;

const contraryOf = (field: string): string => `not${field.charAt(0).toUpperCase()}${field.slice(1)}`;

/** One to three of the fields, some turned round, some with both lists. */
const someFields = (values: Readonly<Record<string, fc.Arbitrary<string>>>): fc.Arbitrary<Record<string, string[]>> =>
  fc
    .uniqueArray(pick(Object.keys(values)), { minLength: 1, maxLength: 2 })
    .chain((names) =>
      fc.tuple(
        ...names.map((name) =>
          fc
            .record({
              kind: fc.constantFrom("is", "is", "is", "is", "not", "not", "both"),
              is: few(values[name]!),
              not: few(values[name]!),
            })
            .map(({ kind, is, not }) => ({
              ...(kind === "not" ? {} : { [name]: is }),
              ...(kind === "is" ? {} : { [contraryOf(name)]: not }),
            })),
        ),
      ),
    )
    .map((parts) => Object.assign({}, ...parts) as Record<string, string[]>);

/** Service accounts go with neither principals nor namespaces. */
const source: fc.Arbitrary<Source> = someFields(fields.source).filter((found) => {
  const named = Object.keys(found).map((field) => field.toLowerCase());
  const has = (part: string): boolean => named.some((field) => field.endsWith(part));
  return !(has("serviceaccounts") && (named.some((field) => /^(not)?principals$/.test(field)) || has("namespaces")));
});

const operation: fc.Arbitrary<Operation> = someFields(fields.operation);

const claim = pattern([...pools.claimValues, ...pools.issuers]);
const conditionValues: Readonly<Record<string, fc.Arbitrary<string>>> = {
  ...Object.fromEntries(
    pools.headerNames.map((name) => [`request.headers[${name}]`, pattern(pools.headerValues)] as const),
  ),
  "request.headers[X-Role]": pattern(pools.headerValues),
  "source.ip": fields.source.ipBlocks,
  "remote.ip": fields.source.remoteIpBlocks,
  "source.namespace": namespace,
  "source.principal": principal,
  "source.serviceAccount": serviceAccount,
  "source.trustDomain": trustDomain,
  "request.auth.principal": requestPrincipal,
  "request.auth.audiences": pattern(pools.audiences),
  "request.auth.presenter": pattern(pools.audiences),
  ...Object.fromEntries(
    pools.claimPaths.map(
      (names) => [`request.auth.claims${names.map((name) => `[${name}]`).join("")}`, claim] as const,
    ),
  ),
  "destination.ip": pick(pools.destinationBlocks),
  "destination.port": port,
  "connection.sni": pattern(pools.serverNames),
  "experimental.envoy.filters.network.mysql_proxy[db.table]": pattern(["[update]", "select"]),
};

const condition = (keys: readonly string[]): fc.Arbitrary<Condition> =>
  pick(keys).chain((key) =>
    fc
      .record({
        kind: fc.constantFrom("is", "is", "is", "is", "not", "not", "both"),
        values: few(conditionValues[key]!),
        notValues: few(conditionValues[key]!),
      })
      .map(({ kind, values, notValues }) => ({
        key,
        ...(kind === "not" ? {} : { values }),
        ...(kind === "is" ? {} : { notValues }),
      })),
  );

const optional = <Value>(values: fc.Arbitrary<Value>, weights: readonly [none: number, one: number, two: number]) =>
  fc.oneof(
    { arbitrary: fc.constant<Value[]>([]), weight: weights[0] },
    { arbitrary: values.map((value) => [value]), weight: weights[1] },
    { arbitrary: fc.tuple(values, values), weight: weights[2] },
  );

const ruleOf = (sources: fc.Arbitrary<Source>, keys: readonly string[]): fc.Arbitrary<Rule> =>
  fc
    .record({
      from: optional(
        sources.map((each) => ({ source: each })),
        [3, 4, 2],
      ),
      to: optional(
        operation.map((each) => ({ operation: each })),
        [3, 4, 2],
      ),
      when: optional(condition(keys), [4, 4, 1]),
    })
    .map((rule) => Object.fromEntries(Object.entries(rule).filter(([, list]) => list.length > 0)));

const rule = ruleOf(source, Object.keys(conditionValues));
/** Who asks an external authorizer cannot know identities yet. */
const customRule = ruleOf(
  fc.oneof(
    few(fields.source.ipBlocks).map((ipBlocks): Source => ({ ipBlocks })),
    few(fields.source.remoteIpBlocks).map((notRemoteIpBlocks): Source => ({ notRemoteIpBlocks })),
  ),
  Object.keys(conditionValues).filter((key) => !/^(source\.[^i]|request\.auth)/.test(key)),
);

const selector = pick([
  undefined,
  undefined,
  undefined,
  {},
  {},
  { matchLabels: { app: "server" } },
  { matchLabels: { app: "server" } },
  { matchLabels: { app: "server", version: "v1" } },
  { matchLabels: { app: "other" } },
]);

const specOf = (action: Action | undefined): fc.Arbitrary<AuthorizationPolicy["spec"]> =>
  fc
    .record({
      rules: fc.array(action === "CUSTOM" ? customRule : rule, {
        minLength: 1,
        maxLength: 3,
      }),
      selector,
      target: fc.nat({ max: 30 }),
      provider: fc.constantFrom("ask-http", "ask-http", "ask-http", "ask-http", "nobody"),
    })
    .map(({ rules, selector: labels, target, provider }) => ({
      ...(action === undefined ? {} : { action }),
      ...(action === "CUSTOM" ? { provider: { name: provider } } : {}),
      ...(target === 0
        ? { targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "ingress" }] }
        : labels === undefined
          ? {}
          : { selector: labels }),
      ...(target === 1 && action !== "CUSTOM" ? {} : { rules: target === 2 && action !== "CUSTOM" ? [] : rules }),
    }));

const policyOf = (
  home: string,
  actions: readonly (Action | undefined)[],
): fc.Arbitrary<Omit<AuthorizationPolicy, "name">> =>
  pick(actions).chain((action) =>
    fc
      .record({
        namespace: pick([
          home,
          home,
          home,
          home,
          pools.rootNamespace,
          pools.rootNamespace,
          pools.rootNamespace,
          home === "shop" ? "dev" : "shop",
        ]),
        dryRun: fc.nat({ max: 11 }),
        spec: specOf(action),
      })
      .map(({ namespace: place, dryRun, spec }) => ({
        metadata: {
          name: "",
          namespace: place,
          ...(action === "CUSTOM" || dryRun > 1
            ? {}
            : { annotations: { "istio.io/dry-run": dryRun === 0 ? "true" : "false" } }),
        },
        spec,
      })),
  );

const actionWeights: readonly (Action | undefined)[] = [undefined, "ALLOW", "ALLOW", "DENY", "DENY", "DENY", "AUDIT"];

/** Up to four policies, some of them for others than this workload. */
export const policies = (
  { namespace: home }: Workload,
  options: { readonly hasCustom: boolean },
): fc.Arbitrary<readonly AuthorizationPolicy[]> =>
  fc
    .array(policyOf(home, [...actionWeights, ...(options.hasCustom ? ["CUSTOM" as const] : [])]), {
      minLength: 1,
      maxLength: 4,
    })
    .map((list) =>
      list.map(({ metadata, spec }, index) => ({ metadata: { ...metadata, name: `policy-${index}` }, spec })),
    );
