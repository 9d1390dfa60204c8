import { test } from "uvu";
import * as assert from "uvu/assert";
import { statusText } from "../../../src/cli/ca/status.ts";
import { renderManifests } from "../../../src/cli/manifests/render.ts";
import { loadValues } from "../../../src/cli/manifests/values.ts";
import type { AuthorityStatus } from "../../../src/main/certificates/state.ts";

const status: AuthorityStatus = {
  origin: "self-made",
  signerNotAfter: "2035-01-01T00:00:00.000Z",
  phase: "none",
  roots: [],
  waitingFor: [],
};

test("heddle ca status says whose certificates workloads have, if not this authority's", () => {
  assert.match(statusText({ status: { ...status, workloads: "spire" }, reports: new Map() }), "certificates of SPIRE");
  assert.not.match(statusText({ status, reports: new Map() }), "SPIRE");
});

const environmentOf = (...set: readonly string[]): Readonly<Record<string, string>> => {
  const deployment = renderManifests(loadValues({ set })).find(({ kind }) => kind === "Deployment") as unknown as {
    spec: { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
  };
  const variables = deployment.spec.template.spec.containers.flatMap(({ env }) => env);
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
};

test("an installation says who gives certificates, and where the agent's socket is", () => {
  assert.is(environmentOf()["CERTIFICATE_SOURCE"], "heddled");
  const { CERTIFICATE_SOURCE, SPIRE_NODE_FOLDER } = environmentOf(
    "certificates.source=spire",
    "certificates.spireNodeFolder=/run/spire",
  );
  assert.equal([CERTIFICATE_SOURCE, SPIRE_NODE_FOLDER], ["spire", "/run/spire"]);
});

test("a source that is none, and a folder that is not absolute, are refused", () => {
  assert.throws(() => loadValues({ set: ["certificates.source=vault"] }), /certificates\.source/);
  assert.throws(() => loadValues({ set: ["certificates.spireNodeFolder=run"] }), /certificates\.spireNodeFolder/);
});

test.run();
