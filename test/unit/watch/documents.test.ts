import { test } from "uvu";
import * as assert from "uvu/assert";
import { readDocuments } from "../../../src/watch/documents.js";

test("reads documents and lists, and passes over other kinds", () => {
  const events = readDocuments(
    [
      "apiVersion: v1\nkind: Service\nmetadata: {name: a}",
      "",
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}",
      "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: n}}]",
      "apiVersion: v1\nkind: PodList\nitems: [{metadata: {name: p, namespace: n}}]",
    ].join("\n---\n"),
    "a.yaml",
  );
  assert.equal(
    events.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`),
    ["Service/default/a", "Namespace//n", "Pod/n/p"],
  );
});

test("reads every served version of the configuration API", () => {
  const read = (apiVersion: string): readonly string[] =>
    readDocuments(`apiVersion: ${apiVersion}\nkind: Sidecar\nmetadata: {name: a}\nspec: {}`, "s.yaml").map(
      ({ kind, namespace, name }) => `${kind}/${namespace}/${name}`,
    );
  for (const version of ["v1", "v1beta1", "v1alpha3"])
    assert.equal(read(`networking.istio.io/${version}`), ["Sidecar/default/a"]);
  assert.throws(() => read("networking.istio.io/v2"), /s\.yaml, document 1: .*write networking\.istio\.io\/v1 or/);
  assert.equal(read("other.example/v1"), [], "another project's kind of the same name");
});

test("names file and document of a fault", () => {
  assert.throws(
    () => readDocuments("a: 1\nkind: x\n---\nkind: [", "b.yaml"),
    /^b\.yaml, document 2: |b\.yaml, document 2/,
  );
  assert.throws(
    () => readDocuments("apiVersion: v1\nkind: Pod\nmetadata: {}", "c.yaml"),
    /c\.yaml, document 1: metadata\.name/,
  );
  assert.throws(() => readDocuments("apiVersion: v2\nkind: Pod", "d.yaml"), /apiVersion "v2" of kind Pod; write v1/);
});

test.run();
