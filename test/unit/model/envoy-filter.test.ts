import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnvoyFilter } from "../../../src/api/networking/envoy-filter.js";
import { selectEnvoyFilters } from "../../../src/model/envoy-filter.js";

const filterOf = (name: string, namespace: string, createdAt: string, spec: EnvoyFilter["spec"] = {}): EnvoyFilter => ({
  metadata: { name, namespace, creationTimestamp: createdAt },
  spec,
});
const gateway = { group: "gateway.networking.k8s.io", kind: "Gateway" };
const filters: readonly EnvoyFilter[] = [
  filterOf("mesh", "istio-system", "2024-01-02T00:00:00Z"),
  filterOf("mesh-late", "istio-system", "2024-01-03T00:00:00Z", { workloadSelector: { labels: { app: "a" } } }),
  filterOf("own", "shop", "2024-01-01T00:00:00Z"),
  filterOf("first", "shop", "2024-01-09T00:00:00Z", { priority: -1 }),
  filterOf("last", "istio-system", "2024-01-01T00:00:00Z", { priority: 5 }),
  filterOf("twin-b", "shop", "2024-01-01T00:00:00Z", { workloadSelector: { labels: { app: "a", tier: "x" } } }),
  filterOf("foreign", "other", "2024-01-01T00:00:00Z"),
  filterOf("edge", "shop", "2024-01-01T00:00:00Z", { targetRefs: [{ ...gateway, name: "edge" }] }),
  filterOf("mesh-edge", "istio-system", "2024-01-01T00:00:00Z", { targetRefs: [{ ...gateway, name: "edge" }] }),
];

const select = (namespace: string, labels: Readonly<Record<string, string>>, all = filters): readonly string[] =>
  selectEnvoyFilters(all, { namespace, labels }, "istio-system").map(({ metadata }) => metadata!.name!);

test("order is priority, root namespace, age, name; labels and gateways choose", () => {
  assert.equal(select("shop", {}), ["first", "mesh", "own", "last"]);
  assert.equal(select("shop", { app: "a", tier: "x" }), ["first", "mesh", "mesh-late", "own", "twin-b", "last"]);
  assert.equal(select("shop", { "gateway.networking.k8s.io/gateway-name": "edge" }), [
    ...["first", "mesh", "edge", "own", "last"],
  ]);
  assert.equal(select("istio-system", {}), ["mesh", "last"]);
  assert.equal(select("elsewhere", { app: "a" }), ["mesh", "mesh-late", "last"]);
});

test("the order of the input does not matter", () => {
  const labels = { app: "a", tier: "x" };
  fc.assert(
    fc.property(fc.shuffledSubarray([...filters], { minLength: filters.length }), (shuffled) =>
      assert.equal(select("shop", labels, shuffled), select("shop", labels)),
    ),
  );
});

test.run();
