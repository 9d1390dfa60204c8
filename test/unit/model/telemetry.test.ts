import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import type { Telemetry, TelemetrySpec } from "../../../src/api/telemetry/telemetry.js";
import { type Metric, standardTelemetry, type TelemetryRules, telemetryOf } from "../../../src/model/telemetry.js";

let age = 0;
const object = (namespace: string, spec: TelemetrySpec): Telemetry => ({
  metadata: { namespace, name: `t${++age}`, creationTimestamp: new Date(age * 1000).toISOString() },
  spec,
});

const rulesOf = (objects: readonly Telemetry[], accessLogFile = ""): TelemetryRules => ({
  mesh: { ...defaultMeshConfig, accessLogFile },
  telemetries: Map.groupBy(objects, ({ metadata }) => metadata!.namespace!),
});

const web = { app: "web" };
const sides = (objects: readonly Telemetry[], accessLogFile?: string) =>
  telemetryOf(rulesOf(objects, accessLogFile), "prod", web);

const selector = { matchLabels: web };
const disabled = (metric: Metric, isDisabled = true) => ({ overrides: [{ match: { metric }, disabled: isDisabled }] });
const labelled = (value: string) => ({ overrides: [{ tagOverrides: { stage: { value: `'${value}'` } } }] });
const stageOf = (objects: readonly Telemetry[]): unknown => sides(objects).client.metrics.REQUEST_COUNT?.["stage"];

test("without any the mesh's own is told, always by the same object", () => {
  const rules = rulesOf([], "/dev/stderr");
  assert.is(telemetryOf(rules, "prod", web), standardTelemetry(rules.mesh));
  assert.is(Object.keys(standardTelemetry(rules.mesh).client.metrics).length, 8);
  assert.is(standardTelemetry(rules.mesh).server.accessLogFile, "/dev/stderr");
});

test("mesh, namespace and workload add up, the narrower and then the later winning", () => {
  const root = object("istio-system", { metrics: [labelled("mesh"), disabled("REQUEST_SIZE")] });
  const own = object("prod", { metrics: [labelled("namespace"), disabled("RESPONSE_SIZE")] });
  const first = object("prod", { selector, metrics: [labelled("first"), disabled("REQUEST_SIZE", false)] });
  const second = object("prod", { selector, metrics: [labelled("second")] });
  assert.equal(stageOf([root]), { literal: "mesh" });
  assert.equal(stageOf([root, own]), { literal: "namespace" });
  assert.equal(stageOf([root, own, first, second]), { literal: "second" });
  const { metrics } = sides([root, own, first]).server;
  assert.is(metrics.REQUEST_SIZE === undefined, false);
  assert.is(metrics.RESPONSE_SIZE, undefined);
});

const withoutEffect: readonly (readonly [string, readonly Telemetry[]])[] = [
  ["a younger one for the same namespace", [object("prod", {}), object("prod", { metrics: [labelled("no")] })]],
  [
    "one that selects others",
    [object("prod", { selector: { matchLabels: { app: "db" } }, metrics: [labelled("no")] })],
  ],
  ["one of the root namespace with a selector", [object("istio-system", { selector, metrics: [labelled("no")] })]],
  ["one of another namespace", [object("dev", { metrics: [labelled("no")] })]],
  ["one for gateways", [object("prod", { targetRefs: [{ kind: "Gateway", name: "a" }], metrics: [labelled("no")] })]],
  [
    "a custom metric",
    [object("prod", { metrics: [{ overrides: [{ match: { customMetric: "a" }, disabled: true }] }] })],
  ],
];
for (const [what, objects] of withoutEffect)
  test(`without effect: ${what}`, () => {
    const rules = rulesOf(objects);
    assert.equal(telemetryOf(rules, "prod", web), standardTelemetry(rules.mesh));
  });

test("providers of a lower level replace those above, and hold for what comes after", () => {
  const other = { providers: [{ name: "stackdriver" }] };
  assert.equal(sides([object("istio-system", { metrics: [other] })]).client.metrics, {});
  assert.equal(
    sides([object("istio-system", { metrics: [other] }), object("prod", { metrics: [{}] })]).client.metrics,
    {},
  );
  const back = object("prod", { metrics: [{ providers: [{ name: "prometheus" }] }] });
  assert.is(Object.keys(sides([object("istio-system", { metrics: [other] }), back]).client.metrics).length, 8);
});

const logs: readonly (readonly [string, string, readonly Telemetry[], client: string, server: string])[] = [
  ["the mesh's file stands without a rule", "/a", [object("prod", { metrics: [] })], "/a", "/a"],
  ["disabled", "/a", [object("prod", { accessLogging: [{ disabled: true }] })], "", ""],
  [
    "disabled on one side",
    "/a",
    [object("prod", { accessLogging: [{ match: { mode: "CLIENT" }, disabled: true }] })],
    "",
    "/a",
  ],
  [
    "a provider",
    "",
    [object("prod", { accessLogging: [{ providers: [{ name: "envoy" }] }] })],
    "/dev/stdout",
    "/dev/stdout",
  ],
  [
    "an unknown provider takes the place of the file",
    "/a",
    [object("prod", { accessLogging: [{ providers: [{ name: "x" }] }] })],
    "",
    "",
  ],
  [
    "enabled again below",
    "/a",
    [
      object("istio-system", { accessLogging: [{ disabled: true }] }),
      object("prod", { accessLogging: [{ disabled: false }] }),
    ],
    "/a",
    "/a",
  ],
];
for (const [what, file, objects, client, server] of logs)
  test(`access log: ${what}`, () => {
    const told = sides(objects, file);
    assert.equal([told.client.accessLogFile, told.server.accessLogFile], [client, server]);
  });

test("a side that differs in nothing is the same object, so that its proxies share configuration", () => {
  const rules = rulesOf([
    object("prod", { metrics: [{ overrides: [{ match: { mode: "SERVER" }, disabled: true }] }] }),
    object("dev", { metrics: [{ overrides: [{ match: { mode: "SERVER" }, disabled: true }] }] }),
  ]);
  const [prod, dev] = [telemetryOf(rules, "prod", web), telemetryOf(rules, "dev", web)];
  assert.is(prod.client, standardTelemetry(rules.mesh).client);
  assert.is(prod.server, dev.server);
  assert.equal(prod.server.metrics, {});
});

test.run();
