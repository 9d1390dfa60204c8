import { test } from "uvu";
import * as assert from "uvu/assert";
import { readText } from "../../../src/cli/run/objects.js";

const odd: readonly (readonly [string, string, string])[] = [
  [
    "a Service's selector that is a list",
    "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {selector: [a]}}",
    'a.yaml: Service default/x: spec.selector: ["a"] is not an object',
  ],
  [
    "containers of a Deployment that are no list",
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: y}, spec: {template: {spec: {containers: {a: b}}}}}",
    'a.yaml: Pod default/y-0: spec.containers: {"a":"b"} is not a list',
  ],
  [
    "labels of a Pod that are no texts",
    "{apiVersion: v1, kind: Pod, metadata: {name: z, labels: {app: 1}}, spec: {containers: []}}",
    "a.yaml: Pod default/z: metadata.labels.app: 1 is not a text",
  ],
];
for (const [name, text, message] of odd)
  test(`${name}: told with file, object and field`, () => {
    try {
      readText(text, "a.yaml");
    } catch (error) {
      assert.ok((error as Error).message.startsWith(message), (error as Error).message);
      return;
    }
    assert.unreachable("was taken");
  });

test("a Deployment stands for its pods", () => {
  const text =
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: y}, spec: {replicas: 2, template: {spec: {containers: [{name: app}]}}}}";
  assert.equal(
    readText(text, "a.yaml").map(({ kind, name }) => `${kind} ${name}`),
    ["Pod y-0", "Pod y-1"],
  );
});

test.run();
