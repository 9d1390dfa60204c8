import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Pod, Service } from "../../../src/api/kubernetes.js";
import { hostsOf, serviceRules, slicesOf } from "../../../src/cli/run/services.js";

const pod = (name: string, ips: readonly string[], extra: object = {}): Pod =>
  ({
    metadata: { name, namespace: "shop", labels: { app: "web" }, ...extra },
    spec: {
      hostname: name,
      subdomain: "web",
      containers: [{ name: "c", ports: [{ name: "web", containerPort: 8080 }] }],
    },
    status: { podIPs: ips.map((ip) => ({ ip })) },
  }) as unknown as Pod;

const web = (spec: object = {}): Service =>
  ({
    metadata: { name: "web", namespace: "shop" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "web" }], ...spec },
  }) as unknown as Service;

const readyOf = (service: Service, isReady: boolean, extra: object = {}) =>
  slicesOf(service, [{ pod: pod("a", ["10.0.0.1"], extra), isReady }])[0]?.endpoints?.[0]?.conditions?.ready;

test("a slice for each family, with the number that a named port stands for", () => {
  const slices = slicesOf(web(), [{ pod: pod("a", ["10.0.0.1", "fd00::1"]), isReady: true }]);
  assert.equal(
    slices.map(({ addressType, ports, endpoints }) => [addressType, ports?.[0]?.port, endpoints?.[0]?.addresses]),
    [
      ["IPv4", 8080, ["10.0.0.1"]],
      ["IPv6", 8080, ["fd00::1"]],
    ],
  );
});

test("an unready or ending pod takes no traffic, unless its Service publishes it", () => {
  assert.is(readyOf(web(), true), true);
  assert.is(readyOf(web(), false), false);
  assert.is(readyOf(web(), true, { deletionTimestamp: "2026-01-01T00:00:00Z" }), false);
  assert.is(readyOf(web({ publishNotReadyAddresses: true }), false), true);
});

test("a virtual address leads to ready endpoints of its family; without any it refuses", () => {
  const service = web({ clusterIPs: ["10.96.0.1", "fd96::1"] });
  const slices = slicesOf(service, [
    { pod: pod("a", ["10.0.0.1"]), isReady: true },
    { pod: pod("b", ["10.0.0.2"]), isReady: false },
  ]);
  const rules = serviceRules([service], slices);
  assert.match(rules, "ip daddr 10.96.0.1 tcp dport 80 dnat ip to numgen random mod 1 map { 0 : 10.0.0.1 . 8080 };");
  assert.match(rules, "ip6 daddr fd96::1 tcp dport 80 reject;");
});

test("names: short ones in the namespace only, a headless Service's pods, an alias, a ServiceEntry's host", () => {
  const objects = [
    web({ clusterIP: "None" }),
    { metadata: { name: "alias", namespace: "shop" }, spec: { type: "ExternalName", externalName: "web.shop.svc.x" } },
  ].map((object) => ({ kind: "Service", namespace: "shop", name: object.metadata?.name, object }));
  const entry = {
    kind: "ServiceEntry",
    namespace: "shop",
    name: "e",
    object: { spec: { hosts: ["api.example", "*.wild.example"], addresses: ["192.0.2.1", "192.0.2.0/24"] } },
  };
  const all = [...objects, entry] as unknown as Parameters<typeof hostsOf>[0];
  const slices = slicesOf(web(), [{ pod: pod("a", ["10.0.0.1"]), isReady: true }]);
  const inShop = new Map(hostsOf(all, slices, "shop", "x"));
  for (const name of ["web", "web.shop.svc.x", "a.web", "a.web.shop.svc.x", "alias"])
    assert.is(inShop.get(name), "10.0.0.1", name);
  assert.is(inShop.get("api.example"), "192.0.2.1");
  assert.not.ok([...inShop.keys()].some((name) => name.includes("*")));
  assert.not.ok(new Map(hostsOf(all, slices, "other", "x")).has("web"));
});

test.run();
