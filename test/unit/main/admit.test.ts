import { test } from "uvu";
import * as assert from "uvu/assert";
import type { PodAdmission } from "../../../src/admission/review.ts";
import { defaultMeshConfig } from "../../../src/api/meshconfig.ts";
import { type Compiler, createCompiler } from "../../../src/compile/compiler.ts";
import { createInjector } from "../../../src/main/admit.ts";
import { noProxyConfigs } from "../../../src/model/proxy-config.ts";
import { readDocuments } from "../../../src/watch/documents.ts";
import { clusterSettings, template } from "../injection/support.js";

const injectorOf = (compiler: Compiler, patienceMilliseconds: number) =>
  createInjector({
    revision: "default",
    injection: () => ({ template, values: { proxyImage: "r.example/proxy:1", initImage: "r.example/proxy:1" } }),
    cluster: () => clusterSettings,
    patienceMilliseconds,
  })(compiler, () => noProxyConfigs);

const admission = (labels: Readonly<Record<string, string>> = {}): PodAdmission => ({
  uid: "u1",
  namespace: "shop",
  operation: "CREATE",
  dryRun: false,
  pod: { metadata: { name: "web", labels }, spec: { containers: [{ name: "app", image: "app" }] } },
});

const namespace = (labels: string) =>
  readDocuments(`{ apiVersion: v1, kind: Namespace, metadata: { name: shop, labels: ${labels} } }`, "a.yaml");

for (const [name, before] of [
  ["is made", []],
  ["gets its label", namespace("{}")],
] as const)
  test(`a pod that comes before the news that its namespace ${name} is injected all the same`, async () => {
    const compiler = createCompiler(defaultMeshConfig);
    compiler.apply(before);
    const verdict = injectorOf(compiler, 5000)(admission(), new Map());
    compiler.apply(readDocuments("{ apiVersion: v1, kind: Namespace, metadata: { name: other } }", "b.yaml"));
    compiler.apply(namespace("{ istio-injection: enabled }"));
    const { allowed, ...rest } = await verdict;
    assert.ok(allowed);
    assert.ok("patch" in rest && rest.patch!.length > 0);
  });

test("a namespace that stays unknown refuses the pod for now, one without a label leaves it as it is", async () => {
  const compiler = createCompiler(defaultMeshConfig);
  const injector = injectorOf(compiler, 20);
  const unknown = await injector(admission(), new Map());
  assert.ok(!unknown.allowed);
  assert.is(unknown.code, 503);
  assert.match(unknown.message, /namespace shop is not known yet; try again/);
  compiler.apply(namespace("{}"));
  assert.equal(await injector(admission(), new Map()), { allowed: true });
});

test("who says no is not made to wait", async () => {
  const compiler = createCompiler(defaultMeshConfig);
  compiler.apply(namespace("{ istio-injection: disabled }"));
  const injector = injectorOf(compiler, 60_000);
  assert.equal(await injector(admission(), new Map()), { allowed: true });
  compiler.apply(namespace("{}"));
  assert.equal(await injector(admission({ "sidecar.istio.io/inject": "false" }), new Map()), { allowed: true });
});

test.run();
