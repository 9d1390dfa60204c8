import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../../src/api/kubernetes.js";
import { createCompiler } from "../../../../src/compile/compiler.js";
import { concerns } from "../../../../src/main/status/concerns.js";
import { trackProxies } from "../../../../src/main/status/distribution.js";

const pod = (name: string, namespace: string): ObjectEvent =>
  ({ kind: "Pod", namespace, name, object: { metadata: { name, namespace, labels: { app: name } } } }) as ObjectEvent;
const rule = (name: string, namespace: string, spec: object): ObjectEvent =>
  ({
    kind: "DestinationRule",
    namespace,
    name,
    object: { metadata: { name, namespace }, spec: { host: "reviews", ...spec } },
  }) as ObjectEvent;
const proxy = (podName: string, namespace: string) => ({ podName, namespace, podUid: "1", serviceAccount: "default" });

test("a proxy holds a snapshot once it was in sync after it, also if later ones are on their way", () => {
  const compiler = createCompiler();
  compiler.apply([pod("a", "shop")]);
  const tracker = trackProxies(compiler);
  let isInSync = false;
  const stream = tracker.open(proxy("a", "shop"), () => isInSync);
  const everyone = (): boolean => true;
  compiler.apply([pod("b", "shop")]);
  const { version } = compiler.snapshot();
  assert.equal(tracker.count(version, everyone), { held: 0, proxies: 1 });
  isInSync = true;
  stream.answered();
  isInSync = false;
  assert.equal(tracker.count(version, everyone), { held: 1, proxies: 1 });
  compiler.apply([pod("c", "shop")]);
  assert.equal(tracker.count(compiler.snapshot().version, everyone), { held: 0, proxies: 1 });
  assert.equal(tracker.count(version, everyone), { held: 1, proxies: 1 }, "the earlier one is still held");
  stream.close();
  assert.equal(tracker.count(version, everyone), { held: 0, proxies: 0 });
});

test("a rule concerns those that it is exported to, or that it selects", () => {
  const compiler = createCompiler();
  compiler.apply([
    ...[pod("a", "shop"), pod("b", "shop"), pod("c", "bank")],
    rule("all", "shop", {}),
    rule("own", "shop", { exportTo: ["."] }),
    rule("selected", "shop", { workloadSelector: { matchLabels: { app: "a" } } }),
  ]);
  const snapshot = compiler.snapshot();
  const concerned = (name: string): string =>
    [...snapshot.pods.values()]
      .filter(concerns(snapshot, "DestinationRule", `shop/${name}`)!)
      .map(({ metadata }) => metadata?.name)
      .join();
  assert.is(concerned("all"), "a,b,c");
  assert.is(concerned("own"), "a,b");
  assert.is(concerned("selected"), "a");
  assert.is(concerns(snapshot, "ProxyConfig", "shop/all"), undefined);
});

test.run();
