import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decide } from "../../support/authorization/reference.js";
import type { HttpRequest, Operation, Source, Workload } from "../../support/authorization/types.js";
import { http, peer, policy, token, workload } from "./support.js";

/** What single values match. Each row: the value, what it is asked about, and whether they match. */

const test = suite("reference evaluator: values");

type Field = (value: string) => { readonly source?: Source; readonly operation?: Operation; readonly key?: string };
type Row = readonly [value: string, request: Partial<HttpRequest>, isMatch: boolean];

const matches = (field: Field, value: string, request: HttpRequest, own: Workload): boolean => {
  const { source, operation, key } = field(value);
  const rule = {
    ...(source === undefined ? {} : { from: [{ source }] }),
    ...(operation === undefined ? {} : { to: [{ operation }] }),
    ...(key === undefined ? {} : { when: [{ key, values: [value] }] }),
  };
  return decide([policy({ rules: [rule] })], own, request).verdict === "allow";
};

const table = (what: string, field: Field, rows: readonly Row[], own: Partial<Workload> = {}): void => {
  test(what, () => {
    for (const [value, request, isMatch] of rows)
      assert.is(matches(field, value, http(request), workload(own)), isMatch, `${value} ${JSON.stringify(request)}`);
  });
};

const when =
  (key: string): Field =>
  () => ({ key });
const paths: Field = (value) => ({ operation: { paths: [value] } });
const path = (text: string): Partial<HttpRequest> => ({ path: text });

table("exact, prefix, suffix, presence", (value) => ({ operation: { methods: [value] } }), [
  ["GET", {}, true],
  ["get", {}, false],
  ["G*", {}, true],
  ["GET*", {}, true],
  ["*ET", {}, true],
  ["*", {}, true],
  ["G*T", {}, false],
  ["GETS", {}, false],
]);

table("paths are without query, in one form, with case", paths, [
  ["/admin", path("/admin?x=1"), true],
  ["/admin", path("/admin/"), false],
  ["/admin*", path("/administrator"), true],
  ["/admin", path("/info/../admin"), true],
  ["/admin", path("/./%61dmin"), true],
  ["/admin", path("//admin"), false],
  ["/admin", path("/Admin"), false],
  ["/admin/users", path("/admin%2Fusers"), false],
  ["/foo/bar", path("/foo\\bar"), true],
  ["*.txt", path("/a/b.txt"), true],
  ["/foo/", path("/foo/bar/.."), true],
]);

table("templates", paths, [
  ["/foo/{*}", path("/foo/bar"), true],
  ["/foo/{*}", path("/foo/bar/baz"), false],
  ["/foo/{*}", path("/foo/"), false],
  ["/foo/{*}", path("/foo/a=b*c"), true],
  ["/foo/{*}", path("/foo/a[b"), false],
  ["/foo/{**}", path("/foo/a[b"), false],
  ["/foo/{*}", path("/foo/bar?x"), true],
  ["/foo/{**}", path("/foo/"), true],
  ["/foo/{**}", path("/foo/a/b.txt"), true],
  ["/foo/{**}", path("/foo"), false],
  ["/foo/{**}/", path("/foo/bar/"), true],
  ["/foo/{**}/", path("/foo//"), true],
  ["/foo/{**}/", path("/foo/bar/baz.txt"), false],
  ["/foo/{*}/bar/{**}", path("/foo/buzz/bar/"), true],
  ["/foo/{*}/bar/{**}", path("/foo/buzz/bar/baz"), true],
  ["/foo.{*}", path("/foox"), false],
]);

table("hosts are without case and with the port that was sent", (value) => ({ operation: { hosts: [value] } }), [
  ["Shop.example.com", { authority: "shop.EXAMPLE.com" }, true],
  ["shop.example.com", { authority: "shop.example.com:8080" }, false],
  ["shop.example.com:*", { authority: "shop.example.com:8080" }, true],
  ["*.EXAMPLE.com", { authority: "shop.example.com" }, true],
  ["*.example.com", { authority: "example.com" }, false],
]);

table("addresses and blocks", when("source.ip"), [
  ["10.1.2.3", {}, true],
  ["10.1.2.0/24", {}, true],
  ["10.1.2.77/24", {}, true],
  ["10.1.2.4/30", {}, false],
  ["0.0.0.0/0", {}, true],
  ["::/0", {}, false],
  ["::/0", { sourceAddress: "2001:db8::1" }, true],
  ["2001:db8::/127", { sourceAddress: "2001:db8::1" }, true],
  ["2001:db8::/127", { sourceAddress: "2001:db8::2" }, false],
]);

table("the remote address is the last of X-Forwarded-For, or the connection's", when("remote.ip"), [
  ["203.0.113.4", { forwardedFor: ["198.51.100.1", "203.0.113.4"] }, true],
  ["198.51.100.1", { forwardedFor: ["198.51.100.1", "203.0.113.4"] }, false],
  ["10.1.2.3", {}, true],
]);

const carrying = (...values: readonly string[]): Partial<HttpRequest> => ({
  headers: values.map((value) => ["X-Role", value]),
});
table(
  "headers: names without case, each of several by itself, presence of empty ones",
  when("request.headers[x-role]"),
  [
    ["admin", carrying("admin"), true],
    ["admin", carrying("Admin"), false],
    ["admin", carrying("user", "admin"), true],
    ["user,admin", carrying("user", "admin"), false],
    ["user,admin", carrying("user,admin"), true],
    ["*", carrying(""), true],
    ["*", {}, false],
  ],
);

table("server names are in lower case", when("connection.sni"), [
  ["shop.example.com", { serverName: "Shop.Example.com" }, true],
  ["Shop.Example.com", { serverName: "Shop.Example.com" }, false],
  ["*", { serverName: undefined }, false],
]);

const withToken = (fields: Parameters<typeof token>[0]): Partial<HttpRequest> => ({ token: token(fields) });
const alice = withToken({});
table("a request principal is one text", (value) => ({ source: { requestPrincipals: [value] } }), [
  ["https://accounts.example.com/alice", alice, true],
  ["https://accounts.example.com/*", alice, true],
  ["https://accounts.example.com/al*", alice, true],
  ["https://accounts*", alice, true],
  ["issuer*", withToken({ issuer: "issuer-b" }), true],
  ["*/alice", alice, true],
  ["*lice", alice, true],
  ["*.example.com/alice", alice, true],
  ["*/bob", alice, false],
  ["*", alice, true],
  ["*", {}, false],
]);

const claims = withToken({
  audiences: ["shop", "api"],
  presenter: "app",
  claims: {
    roles: ["admin", "dev"],
    realm: { access: { roles: ["owner"] } },
    scope: "read write",
    level: 3,
    plain: "read write",
  },
});
for (const [key, value, isMatch] of [
  ["request.auth.claims[roles]", "admin", true],
  ["request.auth.claims[roles]", "adm*", true],
  ["request.auth.claims[roles]", "admin,dev", false],
  ["request.auth.claims[realm][access][roles]", "owner", true],
  ["request.auth.claims[realm][access]", "*", false],
  ["request.auth.claims[scope]", "read", true],
  ["request.auth.claims[scope]", "read write", false],
  ["request.auth.claims[plain]", "read write", true],
  ["request.auth.claims[plain]", "read", false],
  ["request.auth.claims[level]", "3", false],
  ["request.auth.claims[none]", "*", false],
  ["request.auth.claims[iss]", "https://accounts.example.com", true],
  ["request.auth.audiences", "api", true],
  ["request.auth.presenter", "app", true],
  ["request.auth.presenter", "shop", false],
] as const)
  table(`${key} ${isMatch ? "is" : "is not"} ${value}`, when(key), [[value, claims, isMatch]]);

const old = { peer: peer("shop/web", "old.example") };
const aliases = { trustDomain: "new.example", trustDomainAliases: ["old.example"] };
table(
  "a principal of one of the mesh's domains means the account in all of them",
  (value) => ({ source: { principals: [value] } }),
  [
    ["new.example/ns/shop/sa/web", old, true],
    ["cluster.local/ns/shop/sa/web", old, true],
    ["cluster.local/ns/shop/sa/w*", old, true],
    ["cluster.local/ns/shop/*", old, true],
    ["cluster.local/*", old, true],
    ["cluster.*", old, false],
    ["other.example/ns/shop/sa/web", old, false],
    ["*/ns/shop/sa/web", old, true],
    ["*.example/ns/shop/sa/web", old, true],
    ["*", old, true],
    ["*", { peer: undefined }, false],
  ],
  aliases,
);
table(
  "a trust domain of the mesh means all of them",
  (value) => ({ source: { trustDomains: [value] } }),
  [
    ["new.example", old, true],
    ["old.example", old, true],
    ["new.*", old, false],
    ["*.example", old, true],
    ["cluster.local", old, false],
    ["*", { peer: undefined }, false],
  ],
  aliases,
);
table("namespaces", (value) => ({ source: { namespaces: [value] } }), [
  ["shop", {}, true],
  ["shop", { peer: peer("shop-admin/web") }, false],
  ["shop*", { peer: peer("shop-admin/web") }, true],
  ["*", {}, true],
  ["*", { peer: undefined }, false],
]);

test.run();
