import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { judge } from "../../deploy/tools/audit.js";
import { type Component, writeBoms } from "../../deploy/tools/sbom.js";

test("an advisory service that cannot be asked is told apart from a clean answer", () => {
  const clean = { auditReportVersion: 2, vulnerabilities: {}, metadata: { dependencies: { total: 90 } } };
  const found = { ...clean, vulnerabilities: { left: { severity: "critical" }, pad: { severity: "low" } } };
  const lesser = { ...clean, vulnerabilities: { pad: { severity: "low" } } };
  const refused = { message: "405 Method Not Allowed - POST", statusCode: 405, error: { summary: "" } };
  assert.is(judge(JSON.stringify(clean)).outcome, "clean");
  assert.is(judge(JSON.stringify(found)).outcome, "vulnerable");
  assert.match(judge(JSON.stringify(found)).text, "critical: left");
  assert.is(judge(JSON.stringify(lesser)).outcome, "clean");
  for (const output of [JSON.stringify(refused), "", "no JSON", "{}"]) {
    assert.is(judge(output).outcome, "not asked", output);
    assert.match(judge(output).text, /^NOT CHECKED/);
  }
  assert.match(judge(JSON.stringify(refused)).text, "405 Method Not Allowed");
});

test("the bills of materials hold what is shipped, by hash, and come out the same again", () => {
  const read = (): readonly (readonly Component[])[] => {
    writeBoms();
    return ["heddled", "proxyv2"].map(
      (image) =>
        (JSON.parse(readFileSync(`dist/${image}.cdx.json`, "utf8")) as { readonly components: readonly Component[] })
          .components,
    );
  };
  const boms = read();
  const [heddled, proxy] = boms;
  const lock = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  for (const [name, version] of Object.entries(lock.dependencies))
    assert.ok(
      heddled!.some((component) => component.name === name && component.version === version),
      name,
    );
  for (const [components, name] of [
    [heddled, "node"],
    [proxy, "envoy"],
  ] as const)
    assert.match(
      components!.find((component) => component.name === name)?.hashes?.[0]?.content ?? "",
      /^[0-9a-f]{64}$/,
    );
  for (const name of ["nftables", "libc6"])
    assert.ok(
      proxy!.some((component) => component.name === name),
      name,
    );
  assert.not(heddled!.some(({ name }) => name === "uvu"));
  assert.equal(read(), boms);
});

test.run();
