import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import type { TrafficPolicy } from "../../../src/api/networking/destination-rule.js";
import type { LocalityLbSetting, ZoneAwareLbSetting } from "../../../src/api/networking/load-balancer.js";
import { dependsOnProxy, loadAssignment } from "../../../src/compile/endpoints/assignment.js";
import type { Endpoint, TrafficDistribution } from "../../../src/model/service.js";
import { ClusterLoadAssignmentSchema } from "../../../src/proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { endpoint, servicePort } from "../../support/services.js";

const at = (address: string, locality: string, fields: Partial<Endpoint> = {}): Endpoint => {
  const [region = "", zone = "", subzone = ""] = locality.split("/");
  return endpoint(address, 80, { region, zone, subzone, ...fields });
};
const proxy = {
  locality: { region: "eu", zone: "a", subzone: "x" },
  labels: { team: "blue", version: "v1" },
  nodeName: "node-1",
};

const assign = (
  endpoints: readonly Endpoint[],
  policy: TrafficPolicy,
  options: { readonly trafficDistribution?: TrafficDistribution; readonly proxy?: typeof proxy | undefined } = {
    proxy,
  },
) =>
  loadAssignment({
    clusterName: "c",
    port: servicePort(),
    endpoints,
    policy,
    mesh: defaultMeshConfig,
    proxy,
    ...options,
  });

/** `address:weight…@locality*weight` by priority. */
const brief = (assignment: ReturnType<typeof assign>): readonly string[] =>
  assignment.endpoints.map(({ locality, priority, loadBalancingWeight, lbEndpoints }) => {
    const members = lbEndpoints.map(({ hostIdentifier }) => {
      const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      return address?.case === "socketAddress"
        ? address.value.address
        : address?.case === "pipe"
          ? address.value.path
          : "";
    });
    const where = [locality?.region, locality?.zone, locality?.subZone].join("/");
    return `${priority} ${where} *${loadBalancingWeight} ${members.join()}`;
  });

const spread = [at("1", "eu/a/x"), at("2", "eu/a/y"), at("3", "eu/b"), at("4", "us/a"), at("5", "asia/a")];
const outlierDetection = {};
const locality = (localityLbSetting: LocalityLbSetting, outlier = true): TrafficPolicy => ({
  loadBalancer: { localityLbSetting },
  ...(outlier ? { outlierDetection } : {}),
});
const zones = (zoneAwareLbSetting: ZoneAwareLbSetting): TrafficPolicy => ({ loadBalancer: { zoneAwareLbSetting } });

const flat = ["0 asia/a/ *1 5", "0 eu/a/x *1 1", "0 eu/a/y *1 2", "0 eu/b/ *1 3", "0 us/a/ *1 4"];
const table: readonly (readonly [string, TrafficPolicy, readonly string[]])[] = [
  ["nothing said", {}, flat],
  ["failover without outlier detection", locality({ failover: [{ from: "eu", to: "us" }] }, false), flat],
  ["locality off", locality({ enabled: false }), flat],
  ["zones off", zones({ enabled: false }), flat],
  [
    "outlier detection turns failover on",
    { outlierDetection },
    ["0 eu/a/x *1 1", "1 eu/a/y *1 2", "2 eu/b/ *1 3", "3 asia/a/ *1 5", "3 us/a/ *1 4"],
  ],
  [
    "failover to a region",
    locality({ failover: [{ from: "eu", to: "us" }] }),
    ["0 eu/a/x *1 1", "1 eu/a/y *1 2", "2 eu/b/ *1 3", "3 us/a/ *1 4", "4 asia/a/ *1 5"],
  ],
  [
    "failover of another region",
    locality({ failover: [{ from: "us", to: "asia" }] }),
    ["0 eu/a/x *1 1", "1 eu/a/y *1 2", "2 eu/b/ *1 3", "3 asia/a/ *1 5", "3 us/a/ *1 4"],
  ],
  [
    "priority by topology",
    locality({ failoverPriority: ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"] }),
    ["0 eu/a/x *1 1", "0 eu/a/y *1 2", "1 eu/b/ *1 3", "2 asia/a/ *1 5", "2 us/a/ *1 4"],
  ],
  [
    "shares",
    locality({ distribute: [{ from: "eu/*", to: { "eu/*": 80, us: 20 } }] }),
    ["0 eu/a/x *27 1", "0 eu/a/y *27 2", "0 eu/b/ *27 3", "0 us/a/ *20 4"],
  ],
  [
    "shares, the more specific first",
    locality({ distribute: [{ from: "*", to: { "*": 10, "eu/a/x": 90 } }] }),
    ["0 asia/a/ *3 5", "0 eu/a/x *90 1", "0 eu/a/y *3 2", "0 eu/b/ *3 3", "0 us/a/ *3 4"],
  ],
  ["shares for clients elsewhere", locality({ distribute: [{ from: "us", to: { us: 100 } }] }), flat],
  [
    "zones: the region first",
    zones({}),
    ["0 eu/a/x *1 1", "0 eu/a/y *1 2", "0 eu/b/ *1 3", "1 asia/a/ *1 5", "1 us/a/ *1 4"],
  ],
  [
    "zones: with failover",
    zones({ failover: [{ from: "eu", to: "us" }] }),
    ["0 eu/a/x *1 1", "0 eu/a/y *1 2", "0 eu/b/ *1 3", "1 us/a/ *1 4", "2 asia/a/ *1 5"],
  ],
];

for (const [title, policy, expected] of table)
  test(title, () => {
    assert.equal(brief(assign(spread, policy)), expected);
    assert.equal(
      brief(assign(spread, policy, { proxy: undefined })),
      flat,
      "for no proxy in particular, all are alike",
    );
  });

test("priorities have no gaps, whatever is missing", () => {
  assert.equal(brief(assign([at("4", "us/a"), at("3", "eu/b")], { outlierDetection })), [
    "0 eu/b/ *1 3",
    "1 us/a/ *1 4",
  ]);
  assert.equal(brief(assign([at("5", "asia/a")], locality({ failover: [{ from: "eu", to: "us" }] }))), [
    "0 asia/a/ *1 5",
  ]);
});

test("failoverPriority by labels: the client's or given ones, the earlier the more they count", () => {
  const labelled = [
    at("1", "", { labels: { team: "blue", version: "v1" } }),
    at("2", "", { labels: { team: "blue" } }),
    at("3", "", { labels: { team: "red", version: "v1" } }),
    at("4", "", { labels: { team: "red" } }),
  ];
  assert.equal(brief(assign(labelled, locality({ failoverPriority: ["team", "version"] }))), [
    "0 // *1 1",
    "1 // *1 2",
    "2 // *2 3,4",
  ]);
  assert.equal(brief(assign(labelled, locality({ failoverPriority: ["team=red"] }))), ["0 // *2 3,4", "1 // *2 1,2"]);
  const nodes = [at("1", "", { nodeName: "node-2" }), at("2", "", { nodeName: "node-1" })];
  assert.equal(brief(assign(nodes, locality({ failoverPriority: ["kubernetes.io/hostname"] }))), [
    "0 // *1 2",
    "1 // *1 1",
  ]);
});

test("another network comes after all of the own one, in the same order", () => {
  const far = { "topology.istio.io/network": "n2" };
  const endpoints = [
    at("1", "", { labels: { ...far, team: "blue" } }),
    at("2", "", { labels: far }),
    at("3", ""),
    at("4", "", { labels: { team: "blue" } }),
  ];
  assert.equal(brief(assign(endpoints, locality({ failoverPriority: ["topology.istio.io/network", "team"] }))), [
    "0 // *1 4",
    "1 // *1 3",
    "2 // *1 1",
    "3 // *1 2",
  ]);
});

test("labels and regions together: labels first", () => {
  const endpoints = [
    at("1", "us", { labels: { team: "blue" } }),
    at("2", "eu"),
    at("3", "asia", { labels: { team: "blue" } }),
  ];
  const policy = locality({ failoverPriority: ["team"], failover: [{ from: "eu", to: "asia" }] });
  assert.equal(brief(assign(endpoints, policy)), ["0 asia// *1 3", "1 us// *1 1", "2 eu// *1 2"]);
});

test("a Service's trafficDistribution prefers the near, without outlier detection", () => {
  assert.equal(brief(assign(spread, {}, { trafficDistribution: "PreferClose" })), [
    "0 eu/a/x *1 1",
    "0 eu/a/y *1 2",
    "1 eu/b/ *1 3",
    "2 asia/a/ *1 5",
    "2 us/a/ *1 4",
  ]);
  const sameNode = [...spread, at("6", "eu/a/x", { nodeName: "node-1" })];
  assert.equal(brief(assign(sameNode, {}, { trafficDistribution: "PreferSameNode" }))[0], "0 eu/a/x *1 6");
  assert.equal(
    brief(assign(spread, locality({ enabled: false }), { trafficDistribution: "PreferClose" })),
    flat,
    "a rule says otherwise",
  );
});

test("who depends on the proxy", () => {
  assert.not.ok(dependsOnProxy({}, defaultMeshConfig));
  assert.ok(dependsOnProxy({ outlierDetection }, defaultMeshConfig));
  assert.not.ok(dependsOnProxy({ outlierDetection }, { localityLbSetting: { enabled: false } }));
  assert.ok(dependsOnProxy(locality({ distribute: [{ from: "eu", to: { eu: 100 } }] }, false), defaultMeshConfig));
  assert.ok(dependsOnProxy({}, defaultMeshConfig, "PreferClose"));
});

test("weights, pods with two addresses, sockets, and endpoints without the port", () => {
  const endpoints = [
    at("10.0.0.1", "", { podName: "p", weight: 3 }),
    at("fd00::1", "", { podName: "p" }),
    at("fd00::2", "", { podName: "p", namespace: "other" }),
    at("10.0.0.3", "", { weight: 0 }),
    at("unix:///run/x.sock", "", { ports: new Map() }),
    at("10.0.0.4", "", { ports: new Map([["other", 1]]) }),
  ];
  assert.equal(brief(assign(endpoints, {})), ["0 // *6 10.0.0.1,fd00::2,10.0.0.3,/run/x.sock"]);
});

test("the same endpoints in another order are the same assignment, and no endpoint is lost but by shares", () => {
  const endpoints = fc.uniqueArray(
    fc.record({
      address: fc.integer({ min: 1, max: 200 }).map(String),
      locality: fc.constantFrom("eu/a/x", "eu/a", "eu/b", "us/a", ""),
      team: fc.constantFrom("blue", "red"),
      weight: fc.integer({ min: 0, max: 3 }),
    }),
    { selector: ({ address }) => address, maxLength: 12 },
  );
  const policies = fc.constantFrom(...table.map(([, policy]) => policy), locality({ failoverPriority: ["team"] }));
  fc.assert(
    fc.property(endpoints, policies, (list, policy) => {
      const build = (order: typeof list) =>
        assign(
          order
            .map(({ address, locality: where, team, weight }) => at(address, where, { labels: { team }, weight }))
            .sort((a, b) => (a.address < b.address ? -1 : 1)),
          policy,
        );
      const forward = build(list);
      assert.equal(
        toBinary(ClusterLoadAssignmentSchema, forward),
        toBinary(ClusterLoadAssignmentSchema, build([...list].reverse())),
      );
      const priorities = new Set(forward.endpoints.map(({ priority }) => priority));
      assert.equal(
        [...priorities].sort(),
        [...priorities.keys()].map((_, index) => index),
      );
      const count = forward.endpoints.reduce((sum, { lbEndpoints }) => sum + lbEndpoints.length, 0);
      if (policy.loadBalancer?.localityLbSetting?.distribute === undefined) assert.is(count, list.length);
    }),
    { numRuns: 300 },
  );
});

test.run();
