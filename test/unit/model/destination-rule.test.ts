import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import {
  type DestinationRule,
  type DestinationRuleSpec,
  destinationRule,
} from "../../../src/api/networking/destination-rule.js";
import {
  emptyDestinationRules,
  endpointsOfSubset,
  findDestinationRule,
  type NamespaceDestinationRules,
  policyFor,
} from "../../../src/model/destination-rule.js";
import type { Endpoint } from "../../../src/model/service.js";
import { arbitraryDestinationRule, arbitraryDestinationRuleSpec } from "../../support/arbitrary/destination-rule.js";

const mesh = defaultMeshConfig;
const rule = (name: string, spec: DestinationRuleSpec, day = 1): DestinationRule => ({
  metadata: { name, creationTimestamp: `2025-01-0${day}T00:00:00Z` as never },
  spec,
});
const namespaceOf = (namespace: string, ...rules: readonly DestinationRule[]): NamespaceDestinationRules =>
  emptyDestinationRules(namespace, mesh).with(new Map(rules.map((object) => [object.metadata!.name!, object])));
const meshOf = (namespaces: Readonly<Record<string, readonly DestinationRule[]>>) =>
  new Map(Object.entries(namespaces).map(([namespace, rules]) => [namespace, namespaceOf(namespace, ...rules)]));

const reviews = { host: "reviews.prod.svc.cluster.local", namespace: "prod" };
const lookup = (
  namespaces: Readonly<Record<string, readonly DestinationRule[]>>,
  namespace = "shop",
  labels: Readonly<Record<string, string>> = {},
): string | undefined =>
  findDestinationRule(meshOf(namespaces), { namespace, labels }, reviews, "istio-system")?.sources.join();

test("the client's namespace, then the service's, then the root", () => {
  const full = { host: reviews.host };
  const all = { shop: [rule("s", full)], prod: [rule("p", full)], "istio-system": [rule("r", { host: "*.local" })] };
  assert.is(lookup(all), "shop/s");
  assert.is(lookup(all, "elsewhere"), "prod/p");
  assert.is(lookup({ "istio-system": all["istio-system"] }), "istio-system/r");
  assert.is(lookup({ other: all.prod }), undefined, "no other namespace is looked at");
});

test("short names are of the rule's namespace; a partial name is no service", () => {
  assert.is(lookup({ prod: [rule("p", { host: "reviews" })] }), "prod/p");
  assert.is(lookup({ shop: [rule("s", { host: "reviews" })] }), undefined);
  assert.is(lookup({ prod: [rule("p", { host: "reviews.prod" })] }), undefined);
  assert.is(lookup({ prod: [rule("p", { host: "REVIEWS.Prod.svc.cluster.local" })] }), "prod/p");
});

test("the most specific host wins within a namespace, and hides nothing of it", () => {
  const wide = rule("wide", { host: "*" });
  const suffix = rule("suffix", { host: "*.prod.svc.cluster.local" });
  const exact = rule("exact", { host: reviews.host });
  assert.is(lookup({ shop: [wide, suffix, exact] }), "shop/exact");
  assert.is(lookup({ shop: [wide, suffix] }), "shop/suffix");
  assert.is(lookup({ shop: [wide], prod: [exact] }), "shop/wide", "the first namespace that has any wins as a whole");
});

test("exportTo hides a rule from clients elsewhere", () => {
  const own = rule("p", { host: reviews.host, exportTo: ["."] });
  assert.is(lookup({ prod: [own] }), undefined);
  assert.is(lookup({ prod: [own] }, "prod"), "prod/p");
  assert.is(lookup({ prod: [rule("p", { host: reviews.host, exportTo: ["shop"] })] }), "prod/p");
  assert.is(lookup({ prod: [rule("p", { host: reviews.host, exportTo: ["shop"] })] }, "prod"), undefined);
});

test("clients in the root namespace take its private rules first, the public ones last", () => {
  const root = [rule("public", { host: "*.local" })];
  assert.is(lookup({ "istio-system": root, prod: [rule("p", { host: "reviews" })] }, "istio-system"), "prod/p");
  const privately = [...root, rule("private", { host: "*.local", exportTo: ["."] })];
  assert.is(
    lookup({ "istio-system": privately, prod: [rule("p", { host: "reviews" })] }, "istio-system"),
    "istio-system/private",
  );
});

test("a selector chooses clients of its own namespace, before rules without", () => {
  const selected = rule("z", { host: reviews.host, workloadSelector: { matchLabels: { app: "a" } } }, 3);
  const general = rule("g", { host: reviews.host });
  assert.is(lookup({ shop: [general, selected] }, "shop", { app: "a" }), "shop/z");
  assert.is(lookup({ shop: [general, selected] }, "shop", { app: "b" }), "shop/g");
  assert.is(lookup({ prod: [selected] }, "shop", { app: "a" }), undefined, "it is private to its namespace");
});

test("rules for one host are merged: subsets add up, the oldest policy counts, what loses is told", () => {
  const rules = namespaceOf(
    "prod",
    rule("young", { host: "reviews", trafficPolicy: { tls: {} }, subsets: [{ name: "v1" }, { name: "v2" }] }, 2),
    rule("old", { host: "reviews", subsets: [{ name: "v1", labels: { version: "v1" } }] }),
    rule("youngest", { host: reviews.host, trafficPolicy: { loadBalancer: {} } }, 3),
  );
  const [merged, ...more] = rules.merged(reviews.host);
  assert.is(more.length, 0);
  assert.equal(merged!.sources, ["prod/old", "prod/young", "prod/youngest"]);
  assert.equal(merged!.trafficPolicy, { tls: {} });
  assert.equal(merged!.subsets, [{ name: "v1", labels: { version: "v1" } }, { name: "v2" }]);
  assert.equal(
    merged!.findings.map(({ key, finding }) => `${key} ${finding.severity} ${finding.path}`),
    ["prod/young warning spec.subsets[0].name", "prod/youngest warning spec.trafficPolicy"],
  );
});

test("equally old rules are ordered by name", () => {
  const specs = ["b", "a"].map((name) =>
    rule(name, { host: "reviews", trafficPolicy: { retryBudget: { percent: name === "a" ? 1 : 2 } } }),
  );
  assert.equal(namespaceOf("prod", ...specs).merged(reviews.host)[0]!.trafficPolicy, { retryBudget: { percent: 1 } });
});

test("rules with other exportTo stay apart, and the one that is overshadowed is told", () => {
  const rules = namespaceOf(
    "prod",
    rule("a", { host: "reviews" }),
    rule("b", { host: "reviews", exportTo: ["shop"] }, 2),
  );
  assert.equal(
    rules.merged(reviews.host).map(({ sources }) => sources.join()),
    ["prod/a", "prod/b"],
  );
  assert.equal(
    rules.merged(reviews.host)[1]!.findings.map(({ key, finding }) => `${key} ${finding.path}`),
    ["prod/b spec.exportTo"],
  );
});

test("policies override block by block; a port's settings replace all four blocks", () => {
  const [merged] = namespaceOf(
    "prod",
    rule("a", {
      host: "reviews",
      trafficPolicy: {
        loadBalancer: { simple: "RANDOM" },
        outlierDetection: { interval: "1s" },
        proxyProtocol: { version: "V2" },
        portLevelSettings: [{ port: { number: 443 }, tls: { mode: "SIMPLE" } }],
      },
      subsets: [
        { name: "v1", trafficPolicy: { loadBalancer: { simple: "ROUND_ROBIN" } } },
        {
          name: "v2",
          trafficPolicy: { tls: {}, portLevelSettings: [{ port: { number: 80 }, connectionPool: { tcp: {} } }] },
        },
        { name: "v3" },
      ],
    }),
  ).merged(reviews.host);
  const policy = (port: number, subset: string) => policyFor(merged, port, subset, mesh);
  const proxyProtocol = { version: "V2" };
  const whole = { loadBalancer: { simple: "RANDOM" }, outlierDetection: { interval: "1s" }, proxyProtocol };
  assert.equal(policy(80, ""), whole);
  assert.equal(policy(80, "v3"), whole);
  assert.equal(policy(80, "unknown"), whole);
  assert.equal(policy(443, ""), { tls: { mode: "SIMPLE" }, proxyProtocol });
  assert.equal(policy(80, "v1"), { ...whole, loadBalancer: { simple: "ROUND_ROBIN" } });
  assert.equal(policy(443, "v1"), { tls: { mode: "SIMPLE" }, loadBalancer: { simple: "ROUND_ROBIN" }, proxyProtocol });
  assert.equal(policy(80, "v2"), { connectionPool: { tcp: {} }, proxyProtocol });
  assert.equal(policy(9080, "v2"), { ...whole, tls: {} });
  assert.is(policy(80, "v1"), policy(80, "v1"), "equal inputs give the identical object");
  assert.is(policyFor(undefined, 80, "", mesh), policyFor(undefined, 443, "v1", mesh));
});

test("the mesh's default fills blocks that nobody set", () => {
  const defaults = {
    ...mesh,
    defaultTrafficPolicy: { outlierDetection: { interval: "9s" }, connectionPool: { tcp: {} } },
  };
  const [merged] = namespaceOf("prod", rule("a", { host: "reviews", trafficPolicy: { outlierDetection: {} } })).merged(
    reviews.host,
  );
  assert.equal(policyFor(undefined, 80, "", defaults), defaults.defaultTrafficPolicy);
  assert.equal(policyFor(merged, 80, "", defaults), { outlierDetection: {}, connectionPool: { tcp: {} } });
});

test("a subset's endpoints carry all its labels", () => {
  const endpoints = [
    { labels: { version: "v1" } },
    { labels: { version: "v1", team: "b" } },
    { labels: {} },
  ] as unknown as Endpoint[];
  assert.is(endpointsOfSubset(endpoints, {}), endpoints);
  assert.is(endpointsOfSubset(endpoints, undefined), endpoints);
  assert.equal(endpointsOfSubset(endpoints, { version: "v1" }), endpoints.slice(0, 2));
  assert.equal(endpointsOfSubset(endpoints, { version: "v1", team: "b" }), endpoints.slice(1, 2));
});

test("what did not change stays the identical object, also when its own rule came again", () => {
  const first = namespaceOf("prod", rule("a", { host: "reviews" }), rule("b", { host: "ratings" }));
  const [reviewsBefore] = first.merged(reviews.host);
  const [ratingsBefore] = first.merged("ratings.prod.svc.cluster.local");
  const again = first.with(new Map([["a", rule("a", { host: "reviews" })]]));
  assert.is(again.merged(reviews.host)[0], reviewsBefore);
  const changed = first.with(new Map([["a", rule("a", { host: "reviews", trafficPolicy: {} })]]));
  assert.is.not(changed.merged(reviews.host)[0], reviewsBefore);
  assert.is(changed.merged("ratings.prod.svc.cluster.local")[0], ratingsBefore);
  assert.is(first.merged(reviews.host)[0], reviewsBefore, "the earlier one stays as it was");
  const moved = first.with(new Map([["a", rule("a", { host: "details" })]]));
  assert.equal(moved.merged(reviews.host), []);
  assert.equal(moved.hostsOf("a"), ["details.prod.svc.cluster.local"]);
  assert.is(moved.with(new Map([["a", undefined]])).size, 1);
});

const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner: unknown) => (inner instanceof Set ? [...inner].sort() : inner)));

const everything = (rules: NamespaceDestinationRules): unknown =>
  [...rules.hosts()].sort().map((host) => plain(rules.merged(host)));

test("changes one by one give what all at once give, in whatever order", () => {
  const event = fc.tuple(arbitraryDestinationRule(fc.constant("prod")), fc.boolean(), fc.boolean());
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), (events) => {
      let incremental = emptyDestinationRules("prod", mesh);
      const last = new Map<string, DestinationRule>();
      for (const [object, isRemoved, looks] of events) {
        const name = object.metadata!.name!;
        if (isRemoved) last.delete(name);
        else last.set(name, object);
        incremental = incremental.with(new Map([[name, isRemoved ? undefined : object]]));
        if (looks) everything(incremental);
      }
      const scratch = emptyDestinationRules("prod", mesh).with(new Map([...last].reverse()));
      assert.equal(everything(incremental), everything(scratch));
      assert.is(incremental.size, last.size);
    }),
    { numRuns: 150 },
  );
});

test("what is found does not depend on the order in which rules came", () => {
  const client = fc.record({
    namespace: fc.constantFrom("prod", "shop", "istio-system", "other"),
    labels: fc.constantFrom<Readonly<Record<string, string>>>({}, { app: "client" }, { app: "other" }),
  });
  fc.assert(
    fc.property(fc.array(arbitraryDestinationRule(), { maxLength: 10 }), client, (objects, who) => {
      const unique = new Map(
        objects.map((object) => [`${object.metadata!.namespace}/${object.metadata!.name}`, object]),
      );
      const build = (list: readonly DestinationRule[]) => {
        const namespaces = new Map<string, NamespaceDestinationRules>();
        for (const object of list) {
          const namespace = object.metadata!.namespace!;
          const before = namespaces.get(namespace) ?? emptyDestinationRules(namespace, mesh);
          namespaces.set(namespace, before.with(new Map([[object.metadata!.name!, object]])));
        }
        return namespaces;
      };
      const found = (list: readonly DestinationRule[]) =>
        findDestinationRule(build(list), who, reviews, "istio-system");
      const forward = [...unique.values()];
      assert.equal(plain(found(forward) ?? null), plain(found([...forward].reverse()) ?? null));
      const rules = build(forward);
      const twice = [1, 2].map(() => findDestinationRule(rules, who, reviews, "istio-system"));
      assert.is(twice[0], twice[1]);
    }),
    { numRuns: 150 },
  );
});

test("what the generator calls valid is valid", () => {
  fc.assert(
    fc.property(arbitraryDestinationRuleSpec(), (spec) => {
      assert.equal(
        destinationRule.check({ spec }).filter(({ severity }) => severity === "error"),
        [],
      );
    }),
    { numRuns: 300 },
  );
});

test.run();
