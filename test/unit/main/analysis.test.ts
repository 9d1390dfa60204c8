import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ConfigObject } from "../../../src/api/kind.js";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import { createAnalyser } from "../../../src/main/analysis.js";

const rule: ConfigObject<unknown> = {
  metadata: { name: "reviews" },
  spec: { hosts: ["reviews"], http: [{ route: [{ destination: { host: "reviews", subset: "v2" } }] }] },
};
const service = (object: object | undefined): ObjectEvent =>
  ({ kind: "Service", namespace: "shop", name: "reviews", object }) as ObjectEvent;
const reviews = {
  metadata: { namespace: "shop", name: "reviews" },
  spec: { clusterIP: "10.96.0.9", ports: [{ name: "http", port: 80 }] },
};
const subsets = {
  kind: "DestinationRule",
  namespace: "shop",
  name: "reviews",
  object: {
    metadata: { namespace: "shop", name: "reviews" },
    spec: { host: "reviews", subsets: [{ name: "v2", labels: { version: "v2" } }] },
  },
} as ObjectEvent;

test("what a rule names is warned about until it is there, in the request's namespace", () => {
  const { apply, analyse } = createAnalyser(defaultMeshConfig);
  const told = (): readonly string[] =>
    analyse("VirtualService", "shop", rule).map(({ severity, path }) => `${severity} ${path}`);
  assert.ok(
    told().some((line) => line.startsWith("warning spec.http[0].route[0].destination.host")),
    told().join(),
  );
  apply([service(reviews)]);
  assert.equal(told(), ["warning spec.http[0].route[0].destination.subset"]);
  apply([subsets]);
  assert.equal(told(), []);
  apply([service(undefined)]);
  assert.ok(told().length > 0, "and again once it is gone");
});

test("a kind without checks against others has no findings", () => {
  const { analyse } = createAnalyser(defaultMeshConfig);
  assert.equal(analyse("WorkloadGroup", "shop", { spec: {} }), []);
});

test.run();
