import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnvoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import { addedClusters, addedListeners, extensionConfigs } from "../../../../src/compile/patch/additions.js";
import { patchCluster } from "../../../../src/compile/patch/clusters.js";
import { patchListener } from "../../../../src/compile/patch/listener.js";
import { compilePatches, findingsOf } from "../../../../src/compile/patch/patches.js";
import { createPatchReport, reportedFindings } from "../../../../src/compile/patch/report.js";
import { patchRouteConfiguration } from "../../../../src/compile/patch/routes.js";
import { knownType } from "../../../../src/compile/patch/types.js";
import { violationsOf } from "../../../../src/compile/patch/violations.js";
import { ClusterSchema } from "../../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../../../src/proto/envoy/config/route/v3/route_pb.js";
import { filters } from "./arbitrary.js";
import {
  applicationCluster,
  inbound,
  inboundListener,
  outbound,
  outboundListeners,
  outboundRoutes,
  reviewsCluster,
} from "./support.js";

interface Outcome {
  readonly bytes: readonly string[];
  readonly broken: readonly string[];
  readonly told: string;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const brokenIn = (typeName: string, message: Parameters<typeof violationsOf>[1]): readonly string[] =>
  violationsOf(knownType(typeName), message).map((violation) => `${typeName} ${violation.path}: ${violation.message}`);

const outcomeOf = (given: readonly EnvoyFilter[]): Outcome => {
  const set = compilePatches(given);
  const report = createPatchReport();
  const listeners = [
    patchListener(set, inbound, inboundListener(), report),
    ...outboundListeners().map((listener) => patchListener(set, outbound, listener, report)),
    ...[inbound, outbound].flatMap((context) => addedListeners(set, context, () => false, report)),
  ].filter((listener) => listener !== undefined);
  const clusters = [
    patchCluster(set, inbound, applicationCluster(), [], report),
    patchCluster(set, outbound, reviewsCluster(), [], report),
    ...[inbound, outbound].flatMap((context) => addedClusters(set, context, () => false, report)),
  ].filter((cluster) => cluster !== undefined);
  const routes = patchRouteConfiguration(set, outbound, outboundRoutes(), report);
  extensionConfigs(set, outbound, report);
  return {
    bytes: [
      ...listeners.map((listener) => text(toBinary(ListenerSchema, listener))),
      ...clusters.map((cluster) => text(toBinary(ClusterSchema, cluster))),
      text(toBinary(RouteConfigurationSchema, routes)),
    ],
    broken: [
      ...listeners.flatMap((listener) => brokenIn(ListenerSchema.typeName, listener)),
      ...clusters.flatMap((cluster) => brokenIn(ClusterSchema.typeName, cluster)),
      ...brokenIn(RouteConfigurationSchema.typeName, routes),
    ],
    told: JSON.stringify([...findingsOf(set), ...reportedFindings(set, report)]),
  };
};

const untouched = outcomeOf([]);

test("what the mesh generates keeps Envoy's rules", () => assert.equal(untouched.broken, []));

test("no patch set throws or breaks Envoy's rules, and the same gives the same", () => {
  fc.assert(
    fc.property(filters, (given) => {
      const first = outcomeOf(given);
      assert.equal(first.broken, []);
      assert.equal(outcomeOf(structuredClone(given) as readonly EnvoyFilter[]), first);
    }),
    { numRuns: 150 },
  );
});

test("patches of other proxies change no byte", () => {
  fc.assert(
    fc.property(filters, (given) => {
      const foreign = given.map((filter) => ({
        ...filter,
        spec: {
          ...filter.spec,
          configPatches: filter.spec.configPatches!.map((each) => ({
            ...each,
            match: { ...each.match, proxy: { proxyVersion: "^none$" } },
          })),
        },
      }));
      assert.equal(outcomeOf(foreign).bytes, untouched.bytes);
    }),
    { numRuns: 50 },
  );
});

test("what is no EnvoyFilter at all is refused whole, and costs the others nothing", () => {
  const sound: EnvoyFilter = {
    metadata: { name: "sound", namespace: "shop" },
    spec: { configPatches: [{ applyTo: "CLUSTER", patch: { operation: "MERGE", value: { connect_timeout: "2s" } } }] },
  };
  fc.assert(
    fc.property(fc.jsonValue(), (spec) => {
      const set = compilePatches([{ metadata: { name: "x", namespace: "shop" }, spec: spec as never }, sound]);
      assert.is(patchCluster(set, outbound, reviewsCluster())?.connectTimeout?.seconds, 2n);
    }),
    { numRuns: 100 },
  );
});

test.run();
