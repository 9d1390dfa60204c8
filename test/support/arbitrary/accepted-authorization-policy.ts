import fc from "fast-check";
import type {
  AuthorizationPolicySpec,
  AuthorizationRule,
} from "../../../src/api/security/authorization-policy-spec.js";

/** Any text that a field may hold, with what regular expressions and templates are made of. */
const text = fc.oneof(
  fc.constantFrom("*", "a*", "*a", "a", "a.b", "[a", "(", "\\", "a|b", "$^", "\u00e4", "a*b", "**", "a/b", "/", "x//y"),
  fc.string({ minLength: 1, maxLength: 12 }),
  fc.string({ unit: "binary", minLength: 1, maxLength: 5 }),
);
const list = (item: fc.Arbitrary<string>) => fc.array(item, { minLength: 1, maxLength: 3 });
const address = fc.constantFrom(
  "10.0.0.1",
  "10.0.0.0/8",
  "0.0.0.0/0",
  "::1",
  "2001:db8::/32",
  "::ffff:10.0.0.1",
  "::/0",
);
const port = fc.constantFrom("80", "8080", "65535", "1");
const account = fc.oneof(fc.constantFrom("a", "shop/a", "a.b", "[/("), fc.stringMatching(/^[^/*]{1,8}$/));
const path = fc.oneof(
  text,
  fc.constantFrom("/a", "/a*", "*b", "/a/{*}", "/{*}/b", "/a/{**}", "/{*}/{**}", "/a/{**}/b"),
);

const some = <Shape extends object>(fields: { readonly [Key in keyof Shape]: fc.Arbitrary<Shape[Key]> }) =>
  fc
    .record(fields as never, { requiredKeys: [] })
    .filter((value) => Object.keys(value as object).length > 0) as unknown as fc.Arbitrary<Partial<Shape>>;

/** Accounts go without principals and namespaces. */
const accounts = some({
  serviceAccounts: list(account),
  notServiceAccounts: list(account),
  ipBlocks: list(address),
});

const others = some({
  principals: list(text),
  notPrincipals: list(text),
  requestPrincipals: list(text),
  notRequestPrincipals: list(text),
  namespaces: list(text),
  notNamespaces: list(text),
  trustDomains: list(text),
  notTrustDomains: list(text),
  ipBlocks: list(address),
  notIpBlocks: list(address),
  remoteIpBlocks: list(address),
  notRemoteIpBlocks: list(address),
});

const source = fc.oneof({ arbitrary: others, weight: 3 }, accounts);

const operation = some({
  hosts: list(text),
  notHosts: list(text),
  ports: list(port),
  notPorts: list(port),
  methods: list(text),
  notMethods: list(text),
  paths: list(path),
  notPaths: list(path),
});

const values = (item: fc.Arbitrary<string>) => some({ values: list(item), notValues: list(item) });
const condition = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        ...["source.namespace", "source.principal", "source.trustDomain", "request.auth.principal"],
        ...["request.auth.audiences", "request.auth.presenter", "connection.sni", "request.headers[x-a]"],
        ...["request.headers[:authority]", "request.auth.claims[a][b.c]", "experimental.envoy.filters.http.x[y]"],
      ),
      values(text),
    )
    .map(([key, rest]) => ({ key, ...rest })),
  fc
    .tuple(fc.constantFrom("source.ip", "remote.ip", "destination.ip"), values(address))
    .map(([key, rest]) => ({ key, ...rest })),
  values(port).map((rest) => ({ key: "destination.port", ...rest })),
  values(account).map((rest) => ({ key: "source.serviceAccount", ...rest })),
);

const rule: fc.Arbitrary<AuthorizationRule> = fc
  .record(
    {
      from: fc.array(
        source.map((each) => ({ source: each })),
        { minLength: 1, maxLength: 2 },
      ),
      to: fc.array(
        operation.map((each) => ({ operation: each })),
        { minLength: 1, maxLength: 2 },
      ),
      when: fc.array(condition, { maxLength: 2 }),
    },
    { requiredKeys: [] },
  )
  .map((each) => each as AuthorizationRule);

/** With the name of a provider that there is, and of one that there is not. */
export const authorizationPolicySpec = (providers: readonly string[]): fc.Arbitrary<AuthorizationPolicySpec> =>
  fc
    .tuple(
      fc.constantFrom("ALLOW", "DENY", "AUDIT", "CUSTOM", undefined),
      fc.constantFrom(...providers),
      fc.array(rule, { maxLength: 3 }),
      fc.constantFrom<Record<string, string> | undefined>(undefined, { app: "a" }, { app: "b" }),
    )
    .map(([action, name, rules, matchLabels]) => ({
      rules,
      ...(action === undefined ? {} : { action }),
      ...(action === "CUSTOM" ? { provider: { name } } : {}),
      ...(matchLabels === undefined ? {} : { selector: { matchLabels } }),
    })) as fc.Arbitrary<AuthorizationPolicySpec>;
