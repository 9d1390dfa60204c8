import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { ipFamiliesOf } from "../../../src/main/ip-families.js";
import { applyEvents } from "../../../src/model/apply.js";
import { emptySnapshot } from "../../../src/model/snapshot.js";

const podWith = (...ips: readonly string[]): ObjectEvent =>
  ({
    kind: "Pod",
    namespace: "istio-system",
    name: "heddled-1",
    object: { metadata: { name: "heddled-1" }, status: { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) } },
  }) as unknown as ObjectEvent;

const serviceWith = (...clusterIPs: readonly string[]): ObjectEvent =>
  ({
    kind: "Service",
    namespace: "default",
    name: "kubernetes",
    object: { metadata: { name: "kubernetes", namespace: "default" }, spec: { clusterIPs } },
  }) as unknown as ObjectEvent;

const cases: readonly (readonly [string, readonly ObjectEvent[], readonly string[]])[] = [
  ["nothing known", [], ["IPv4"]],
  ["the Service alone", [serviceWith("fd00::1")], ["IPv6"]],
  ["a pod of IPv6 only", [podWith("fd01::5"), serviceWith("fd00::1")], ["IPv6"]],
  [
    "dual stack, where the Service has one family",
    [podWith("10.0.0.5", "fd01::5"), serviceWith("10.96.0.1")],
    ["IPv4", "IPv6"],
  ],
  ["dual stack, IPv6 first", [podWith("fd01::5", "10.0.0.5")], ["IPv6", "IPv4"]],
  ["a pod without an address yet", [podWith(), serviceWith("10.96.0.1")], ["IPv4"]],
];

for (const [name, events, families] of cases)
  test(name, () => {
    assert.equal(ipFamiliesOf(applyEvents(emptySnapshot(), events).snapshot, "istio-system", "heddled-1"), families);
  });

test.run();
