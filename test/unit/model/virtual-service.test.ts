import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import type { HttpMatchRequest, HttpRoute, VirtualService } from "../../../src/api/networking/virtual-service.js";
import { delegateKeysOf, destinationHostsOf, resolveVirtualService } from "../../../src/model/virtual-service.js";
import { arbitraryDelegate, arbitraryVirtualService } from "../../support/arbitrary/virtual-service.js";
import { resolved } from "../../support/routing.js";

const object = (
  name: string,
  spec: VirtualService["spec"],
  namespace = "shop",
): VirtualService & { readonly metadata: { readonly name: string; readonly namespace: string } } => ({
  metadata: { name, namespace },
  spec,
});
const route = (host: string) => ({ route: [{ destination: { host } }] });

test("names become full: by the namespace of the resource that says them", () => {
  const rule = resolved(
    object("root", {
      hosts: ["Reviews", "reviews.shop.svc.cluster.local", "*.example.com", "10.0.0.1", "a.other"],
      gateways: ["mesh", "gw", "istio-system/gw", "./local", "old.ns.svc.cluster.local"],
      http: [{ ...route("ratings"), mirror: { host: "Audit" } }],
      tls: [{ match: [{ sniHosts: ["A.Example.com"] }], ...route("b.c") }],
      tcp: [route("db")],
      exportTo: [".", "other"],
    }),
  );
  assert.is(rule.key, "shop/root");
  assert.equal(rule.hosts, ["reviews.shop.svc.cluster.local", "*.example.com", "10.0.0.1", "a.other"]);
  assert.equal(rule.gateways, ["mesh", "shop/gw", "istio-system/gw", "shop/local", "ns/old"]);
  assert.equal([...rule.exportTo], ["shop", "other"]);
  assert.equal(destinationHostsOf(rule), [
    "ratings.shop.svc.cluster.local",
    "b.c",
    "db.shop.svc.cluster.local",
    "audit.shop.svc.cluster.local",
  ]);
  assert.equal(rule.tls[0]!.match[0]!.sniHosts, ["a.example.com"]);
});

test("without gateways and exportTo it is for the mesh and for all, unless the mesh says otherwise", () => {
  const plain = object("root", { hosts: ["a"], http: [route("a")] });
  assert.equal(resolved(plain).gateways, ["mesh"]);
  assert.equal([...resolved(plain).exportTo], ["*"]);
  const mesh = { ...defaultMeshConfig, defaultVirtualServiceExportTo: ["."] };
  assert.equal([...resolveVirtualService(plain, () => undefined, mesh)!.exportTo], ["shop"]);
});

test("durations become milliseconds, deprecated fields the ones of today", () => {
  const [rule] = resolved(
    object("root", {
      hosts: ["a"],
      http: [
        {
          ...route("a"),
          timeout: "1.5s",
          retries: { attempts: 2, perTryTimeout: "0s", retryOn: " 503, 5xx ,", backoff: "10ms" },
          fault: { delay: { fixedDelay: "1m", percent: 5 } },
          mirror: { host: "b" },
          mirrorPercent: 7,
        },
      ],
    }),
  ).http;
  assert.is(rule!.timeoutMilliseconds, 1500);
  assert.equal(rule!.retries!.conditions, ["5xx"]);
  assert.equal(rule!.retries!.statuses, [503]);
  assert.is(rule!.retries!.perTryTimeoutMilliseconds, undefined, "0 is the route's own");
  assert.equal(rule!.fault!.delay, { milliseconds: 60_000, percentage: 5 });
  assert.is(rule!.mirrors![0]!.percentage, 7);
});

const root = (more: Partial<HttpRoute>, match?: readonly HttpMatchRequest[]): VirtualService =>
  object("root", {
    hosts: ["a"],
    http: [
      { ...more, ...(match === undefined ? {} : { match: [...match] }), delegate: { name: "d", namespace: "team" } },
      route("last"),
    ],
  });
const delegate = (http: readonly HttpRoute[], more: Partial<VirtualService["spec"]> = {}): VirtualService =>
  object("d", { ...more, http: [...http] }, "team");

test("a delegate has no routes of its own", () => {
  assert.is(
    resolveVirtualService(delegate([route("x")]), () => undefined, defaultMeshConfig),
    undefined,
  );
  assert.equal(delegateKeysOf(root({})), ["team/d"]);
  assert.equal(delegateKeysOf(object("d", { http: [{ delegate: { name: "e" } }] })), []);
});

test("a delegate's rules take the place of the rule that delegates", () => {
  const rule = resolved(
    root({ name: "outer", timeout: "1s", retries: { attempts: 1 }, headers: { request: { set: { a: "root" } } } }, [
      { uri: { prefix: "/a" }, name: "m", headers: { x: { exact: "1" } }, sourceLabels: { app: "a" } },
    ]),
    [
      delegate([
        { ...route("x"), name: "inner", timeout: "2s", match: [{ uri: { exact: "/a/b" }, name: "n", port: 80 }] },
        { ...route("y"), headers: { request: { set: { a: "delegate" } } } },
      ]),
    ],
  );
  assert.equal(rule.delegates, ["team/d"]);
  assert.equal(rule.findings, []);
  const [first, second, last] = rule.http;
  assert.is(first!.name, "outer-inner");
  assert.is(first!.timeoutMilliseconds, 2000);
  assert.is(first!.retries!.attempts, 1);
  assert.is(first!.headers!.request!.set!["a"], "root");
  assert.is(first!.route[0]!.destination.host, "x.team.svc.cluster.local");
  const [match] = first!.match;
  assert.is(match!.name, "m-n");
  assert.equal(match!.uri, { exact: "/a/b" });
  assert.equal(match!.headers, { x: { exact: "1" } });
  assert.equal(match!.sourceLabels, { app: "a" });
  assert.is(match!.port, 80);
  assert.is(second!.name, "outer");
  assert.is(second!.headers!.request!.set!["a"], "delegate");
  assert.equal(second!.match[0]!.uri, { prefix: "/a" });
  assert.is(last!.route[0]!.destination.host, "last.shop.svc.cluster.local");
});

const within: readonly (readonly [string, HttpMatchRequest, HttpMatchRequest, boolean])[] = [
  ["prefix in prefix", { uri: { prefix: "/a" } }, { uri: { prefix: "/a/b" } }, true],
  ["exact in prefix", { uri: { prefix: "/a" } }, { uri: { exact: "/ab" } }, true],
  ["prefix not in a longer one", { uri: { prefix: "/a/b" } }, { uri: { prefix: "/a" } }, false],
  ["prefix not in exact", { uri: { exact: "/a" } }, { uri: { prefix: "/a" } }, false],
  ["the same exact", { uri: { exact: "/a" } }, { uri: { exact: "/a" } }, true],
  ["another exact", { uri: { exact: "/a" } }, { uri: { exact: "/b" } }, false],
  ["regex in regex", { uri: { regex: "/a.*" } }, { uri: { regex: "/ab.*" } }, false],
  ["the same regex", { uri: { regex: "/a.*" } }, { uri: { regex: "/a.*" } }, true],
  ["regex in prefix", { uri: { prefix: "/" } }, { uri: { regex: "/a.*" } }, false],
  ["exact in presence", { headers: { x: {} } }, { headers: { x: { exact: "1" } } }, true],
  ["presence not in exact", { headers: { x: { exact: "1" } } }, { headers: { x: {} } }, false],
  ["another header", { headers: { x: { exact: "1" } } }, { headers: { y: { exact: "1" } } }, true],
  ["another method", { method: { exact: "GET" } }, { method: { exact: "PUT" } }, false],
  ["another parameter value", { queryParams: { q: { exact: "1" } } }, { queryParams: { q: { exact: "2" } } }, false],
  ["case of the path", { uri: { prefix: "/a" }, ignoreUriCase: true }, { uri: { prefix: "/a" } }, false],
  ["another port", { port: 80 }, { port: 81 }, false],
  ["another namespace", { sourceNamespace: "a" }, { sourceNamespace: "b" }, false],
  ["another label value", { sourceLabels: { a: "1" } }, { sourceLabels: { a: "2" } }, false],
  ["one more label", { sourceLabels: { a: "1" } }, { sourceLabels: { b: "2" } }, true],
  ["a gateway too many", { gateways: ["mesh"] }, { gateways: ["mesh", "shop/gw"] }, false],
  ["one of the gateways", { gateways: ["mesh", "shop/gw"] }, { gateways: ["mesh"] }, true],
];

for (const [name, outer, inner, isWithin] of within)
  test(`a delegate's match has to be within the root's: ${name}`, () => {
    const rule = resolved(root({}, [outer]), [delegate([{ ...route("x"), match: [inner] }])]);
    assert.is(rule.http.length, isWithin ? 2 : 1);
    if (isWithin) assert.equal(rule.findings, []);
    else {
      assert.is(rule.findings.length, 1);
      assert.is(rule.findings[0]!.path, "spec.http[0].delegate");
      assert.match(
        rule.findings[0]!.message,
        /^spec\.http\[0\] of team\/d is left out: its match\[0\]\.\w+ is not within/,
      );
    }
  });

test("what cannot be delegated to is left out and said", () => {
  const cases: readonly (readonly [readonly VirtualService[], RegExp])[] = [
    [[], /^team\/d does not exist/],
    [[delegate([route("x")], { hosts: ["b"] })], /^team\/d has hosts/],
    [[delegate([route("x")], { exportTo: ["."] })], /^team\/d is not exported to shop/],
    [[delegate([route("x")], { exportTo: ["other"] })], /^team\/d is not exported to shop/],
    [[delegate([{ delegate: { name: "e" } }])], /^spec\.http\[0\] of team\/d delegates in turn/],
  ];
  for (const [others, message] of cases) {
    const rule = resolved(root({}), others);
    assert.is(rule.http.length, 1, "the rule after it stays");
    assert.match(rule.findings[0]!.message, message);
    assert.equal(rule.delegates, ["team/d"]);
  }
  assert.is(resolved(root({}), [delegate([route("x")], { exportTo: ["shop"] })]).http.length, 2);
});

test("a delegate's claims, which sidecars do not know, are said", () => {
  const claims = { "@request.auth.claims.a": { exact: "b" } };
  const rule = resolved(root({}), [delegate([{ ...route("x"), match: [{ headers: claims }] }])]);
  assert.match(rule.findings[0]!.message, /^spec\.http\[0\] of team\/d matches claims, which sidecars leave out/);
});

test("any VirtualService with any delegate resolves, and nothing is changed on the way", () => {
  fc.assert(
    fc.property(arbitraryVirtualService, arbitraryDelegate, (given, other) => {
      const http = (given.spec.http ?? []).map((rule, index) =>
        index === 0 ? { ...(rule.match === undefined ? {} : { match: rule.match }), delegate: { name: "d" } } : rule,
      );
      const object = { ...given, spec: { ...given.spec, http } };
      const before = JSON.stringify([object, other]);
      const first = resolveVirtualService(object, () => other, defaultMeshConfig);
      assert.equal(
        resolveVirtualService(object, () => other, defaultMeshConfig),
        first,
      );
      assert.is(JSON.stringify([object, other]), before);
    }),
    { numRuns: 300 },
  );
});

test.run();
