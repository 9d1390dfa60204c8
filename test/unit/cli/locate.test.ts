import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseDocument } from "yaml";
import { locate } from "../../../src/cli/analyze/locate.ts";

const text = `metadata:
  name: a
  annotations:
    networking.istio.io/exportTo: "."
spec:
  http:
    - name: first
    - match:
        - headers: { x-a: { exact: b } }
        - headers:
            x.dotted/name: { exact: c }
            x: { exact: d }
  labels: &shared { app: a }
`;
const { contents } = parseDocument(text);

/** What stands at the place that a path names. */
const at = (path: string): string => {
  const offset = locate(contents, path);
  return offset === undefined ? "" : text.slice(offset).split("\n")[0]!;
};

const rows: readonly (readonly [path: string, expected: string])[] = [
  ["metadata.name", "name: a"],
  ["metadata.annotations.networking.istio.io/exportTo", 'networking.istio.io/exportTo: "."'],
  ['metadata.annotations["networking.istio.io/exportTo"]', 'networking.istio.io/exportTo: "."'],
  ["spec.http[1]", "match:"],
  ["spec.http[1].match[1].headers.x", "x: { exact: d }"],
  ["spec.http[1].match[1].headers.x.dotted/name.exact", "exact: c }"],
  ['spec.http[1].match[0].headers["x-a"].exact', "exact: b } }"],
  ["spec.labels.app", "app: a }"],
  // What is not there is shown at the nearest place around it.
  ["spec.http[1].route[0].destination", "match:"],
  ["spec.http[7]", "http:"],
  ["status", "metadata:"],
  ["", "metadata:"],
];

for (const [path, expected] of rows)
  test(`${path || "the whole"} is found`, () => {
    assert.is(at(path), expected);
  });

test.run();
