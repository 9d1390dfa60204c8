import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

const execute = promisify(execFile);

/** Each benchmark at a size that says nothing, but runs all of it. */
const benches: readonly (readonly [script: string, args: readonly string[], measures: readonly string[]])[] = [
  ["issuance", ["--count", "50"], ["a second"]],
  ["injection", ["--requests", "40"], ["p99 ms", "inside p99 ms", "admissions/s"]],
  [
    "xds",
    ["--streams", "20", "--services", "20", "--changes", "2"],
    ["change p50 ms", "encodes/change", "wire bytes/change/stream", "admission p99 ms"],
  ],
  [
    "compile",
    ["--services", "100", "--changes", "2"],
    ["build ms", "VirtualService change ms", "endpoint change ms", "proxy, other namespace ms", "KB/service"],
  ],
  ["dataplane", ["--seconds", "1", "--rounds", "1", "--connections", "4"], ["requests/s", "p99 ms"]],
];

for (const [script, args, measures] of benches)
  test(`bench/${script} measures`, async () => {
    const { stdout } = await execute(process.execPath, ["--import", "tsx", `bench/${script}.ts`, ...args, "--json"], {
      timeout: 60_000,
      encoding: "utf8",
    });
    const rows = stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    assert.ok(rows.length > 0, stdout);
    for (const measure of measures)
      for (const row of rows.filter((each) => !String(each["bench"]).startsWith("sidecar memory")))
        assert.ok(Number(row[measure]) > 0, `${measure} in ${JSON.stringify(row)}`);
  });

test.run();
