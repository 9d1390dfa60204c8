import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseAllDocuments } from "yaml";
import { chartFiles } from "../../deploy/charts/generate.ts";
import type { Manifest } from "../../src/cli/manifests/context.ts";
import { renderManifests } from "../../src/cli/manifests/render.ts";
import { loadValues } from "../../src/cli/manifests/values.ts";

/** The Helm chart against the manifests of the command line, through Helm itself, which is built once from its Go module. */
const execute = promisify(execFile);
const top = new URL("../../", import.meta.url).pathname;
const chart = join(top, "deploy/charts/heddle");
const helm = join(top, ".cache/bin/helm");
const helmModule = "helm.sh/helm/v3/cmd/helm@v3.22.0";

test.before(async () => {
  if (existsSync(helm)) return;
  const env = { ...process.env, GOBIN: join(top, ".cache/bin"), GOFLAGS: "-p=1" };
  await execute("go", ["install", helmModule], { env });
});

const byName = (manifests: readonly Manifest[]): ReadonlyMap<string, Manifest> =>
  new Map(manifests.map((manifest) => [`${manifest.kind}/${manifest.metadata.name}`, manifest]));

const templated = async (...options: readonly string[]): Promise<ReadonlyMap<string, Manifest>> => {
  const { stdout } = await execute(helm, ["template", "heddle", chart, "--kube-version", "1.35.0", ...options]);
  return byName(parseAllDocuments(stdout).flatMap((document) => (document.toJS() as Manifest | null) ?? []));
};

const same = (helms: ReadonlyMap<string, Manifest>, ours: ReadonlyMap<string, Manifest>): void => {
  assert.equal([...helms.keys()].sort(), [...ours.keys()].sort());
  for (const [name, manifest] of ours) assert.equal(helms.get(name), JSON.parse(JSON.stringify(manifest)), name);
};

test("the committed chart is the one the sources generate", () => {
  for (const [path, content] of chartFiles()) assert.is(readFileSync(join(chart, path), "utf8"), content, path);
});

test("helm lint finds no fault", async () => {
  const { stdout } = await execute(helm, ["lint", "--strict", chart]);
  assert.match(stdout, "0 chart(s) failed");
});

test("helm template gives what heddle manifest generate gives", async () => {
  same(await templated(), byName(renderManifests(loadValues({}))));
});

for (const profile of ["demo", "minimal"])
  test(`the chart's values of the profile ${profile} are the profile`, async () => {
    const ours = renderManifests(loadValues({ set: [`profile=${profile}`] }));
    same(await templated("-f", join(chart, `profiles/${profile}.yaml`)), byName(ours));
  });

test("settings with odd characters come out the same", async () => {
  const set = ["revision=canary", "meshConfig.accessLogFormat=<a & 'b'>: \"%REQ(:path)%\"", "hub=r.example:5000/x"];
  const options = set.flatMap((setting) => ["--set", setting]);
  same(await templated(...options), byName(renderManifests(loadValues({ set }))));
});

test("a release in the mesh's namespace leaves the namespace to Helm", async () => {
  const names = [...(await templated("--namespace", "istio-system")).keys()];
  assert.not(names.includes("Namespace/istio-system"));
});

test.run();
