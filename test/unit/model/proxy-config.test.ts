import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { noProxyConfigs, proxyConfigsFor, withProxyConfigs } from "../../../src/model/proxy-config.js";

const event = (namespace: string, name: string, concurrency: number | undefined, more: object = {}): ObjectEvent => ({
  kind: "ProxyConfig",
  namespace,
  name,
  object:
    concurrency === undefined
      ? undefined
      : {
          metadata: {
            namespace,
            name,
            creationTimestamp: "2026-01-02T00:00:00Z",
            ...(more as { metadata?: object }).metadata,
          },
          spec: { concurrency, ...(more as { spec?: object }).spec },
        },
});
const selecting = (labels: Record<string, string>, creationTimestamp = "2026-01-02T00:00:00Z") => ({
  metadata: { creationTimestamp },
  spec: { selector: { matchLabels: labels } },
});

const configs = withProxyConfigs(noProxyConfigs, [
  event("istio-system", "mesh", 1),
  event("istio-system", "gateway", 9, selecting({ app: "web" })),
  event("shop", "b-all", 2),
  event("shop", "a-all", 3),
  event("shop", "younger", 4, selecting({ app: "web" })),
  event("shop", "older", 5, selecting({ app: "web", tier: "front" }, "2026-01-01T00:00:00Z")),
  event("shop", "empty-selector", 6, {
    metadata: { creationTimestamp: "2027-01-01T00:00:00Z" },
    spec: { selector: {} },
  }),
]);

const levels = (namespace: string, labels: Record<string, string>) => {
  const { workload, namespace: own, mesh } = proxyConfigsFor(configs, { namespace, labels }, "istio-system");
  return [workload?.concurrency, own?.concurrency, mesh?.concurrency];
};

test("the oldest of each level, then the first by name", () => {
  assert.equal(levels("shop", { app: "web", tier: "front" }), [5, 3, 1]);
  assert.equal(levels("shop", { app: "web" }), [4, 3, 1]);
  assert.equal(levels("shop", { app: "db" }), [undefined, 3, 1]);
  assert.equal(levels("other", { app: "web" }), [undefined, undefined, 1], "a selector is for its own namespace");
  assert.equal(levels("istio-system", { app: "web" }), [9, 1, 1]);
});

test("other kinds make no new map, removals do", () => {
  assert.is(withProxyConfigs(configs, [{ kind: "Pod", namespace: "a", name: "b", object: undefined }]), configs);
  const after = withProxyConfigs(configs, [event("istio-system", "mesh", undefined)]);
  assert.is(after.size, configs.size - 1);
});

test.run();
