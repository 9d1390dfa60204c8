import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.ts";
import { collect } from "../../../src/cli/analyze/collect.ts";
import { readFiles } from "../../../src/cli/analyze/files.ts";

const samples = new URL("../../../deploy/samples/", import.meta.url).pathname;
const programs: ReadonlySet<string> = new Set(["client", "echo"]);
const folders = readdirSync(samples, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !programs.has(entry.name))
  .map(({ name }) => name);

for (const folder of folders)
  test(`analysis finds nothing in the sample ${folder}`, async () => {
    const files = readdirSync(join(samples, folder)).filter((name) => name.endsWith(".yaml"));
    assert.ok(files.length > 0);
    const { objects, unreadable } = await readFiles(
      files.map((file) => join(samples, folder, file)),
      "default",
    );
    const { reports, resources } = collect(objects, unreadable, defaultMeshConfig);
    assert.equal(reports, []);
    assert.ok(resources > 1);
  });

test("the list of samples names every one", () => {
  const list = readFileSync(join(samples, "README.md"), "utf8");
  for (const folder of folders) assert.match(list, `[${folder}](${folder}`);
});

test.run();
