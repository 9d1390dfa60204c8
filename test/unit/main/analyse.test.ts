import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.ts";
import { createCompiler } from "../../../src/compile/compiler.ts";
import { createAnalyse } from "../../../src/main/analyse.ts";
import { readDocuments } from "../../../src/watch/documents.ts";

const service = `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: prod }
spec: { clusterIP: 10.96.0.9, ports: [{ name: http, port: 80 }] }
`;
const destinationRule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: prod }
spec: { host: reviews, subsets: [{ name: v1, labels: { version: v1 } }] }
`;
const virtualService = {
  metadata: { name: "reviews" },
  spec: { hosts: ["reviews"], http: [{ route: [{ destination: { host: "reviews", subset: "v1" } }] }] },
};

test("at admission a resource is held against what the model knows by now", () => {
  const compiler = createCompiler(defaultMeshConfig);
  const analyse = createAnalyse(compiler);
  const told = () => analyse("VirtualService", "prod", virtualService).map(({ path, severity }) => [severity, path]);

  const destination = "spec.http[0].route[0].destination";
  assert.equal(told(), [
    ["warning", `${destination}.host`],
    ["warning", "spec.hosts[0]"],
  ]);
  compiler.apply(readDocuments(service, "a.yaml"));
  assert.equal(told(), [["warning", `${destination}.subset`]]);
  compiler.apply(readDocuments(destinationRule, "b.yaml"));
  assert.equal(told(), []);
  compiler.apply(readDocuments(service, "a.yaml").map((event) => ({ ...event, object: undefined })));
  assert.is(told().length, 2);
});

test("kinds that stand alone have nothing against them", () => {
  const analyse = createAnalyse(createCompiler(defaultMeshConfig));
  assert.equal(analyse("WorkloadGroup", "prod", { metadata: { name: "a" }, spec: {} }), []);
});

test.run();
