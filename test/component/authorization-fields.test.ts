import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, service } from "./support/manifests.js";
import { bracketed, type CallOptions, type Mesh, startMesh } from "./support/mesh.js";
import { authorizationPolicy, callers, forServer } from "./support/policies.js";

/** Every field of an AuthorizationPolicy by requests that match it and requests that do not. */
const test = suite<{ mesh: Mesh }>("fields of AuthorizationPolicies");

const ports = { http: [80, 8080], http2: [81, 8081] } as const;

test.before(async (context) => {
  context.mesh = await startMesh({
    dualStack: true,
    mesh: { trustDomainAliases: ["old.example"] },
    yaml: join(
      callers,
      service("server", ports, { namespace: "shop", spec: { ipFamilyPolicy: "PreferDualStack" } }),
      echoPod("server", "server", { namespace: "shop" }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

type Call = readonly [pod: string, path: string, options: CallOptions];
const from = (source: object) => ({ from: [{ source }] });
const to = (operation: object) => ({ to: [{ operation }] });
const when = (key: string, values: readonly string[] | undefined, notValues?: readonly string[]) => ({
  when: [{ key, ...(values && { values }), ...(notValues && { notValues }) }],
});
const get = (pod: string, path = "/", options: CallOptions = {}): Call => [pod, path, options];
const headers = (given: NonNullable<CallOptions["headers"]>): CallOptions => ({ headers: given });

interface Row {
  readonly name: string;
  readonly rule: object;
  readonly matches: readonly Call[];
  readonly misses: readonly Call[];
}

const everyone = [get("frontend"), get("batch"), get("outside")] as const;
const [frontend, batch, outside] = everyone;

const rows: readonly Row[] = [
  { name: "an empty rule", rule: {}, matches: everyone, misses: [] },
  {
    name: "principals, exact",
    rule: from({ principals: ["cluster.local/ns/shop/sa/frontend"] }),
    matches: [frontend],
    misses: [batch, outside],
  },
  {
    name: "principals of an alias of the trust domain",
    rule: from({ principals: ["old.example/ns/shop/sa/frontend"] }),
    matches: [frontend],
    misses: [batch, outside],
  },
  {
    name: "principals, by their beginning",
    rule: from({ principals: ["cluster.local/ns/jobs/*"] }),
    matches: [batch],
    misses: [frontend, outside],
  },
  {
    name: "principals, by their end",
    rule: from({ principals: ["*/sa/batch"] }),
    matches: [batch],
    misses: [frontend, outside],
  },
  { name: "principals, any", rule: from({ principals: ["*"] }), matches: [frontend, batch], misses: [outside] },
  {
    name: "principals are no regular expressions",
    rule: from({ principals: ["cluster.local/ns/shop/sa/fr.ntend", "cluster.local/ns/.*"] }),
    matches: [],
    misses: everyone,
  },
  {
    name: "notPrincipals, which callers in plaintext match",
    rule: from({ notPrincipals: ["cluster.local/ns/shop/sa/frontend"] }),
    matches: [batch, outside],
    misses: [frontend],
  },
  {
    name: "namespaces, exact",
    rule: from({ namespaces: ["jobs"] }),
    matches: [batch],
    misses: [frontend, outside],
  },
  {
    name: "namespaces, by beginning and end",
    rule: from({ namespaces: ["jo*", "*op"] }),
    matches: [frontend, batch],
    misses: [outside],
  },
  {
    name: "namespaces are no regular expressions and no parts",
    rule: from({ namespaces: ["sh.p", "job", "jobs|shop", "shop/sa/frontend"] }),
    matches: [],
    misses: everyone,
  },
  {
    name: "notNamespaces",
    rule: from({ notNamespaces: ["jobs"] }),
    matches: [frontend, outside],
    misses: [batch],
  },
  {
    name: "serviceAccounts of the policy's own namespace and of another",
    rule: from({ serviceAccounts: ["frontend", "jobs/batch"] }),
    matches: [frontend, batch],
    misses: [outside],
  },
  {
    name: "serviceAccounts without a namespace are not of others, and no regular expressions",
    rule: from({ serviceAccounts: ["batch", "shop/front.nd", "./frontend"] }),
    matches: [],
    misses: everyone,
  },
  {
    name: "notServiceAccounts",
    rule: from({ notServiceAccounts: ["frontend"] }),
    matches: [batch, outside],
    misses: [frontend],
  },
  {
    name: "trustDomains",
    rule: from({ trustDomains: ["cluster.*"] }),
    matches: [frontend, batch],
    misses: [outside],
  },
  {
    name: "notTrustDomains",
    rule: from({ notTrustDomains: ["cluster.local"] }),
    matches: [outside],
    misses: [frontend, batch],
  },
  {
    name: "fields of a source all hold",
    rule: from({ namespaces: ["shop", "jobs"], notPrincipals: ["*/sa/batch"] }),
    matches: [frontend],
    misses: [batch, outside],
  },
  {
    name: "one of several sources is enough",
    rule: { from: [{ source: { namespaces: ["shop"] } }, { source: { notPrincipals: ["*"] } }] },
    matches: [frontend, outside],
    misses: [batch],
  },
  {
    name: "methods",
    rule: to({ methods: ["GET", "P*"] }),
    matches: [frontend, get("frontend", "/", { method: "POST" }), get("frontend", "/", { method: "PUT" })],
    misses: [get("frontend", "/", { method: "DELETE" }), get("outside", "/", { method: "DELETE" })],
  },
  {
    name: "notMethods",
    rule: to({ notMethods: ["GET"] }),
    matches: [get("frontend", "/", { method: "DELETE" })],
    misses: everyone,
  },
  {
    name: "paths, exact, without the query",
    rule: to({ paths: ["/api/v1"] }),
    matches: [get("frontend", "/api/v1"), get("frontend", "/api/v1?a=b"), get("outside", "/x/../api/v1")],
    misses: [
      get("frontend", "/api/v1/"),
      get("frontend", "/api/v11"),
      get("frontend", "/?/api/v1"),
      get("frontend", "/API/v1"),
    ],
  },
  {
    name: "paths, by beginning and end",
    rule: to({ paths: ["/api/*", "*.html"] }),
    matches: [get("frontend", "/api/v1"), get("frontend", "/api/"), get("frontend", "/a/b.html?c")],
    misses: [get("frontend", "/apix"), get("frontend", "/b.htm"), get("frontend", "/b?x.html")],
  },
  {
    name: "notPaths",
    rule: to({ paths: ["/api/*"], notPaths: ["/api/admin*"] }),
    matches: [get("frontend", "/api/v1")],
    misses: [get("frontend", "/api/admin"), get("frontend", "/api/x/../admin/y"), get("frontend", "/other")],
  },
  {
    name: "templates of one segment",
    rule: to({ paths: ["/shop/{*}/order", "/t.p/{*}"] }),
    matches: [get("frontend", "/shop/17/order"), get("frontend", "/shop/a%20b/order?x"), get("frontend", "/t.p/a")],
    misses: [
      ...[get("frontend", "/shop//order"), get("frontend", "/shop/a/b/order"), get("frontend", "/shop/order")],
      ...[get("frontend", "/shop/17/order/x"), get("frontend", "/tap/a"), get("frontend", "/t.p/")],
    ],
  },
  {
    name: "templates of any number of segments",
    rule: to({ paths: ["/files/{*}/{**}", "/deep/{**}/end"] }),
    matches: [
      ...[get("frontend", "/files/a/"), get("frontend", "/files/a/b"), get("frontend", "/files/a/b/c.txt")],
      ...[get("frontend", "/deep/a/b/end"), get("frontend", '/files/a/b"c<d>|e^f')],
    ],
    misses: [get("frontend", "/files/a"), get("frontend", "/files//b"), get("frontend", "/deep/a/b/ende")],
  },
  {
    name: "hosts, in any case, with the port that is named",
    rule: to({ hosts: ["server.SHOP", "*.example:8080"] }),
    matches: [
      frontend,
      get("outside", "/", headers({ host: "Server.shop" })),
      get("frontend", "/", headers({ host: "a.example:8080" })),
    ],
    misses: [
      get("outside", "/", headers({ host: "server.shop:80" })),
      get("outside", "/", headers({ host: "a.example" })),
    ],
  },
  {
    name: "notHosts",
    rule: to({ notHosts: ["server.shop*"] }),
    matches: [get("outside", "/", headers({ host: "other" }))],
    misses: [frontend, get("outside", "/", headers({ host: "server.shop:80" }))],
  },
  {
    name: "ports of the workload, not of the Service",
    rule: to({ ports: ["8080"] }),
    matches: everyone,
    misses: [get("frontend", ":81/", { protocol: "http2" }), get("outside", ":81/", { protocol: "http2" })],
  },
  {
    name: "notPorts",
    rule: to({ notPorts: ["8080"] }),
    matches: [get("frontend", ":81/", { protocol: "http2" })],
    misses: everyone,
  },
  {
    name: "request.headers, exact, beginning, end, any case of the name",
    rule: when("request.headers[X-Team]", ["a", "pre*", "*post"]),
    matches: ["a", "pre", "prefix", "xpost"].map((value) => get("outside", "/", headers({ "x-team": value }))),
    misses: [outside, ...["A", "ab", "apr", "posts"].map((value) => get("outside", "/", headers({ "x-team": value })))],
  },
  {
    name: "request.headers, any value",
    rule: when("request.headers[x-team]", ["*"]),
    matches: [get("outside", "/", headers({ "x-team": "z" }))],
    misses: everyone,
  },
  {
    name: "request.headers that shall not be, which a request without it matches",
    rule: when("request.headers[x-team]", undefined, ["a"]),
    matches: [outside, get("outside", "/", headers({ "x-team": "b" }))],
    misses: [get("outside", "/", headers({ "x-team": "a" }))],
  },
  {
    name: "values and notValues both hold",
    rule: when("request.headers[x-team]", ["a*"], ["ab"]),
    matches: [get("outside", "/", headers({ "x-team": "ac" }))],
    misses: [outside, get("outside", "/", headers({ "x-team": "ab" }))],
  },
  {
    name: "request.headers that are there several times: one of them is enough",
    rule: when("request.headers[x-team]", ["a"]),
    matches: [
      get("outside", "/", headers({ "x-team": ["b", "a"] })),
      get("outside", "/", headers({ "x-team": ["a", "b"] })),
    ],
    misses: [get("outside", "/", headers({ "x-team": ["b", "c"] }))],
  },
  {
    name: "source.namespace, source.principal, source.serviceAccount, source.trustDomain",
    rule: {
      when: [
        { key: "source.namespace", values: ["jobs", "shop"] },
        { key: "source.principal", notValues: ["*/sa/batch"] },
        { key: "source.serviceAccount", values: ["frontend", "jobs/batch"] },
        { key: "source.trustDomain", values: ["cluster.local"] },
      ],
    },
    matches: [frontend],
    misses: [batch, outside],
  },
  {
    name: "destination.port",
    rule: when("destination.port", ["8081"]),
    matches: [get("frontend", ":81/", { protocol: "http2" })],
    misses: everyone,
  },
  {
    name: "connection.sni, which only mutual TLS has",
    rule: when("connection.sni", ["outbound_.80_.*"]),
    matches: [frontend, batch],
    misses: [outside],
  },
  {
    name: "metadata of filters, which nobody has set",
    rule: when("experimental.envoy.filters.http.none[field]", ["*"]),
    matches: [],
    misses: everyone,
  },
  {
    name: "claims and identities of tokens that nobody has",
    rule: {
      from: [{ source: { requestPrincipals: ["*"] } }],
      when: [{ key: "request.auth.claims[a][b]", values: ["*"] }],
    },
    matches: [],
    misses: everyone,
  },
  {
    name: "claims and identities of tokens that shall not be",
    rule: {
      from: [{ source: { notRequestPrincipals: ["https://issuer.example/*"] } }],
      when: [
        { key: "request.auth.audiences", notValues: ["x"] },
        { key: "request.auth.presenter", notValues: ["x"] },
      ],
    },
    matches: everyone,
    misses: [],
  },
];

const statusOf = async (mesh: Mesh, [pod, path, options]: Call): Promise<number> => {
  const [port, rest] = path.startsWith(":") ? [":81", path.slice(3)] : ["", path];
  return (await mesh.call(pod, `http://server.shop${port}${rest}`, options))[0]!.status;
};

const check = async (mesh: Mesh, { name, rule, matches, misses }: Row): Promise<void> => {
  for (const action of ["ALLOW", "DENY"] as const) {
    await mesh.apply(authorizationPolicy("tried", { ...forServer, action, rules: [rule] }));
    const [onMatch, onMiss] = action === "ALLOW" ? [200, 403] : [403, 200];
    for (const [calls, expected] of [
      [matches, onMatch],
      [misses, onMiss],
    ] as const)
      for (const call of calls)
        assert.is(await statusOf(mesh, call), expected, `${name}, ${action}: ${JSON.stringify(call)}`);
  }
};

for (const row of rows) test(row.name, ({ mesh }) => check(mesh, row));

const addressesOf = (mesh: Mesh, pod: string): readonly string[] => mesh.pod(pod).network.addresses;

test("addresses of callers, in both families: ipBlocks, source.ip, remoteIpBlocks, destination.ip", async ({
  mesh,
}) => {
  const blocks = (pod: string): readonly string[] => addressesOf(mesh, pod);
  const wide = (address: string): string => (address.includes(":") ? `${address}/64` : `${address}/8`);
  const server = addressesOf(mesh, "server");
  const callsOf = async (pod: string): Promise<readonly number[]> =>
    Promise.all(server.map(async (address) => (await mesh.call(pod, `http://${bracketed(address)}:8080/`))[0]!.status));
  const try_ = async (rule: object, expected: Readonly<Record<string, number>>): Promise<void> => {
    await mesh.apply(authorizationPolicy("tried", { ...forServer, rules: [rule] }));
    for (const [pod, status] of Object.entries(expected))
      assert.equal(
        await callsOf(pod),
        server.map(() => status),
        `${pod}: ${JSON.stringify(rule)}`,
      );
  };
  await try_(from({ ipBlocks: blocks("outside") }), { outside: 200, frontend: 403 });
  await try_(from({ notIpBlocks: blocks("outside") }), { outside: 403, frontend: 200 });
  await try_(from({ ipBlocks: blocks("outside").map(wide) }), { outside: 200, frontend: 200 });
  await try_(when("source.ip", blocks("frontend")), { outside: 403, frontend: 200 });
  await try_(when("destination.ip", server), { outside: 200, frontend: 200 });
  await try_(when("destination.ip", undefined, server), { outside: 403, frontend: 403 });
  for (const rule of [
    from({ remoteIpBlocks: ["192.0.2.0/24", "2001:db8::/32"] }),
    when("remote.ip", ["192.0.2.0/24", "2001:db8::/32"]),
  ]) {
    await mesh.apply(authorizationPolicy("tried", { ...forServer, rules: [rule] }));
    for (const [client, status] of [
      ["192.0.2.7", 200],
      ["2001:db8::7", 200],
      ["198.51.100.7", 403],
    ] as const)
      assert.is(await statusOf(mesh, get("outside", "/", headers({ "x-forwarded-for": client }))), status, client);
  }
});

test.run();
