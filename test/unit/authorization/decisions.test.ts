import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decide } from "../../support/authorization/reference.js";
import type { AuthorizationPolicy, Request, Verdict, Workload } from "../../support/authorization/types.js";
import { http, peer, policy, tcp, token, workload } from "./support.js";

/** The examples of Istio's documents, and what they are said to do. */

const test = suite("reference evaluator: documented examples");

interface Case {
  readonly what: string;
  readonly policies: readonly AuthorizationPolicy[];
  readonly workload?: Partial<Workload>;
  readonly verdicts: readonly (readonly [expected: Verdict, request: Request])[];
}

const nothing = policy({}, { name: "nothing" });
const everything = policy({ rules: [{}] }, { name: "everything" });
const deny = (rules: AuthorizationPolicy["spec"]["rules"], metadata = {}): AuthorizationPolicy =>
  policy({ action: "DENY", rules: rules ?? [] }, { name: "deny", ...metadata });
const custom = (name: string, rules = [{ to: [{ operation: { paths: ["/admin/*"] } }] }]): AuthorizationPolicy =>
  policy({ action: "CUSTOM", provider: { name }, rules }, { name: `custom-${name}` });

const callersAndDoings = policy({
  action: "ALLOW",
  rules: [
    {
      from: [{ source: { principals: ["cluster.local/ns/default/sa/sleep"] } }, { source: { namespaces: ["test"] } }],
      to: [
        { operation: { methods: ["GET"], paths: ["/info*"] } },
        { operation: { methods: ["POST"], paths: ["/data"] } },
      ],
      when: [{ key: "request.auth.claims[iss]", values: ["https://accounts.example.com"] }],
    },
  ],
});
const signedIn = { token: token(), peer: peer("default/sleep") };

const cases: readonly Case[] = [
  {
    what: "without policies all is allowed",
    policies: [],
    verdicts: [
      ["allow", http({ peer: undefined })],
      ["allow", tcp()],
    ],
  },
  {
    what: "ALLOW without rules allows nothing",
    policies: [nothing],
    verdicts: [
      ["deny", http()],
      ["deny", tcp()],
    ],
  },
  { what: "an empty list of rules is none", policies: [policy({ rules: [] })], verdicts: [["deny", http()]] },
  {
    what: "an empty rule allows all",
    policies: [nothing, everything],
    verdicts: [
      ["allow", http({ peer: undefined })],
      ["allow", tcp()],
    ],
  },
  {
    what: "DENY without rules denies nothing",
    policies: [deny([])],
    verdicts: [
      ["allow", http()],
      ["allow", tcp()],
    ],
  },
  {
    what: "DENY comes before ALLOW",
    policies: [everything, deny([{}])],
    verdicts: [
      ["deny", http()],
      ["deny", tcp()],
    ],
  },
  {
    what: "callers, doings and conditions all have to be met",
    policies: [callersAndDoings],
    verdicts: [
      ["allow", http(signedIn)],
      ["allow", http({ ...signedIn, peer: peer("test/any") })],
      ["allow", http({ ...signedIn, method: "POST", path: "/data?x=1" })],
      ["deny", http({ ...signedIn, method: "POST" })],
      ["deny", http({ ...signedIn, path: "/inf" })],
      ["deny", http({ ...signedIn, peer: peer("default/other") })],
      ["deny", http({ ...signedIn, peer: undefined })],
      ["deny", http({ ...signedIn, token: undefined })],
      ["deny", http({ ...signedIn, token: token({ issuer: "https://other.example.com" }) })],
      ["deny", tcp({ peer: peer("test/any") })],
    ],
  },
  {
    what: "one namespace may not POST, and sends no TCP at all",
    policies: [deny([{ from: [{ source: { namespaces: ["dev"] } }], to: [{ operation: { methods: ["POST"] } }] }])],
    verdicts: [
      ["deny", http({ peer: peer("dev/web"), method: "POST" })],
      ["allow", http({ peer: peer("dev/web") })],
      ["allow", http({ method: "POST" })],
      ["deny", tcp({ peer: peer("dev/web") })],
      ["allow", tcp()],
    ],
  },
  {
    what: "DENY of a method on a port denies all TCP on that port, and without the port all TCP",
    policies: [deny([{ to: [{ operation: { methods: ["POST"], ports: ["8080"] } }] }])],
    verdicts: [
      ["deny", http({ method: "POST" })],
      ["allow", http()],
      ["allow", http({ method: "POST", destinationPort: 9090 })],
      ["deny", tcp()],
      ["allow", tcp({ destinationPort: 9090 })],
    ],
  },
  {
    what: "ALLOW of a method and a port on TCP is left out as a whole, other rules stand",
    policies: [
      policy({
        rules: [
          { to: [{ operation: { ports: ["9090"] } }, { operation: { methods: ["GET"] } }] },
          { to: [{ operation: { ports: ["7070"] } }] },
        ],
      }),
    ],
    verdicts: [
      ["deny", tcp({ destinationPort: 9090 })],
      ["allow", tcp({ destinationPort: 7070 })],
      ["allow", http({ destinationPort: 9090, method: "PUT" })],
    ],
  },
  {
    what: "notMethods too are HTTP's: a DENY of them alone denies all TCP",
    policies: [deny([{ to: [{ operation: { notMethods: ["GET"] } }] }])],
    verdicts: [
      ["allow", http()],
      ["deny", http({ method: "PUT" })],
      ["deny", tcp()],
    ],
  },
  {
    what: "AUDIT never denies",
    policies: [policy({ action: "AUDIT", rules: [{}] })],
    verdicts: [["allow", http()]],
  },
  {
    what: "a selector chooses by labels, in the root namespace in all namespaces",
    policies: [policy({ selector: { matchLabels: { version: "v1" } } }, { namespace: "istio-system" })],
    verdicts: [["deny", http()]],
  },
  {
    what: "labels of which one differs do not select",
    policies: [policy({ selector: { matchLabels: { app: "cart", version: "v2" } } })],
    verdicts: [["allow", http()]],
  },
  {
    what: "another namespace's policies, and those for a Gateway, are for others",
    policies: [
      policy({}, { namespace: "other" }),
      policy({ targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "ingress" }] }),
    ],
    verdicts: [["allow", http()]],
  },
  {
    what: "a token is wanted everywhere but for the health check",
    policies: [
      policy({
        rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }, { to: [{ operation: { paths: ["/healthz"] } }] }],
      }),
    ],
    verdicts: [
      ["deny", http()],
      ["allow", http({ token: token() })],
      ["allow", http({ path: "/healthz" })],
      ["deny", http({ token: token({ subject: undefined }) })],
    ],
  },
  {
    what: "another issuer for each host",
    policies: [
      policy({
        rules: [
          {
            from: [{ source: { requestPrincipals: ["issuer-foo/*"] } }],
            to: [{ operation: { hosts: ["example.com"] } }],
          },
          {
            from: [{ source: { requestPrincipals: ["issuer-bar/*"] } }],
            to: [{ operation: { hosts: ["Another-Host.com"] } }],
          },
        ],
      }),
    ],
    verdicts: [
      ["allow", http({ authority: "EXAMPLE.com", token: token({ issuer: "issuer-foo" }) })],
      ["allow", http({ authority: "another-host.com", token: token({ issuer: "issuer-bar" }) })],
      ["deny", http({ authority: "example.com", token: token({ issuer: "issuer-bar" }) })],
      ["deny", http({ authority: "example.com:8080", token: token({ issuer: "issuer-foo" }) })],
    ],
  },
  {
    what: "who is not in a namespace is also who has no certificate",
    policies: [deny([{ from: [{ source: { notNamespaces: ["shop"] } }] }])],
    verdicts: [
      ["allow", http()],
      ["deny", http({ peer: peer("dev/web") })],
      ["deny", http({ peer: undefined })],
      ["deny", tcp({ peer: undefined })],
    ],
  },
  {
    what: "an account without namespace is of the policy's namespace, whatever its trust domain",
    policies: [policy({ rules: [{ from: [{ source: { serviceAccounts: ["web", "dev/job"] } }] }] })],
    workload: { trustDomainAliases: ["old"] },
    verdicts: [
      ["allow", http()],
      ["allow", http({ peer: peer("shop/web", "old") })],
      ["allow", http({ peer: peer("dev/job") })],
      ["deny", http({ peer: peer("dev/web") })],
      ["deny", http({ peer: peer("shop/web-admin") })],
    ],
  },
  {
    what: "an external authorizer is asked about what its policy matches, and overrules no other policy",
    policies: [custom("ask"), deny([{ to: [{ operation: { methods: ["PUT"] } }] }])],
    verdicts: [
      ["deny", http({ path: "/admin/x", external: "deny" })],
      ["allow", http({ path: "/admin/x" })],
      ["allow", http({ external: "deny" })],
      ["deny", http({ path: "/admin/x", method: "PUT" })],
    ],
  },
  {
    what: "an authorizer that speaks HTTP cannot be asked about TCP, one that speaks gRPC can",
    policies: [custom("ask")],
    verdicts: [["deny", tcp({ external: "allow" })]],
  },
  {
    what: "gRPC on TCP",
    policies: [custom("ask-any")],
    verdicts: [
      ["deny", tcp({ external: "deny" })],
      ["allow", tcp()],
    ],
  },
  {
    what: "an authorizer that is unknown denies what it would have been asked about",
    policies: [custom("nobody")],
    verdicts: [
      ["deny", http({ path: "/admin/x" })],
      ["allow", http()],
      ["deny", tcp()],
    ],
  },
  {
    what: "two authorizers for one workload deny what either would have been asked about",
    policies: [custom("ask"), custom("ask-any", [{ to: [{ operation: { paths: ["/other"] } }] }])],
    verdicts: [
      ["deny", http({ path: "/admin/x" })],
      ["deny", http({ path: "/other" })],
      ["allow", http()],
    ],
  },
];

for (const { what, policies, workload: fields, verdicts } of cases)
  test(what, () => {
    for (const [expected, request] of verdicts)
      assert.is(decide(policies, workload(fields), request).verdict, expected, JSON.stringify(request));
  });

test("a dry run denies nothing, allows nothing, and tells what it would have done", () => {
  const dry = (action: "ALLOW" | "DENY", annotation = "true"): AuthorizationPolicy =>
    policy(
      { action, rules: [{ to: [{ operation: { paths: ["/headers"] } }] }] },
      { name: `dry-${action}`, annotations: { "istio.io/dry-run": annotation } },
    );
  const both = [dry("ALLOW"), dry("DENY")];
  assert.equal(decide(both, workload(), http({ path: "/headers" })), {
    verdict: "allow",
    shadow: { allow: "allow", deny: "deny" },
    isAudited: false,
  });
  assert.equal(decide(both, workload(), http()).shadow, { allow: "deny", deny: "allow" });
  assert.is(decide([dry("DENY", "false")], workload(), http({ path: "/headers" })).verdict, "deny");
  assert.is(decide([dry("DENY", "yes")], workload(), http({ path: "/headers" })).verdict, "deny");
});

test("who decided is told", () => {
  assert.is(decide([everything, deny([{}])], workload(), http()).by, "shop/deny");
  assert.is(decide([nothing, everything], workload(), http()).by, "shop/everything");
  assert.is(decide([nothing], workload(), http()).by, undefined);
  assert.is(decide([policy({ action: "AUDIT", rules: [{}] })], workload(), http()).isAudited, true);
});

test.run();
