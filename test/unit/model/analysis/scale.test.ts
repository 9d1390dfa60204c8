import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Pod, Service } from "../../../../src/api/kubernetes.ts";
import { defaultMeshConfig } from "../../../../src/api/meshconfig.ts";
import type { DestinationRule } from "../../../../src/api/networking/destination-rule.ts";
import type { HttpRoute, VirtualService } from "../../../../src/api/networking/virtual-service.ts";
import { analyseAll, analyseObject } from "../../../../src/model/analysis/analyse.ts";
import { meshServicesOf } from "../../../../src/model/analysis/hosts.ts";
import { buildAnalysisIndex } from "../../../../src/model/analysis/index.ts";

const size = 1000;
const numbers = Array.from({ length: size }, (_, index) => index);
const metadataOf = (number: number, labels = {}) => ({ name: `s${number}`, namespace: `n${number % 20}`, labels });

const services = numbers.map(
  (number): Service => ({
    metadata: metadataOf(number),
    spec: { selector: { app: `s${number}` }, ports: [{ name: "http", port: 80 }] },
  }),
);
const pods = numbers.flatMap((number) =>
  ["v1", "v2"].map((version): Pod => {
    const metadata = metadataOf(number, { app: `s${number}`, version });
    return { metadata: { ...metadata, name: `${metadata.name}-${version}` }, spec: { containers: [{ name: "a" }] } };
  }),
);
const destinationRules = numbers.map(
  (number): DestinationRule => ({
    metadata: metadataOf(number),
    spec: { host: `s${number}`, subsets: ["v1", "v2"].map((name) => ({ name, labels: { version: name } })) },
  }),
);
const ruleFor = (number: number, subset = "v2"): VirtualService => ({
  metadata: metadataOf(number),
  spec: {
    hosts: [`s${number}`],
    http: [
      { match: [{ uri: { prefix: "/api" } }], route: [{ destination: { host: `s${number}`, subset: "v1" } }] },
      { route: [{ destination: { host: `s${number}`, subset } }] },
    ],
  },
});
const objects = {
  meshServices: meshServicesOf(services, [], defaultMeshConfig),
  services,
  pods,
  destinationRules,
  virtualServices: numbers.map((number) => ruleFor(number)),
};

/** The best of a few, since other work on the machine only ever adds. */
const fastest = (times: number, work: () => unknown): number =>
  Math.min(
    ...Array.from({ length: times }, () => {
      const began = performance.now();
      work();
      return performance.now() - began;
    }),
  );

test("1,000 services with 1,000 rules of each kind are analysed in half a second", () => {
  assert.equal(analyseAll(buildAnalysisIndex(objects, defaultMeshConfig)), []);
  const milliseconds = fastest(5, () => analyseAll(buildAnalysisIndex(objects, defaultMeshConfig)));
  assert.ok(milliseconds < 500, `took ${milliseconds.toFixed(1)} ms`);
});

test("one resource among them takes under 5 ms, and its twin of before does not count", () => {
  const index = buildAnalysisIndex(objects, defaultMeshConfig);
  const changed = ruleFor(7, "v3");
  assert.equal(
    analyseObject(index, "VirtualService", changed).map(({ code }) => code),
    ["HDL0103"],
  );
  const milliseconds = fastest(5, () => analyseObject(index, "VirtualService", changed));
  assert.ok(milliseconds < 5, `took ${milliseconds.toFixed(2)} ms`);
  const fresh = fastest(5, () =>
    analyseObject(buildAnalysisIndex(objects, defaultMeshConfig), "VirtualService", changed),
  );
  assert.ok(fresh < 5, `took ${fresh.toFixed(2)} ms with the index`);
});

test("thousands of matches in one rule are judged in bounded time", () => {
  const route: HttpRoute["route"] = [{ destination: { host: "s1" } }];
  const hostile = (match: (number: number) => NonNullable<HttpRoute["match"]>[number]): VirtualService => ({
    metadata: metadataOf(1),
    spec: { hosts: ["s1"], http: Array.from({ length: 4000 }, (_, number) => ({ match: [match(number)], route })) },
  });
  const index = buildAnalysisIndex(objects, defaultMeshConfig);
  const headers = hostile((number) => ({ headers: { [`x-${number}`]: { exact: "1" } } }));
  assert.ok(fastest(3, () => analyseObject(index, "VirtualService", headers)) < 500);

  const paths = hostile((number) => ({ uri: { exact: `/p/${number === 3999 ? 0 : number}` } }));
  assert.ok(fastest(3, () => analyseObject(index, "VirtualService", paths)) < 500);
  const unreachable = analyseObject(index, "VirtualService", paths).filter(({ code }) => code === "HDL0111");
  assert.equal(
    unreachable.map(({ finding }) => finding.path),
    ["spec.http[3999]"],
  );
});

test.run();
