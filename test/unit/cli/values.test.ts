import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadValues } from "../../../src/cli/manifests/values.ts";

test("without anything the values are the production profile's", () => {
  const values = loadValues({});
  assert.is(values.controlPlane.replicas, 2);
  assert.is(values.controlPlane.podDisruptionBudget, true);
});

test("a setting beats a file, a file beats the profile", () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-values-"));
  try {
    const file = join(folder, "values.yaml");
    writeFileSync(file, "profile: demo\ncontrolPlane: {replicas: 3, logLevel: debug}\nhub: registry.example/heddle\n");
    const values = loadValues({ files: [file], set: ["controlPlane.replicas=4"] });
    assert.is(values.controlPlane.replicas, 4);
    assert.is(values.controlPlane.logLevel, "debug");
    assert.is(values.controlPlane.podDisruptionBudget, false);
    assert.is(values.hub, "registry.example/heddle");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a text stays text, whatever it looks like", () => {
  const values = loadValues({ set: ["tag=1", "meshConfig.accessLogFormat=a: b", "meshConfig.enableTracing=false"] });
  assert.is(values.tag, "1");
  assert.equal([values.meshConfig["accessLogFormat"], values.meshConfig["enableTracing"]], ["a: b", false]);
});

test("free objects merge key by key", () => {
  const values = loadValues({ set: ["meshConfig.defaultConfig.concurrency=2"] });
  assert.equal(values.meshConfig["defaultConfig"], { concurrency: 2 });
  assert.is(values.meshConfig["trustDomain"], "cluster.local");
});

const refusals: readonly (readonly [string, RegExp])[] = [
  ["profil=demo", /^profil: unknown value; did you mean "profile"\?$/],
  ["profile=dmo", /^profile: "dmo" is none of "default", "demo", "minimal"; give a profile$/],
  ["controlPlane.replica=2", /did you mean "controlPlane.replicas"\?/],
  [
    "controlPlane.replicas=0",
    /controlPlane.replicas: 0 is not a whole number from 1 to 100; give the number of replicas/,
  ],
  ["controlPlane=3", /controlPlane: 3 is not an object/],
  ["revision=A_B", /revision: "A_B" is not such a text; give a name of lower-case letters/],
  ["imagePullSecrets=[", /begins as a list or an object and is not one/],
  ["hub", /write key=value/],
  ["__proto__.x=1", /unknown value/],
];
for (const [setting, message] of refusals)
  test(`--set ${setting} is refused`, () => {
    assert.throws(() => loadValues({ set: [setting] }), message);
  });

test("every fault is told at once", () => {
  assert.throws(() => loadValues({ set: ["tagg=1", "hubb=2"] }), /2 values are wrong:\n {2}tagg.*\n {2}hubb/);
});

test("a file that is not there is named", () => {
  assert.throws(() => loadValues({ files: ["/nowhere/values.yaml"] }), /-f \/nowhere\/values.yaml: cannot be read/);
});

test.run();
