import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { applyEvents } from "../../../src/model/apply.js";
import { emptySnapshot } from "../../../src/model/snapshot.js";

const pod = (index: number, nodes: number): ObjectEvent => ({
  kind: "Pod",
  namespace: "shop",
  name: `p${index}`,
  object: {
    metadata: { name: `p${index}`, namespace: "shop", labels: { app: "cart" } },
    spec: { nodeName: `node${index % nodes}`, containers: [] },
    status: { podIPs: [{ ip: `10.0.${index >> 8}.${index & 255}` }] },
  },
});

const node = (index: number, zone = "a"): ObjectEvent => ({
  kind: "Node",
  namespace: "",
  name: `node${index}`,
  object: { metadata: { name: `node${index}`, labels: { "topology.kubernetes.io/zone": zone } } },
});

const entry: ObjectEvent = {
  kind: "ServiceEntry",
  namespace: "shop",
  name: "cart",
  object: {
    metadata: { name: "cart", namespace: "shop" },
    spec: {
      hosts: ["cart.example.com"],
      ports: [{ number: 80, name: "http", protocol: "HTTP" }],
      resolution: "STATIC",
      workloadSelector: { labels: { app: "cart" } },
    },
  },
};

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

test("a first batch of many pods in one namespace and many nodes holds nobody up", () => {
  const nodes = 2000;
  const began = performance.now();
  applyEvents(emptySnapshot(), [
    ...range(20_000).map((index) => pod(index, nodes)),
    ...range(nodes).map((index) => node(index)),
  ]);
  assert.ok(performance.now() - began < 4000);
});

test("a snapshot stays as it was while the next one is made of it", () => {
  const { snapshot: first } = applyEvents(emptySnapshot(), [pod(0, 1), pod(1, 1)]);
  const { snapshot: second } = applyEvents(first, [
    pod(2, 1),
    pod(3, 1),
    { ...pod(0, 1), object: undefined } as ObjectEvent,
  ]);
  assert.equal([...first.podsOfNamespace.get("shop")!].sort(), ["shop/p0", "shop/p1"]);
  assert.equal([...second.podsOfNamespace.get("shop")!].sort(), ["shop/p1", "shop/p2", "shop/p3"]);
  const gone = range(4).map((index) => ({ ...pod(index, 1), object: undefined }) as ObjectEvent);
  assert.is(applyEvents(second, gone).snapshot.podsOfNamespace.has("shop"), false);
});

test("a node that moves touches the hosts of what is on it, and of nothing else", () => {
  const { snapshot } = applyEvents(emptySnapshot(), [entry, pod(0, 1), node(0), node(1)]);
  const hostsOf = (event: ObjectEvent): readonly string[] => [...applyEvents(snapshot, [event]).diff.hosts];
  assert.equal(hostsOf(node(0, "b")), ["cart.example.com"]);
  assert.equal(hostsOf(node(1, "b")), []);
  assert.equal(hostsOf(node(0)), []);
});

test.run();
