import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AnalyzeOptions, analyze } from "../../../src/cli/analyze/command.ts";
import { parseSuppression } from "../../../src/cli/analyze/select.ts";
import { analysisDocument } from "../../../src/model/analysis/documentation.ts";

const top = new URL("../../../", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "heddle-analyze-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return name;
};

process.chdir(folder);
process.env["NO_COLOR"] = "1";
const defaults: AnalyzeOptions = {
  live: false,
  allNamespaces: false,
  output: "text",
  failureThreshold: "error",
  suppress: [],
  clusterDomain: "cluster.local",
  kubeconfig: join(folder, "kubeconfig"),
};

const run = (paths: readonly string[], options: Partial<AnalyzeOptions> = {}) =>
  analyze(paths, { ...defaults, ...options });

/** The program itself, for what only it decides: the exit code, and which stream says what. */
const heddle = (args: readonly string[], input = "") =>
  new Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>((resolve) => {
    const loader = join(top, "node_modules/tsx/dist/loader.mjs");
    const command = ["--import", loader, join(top, "src/cli/main.ts"), "analyze", ...args];
    const child = execFile(process.execPath, command, { timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end(input);
  });

const services = `apiVersion: v1
kind: Service
metadata:
  name: reviews
spec:
  selector: { app: reviews }
  ports:
    - name: web
      port: 80
`;

const rules = `# Where reviews goes.
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
    - route:
        - destination:
            host: reviews
            subset: v2
`;

put("services.yaml", services);
put("rules.yaml", rules);

test("text names file, line and column, the field and the cure; findings at the threshold exit with 1", async () => {
  const { exitCode, output } = await run(["rules.yaml", "services.yaml"]);
  assert.is(exitCode, 1);
  assert.is(
    output,
    [
      "rules.yaml:12:13: error HDL0103 UnknownSubset",
      "  VirtualService default/reviews  spec.http[0].route[0].destination.subset",
      '  "v2": reviews.default.svc.cluster.local has no DestinationRule; add one that defines the subset',
      "",
      "services.yaml:8:7: info HDL0501 ProtocolNotDeclared",
      "  Service default/reviews  spec.ports[0].name",
      '  port 80 ("web") declares no protocol, so each connection waits for its first bytes; name it such as http-web, or set appProtocol',
      "",
      "1 error, 1 info in 2 resources of 2 files.",
      "",
    ].join("\n"),
  );
});

test("what is wrong with a Service or a pod that the API server would refuse is a finding, and the rest is looked at", async () => {
  const texts = [
    "apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec:\n  ports:\n    - { name: 8080, port: 80 }\n",
    "apiVersion: v1\nkind: Service\nmetadata: { name: b }\nspec:\n  ports: [null]\n",
    "apiVersion: v1\nkind: Service\nmetadata: { name: c, labels: null }\nspec: { clusterIPs: 10.0.0.1, ports: }\n",
    "apiVersion: v1\nkind: Pod\nmetadata: { name: d, labels: { version: 1 } }\nspec: { containers: [null] }\n",
    "apiVersion: v1\nkind: Namespace\nmetadata: { name: e, labels: [] }\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: f }\nspec: { template: { spec: { containers: {} } } }\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: g }\nspec: { template: }\n",
  ];
  put("odd.yml", texts.join("---\n"));
  const { exitCode, output } = await run(["odd.yml", "rules.yaml", "services.yaml"], { output: "json" });
  rmSync(join(folder, "odd.yml"));
  assert.is(exitCode, 1);
  const { findings } = JSON.parse(output) as { findings: { code: string; resource: string; path: string }[] };
  const of = (wanted: string) => findings.filter(({ code }) => code === wanted);
  assert.equal(
    of("HDL0001").map(({ resource, path }) => [resource, path]),
    [
      ["a", "spec.ports[0].name"],
      ["b", "spec.ports[0]"],
      ["c", "spec.clusterIPs"],
      ["d", "metadata.labels.version"],
      ["d", "spec.containers[0]"],
      ["e", "metadata.labels"],
      ["f", "spec.template.spec.containers"],
    ],
  );
  assert.is(of("HDL0103").length, 1);
});

test("below the threshold the exit code is 0, at it 1; suppressed findings do not count", async () => {
  assert.is((await run(["services.yaml"])).exitCode, 0);
  assert.is((await run(["services.yaml"], { failureThreshold: "info" })).exitCode, 1);
  const none = await run(["."], { suppress: ["HDL0103=virtualservice/default/rev*", "IST0118"] });
  assert.is(none.exitCode, 0);
  assert.is(none.output, "Nothing found in 2 resources of 2 files (2 suppressed).\n");
});

test("the program reads standard input, answers JSON and exits with 1", async () => {
  const { code, stdout, stderr } = await heddle(["services.yaml", "-", "-n", "prod", "-o", "json"], rules);
  assert.is(stderr, "");
  assert.is(code, 1);
  const first = JSON.parse(stdout).findings.find((finding: { code: string }) => finding.code === "HDL0103");
  assert.match(first.message, /^"v2": /);
  assert.equal(
    { ...first, message: "" },
    {
      code: "HDL0103",
      name: "UnknownSubset",
      level: "error",
      kind: "VirtualService",
      namespace: "prod",
      resource: "reviews",
      path: "spec.http[0].route[0].destination.subset",
      message: "",
      file: "standard input",
      line: 12,
      column: 13,
    },
  );
});

test("SARIF has what version 2.1.0 demands: rules with help, results that point into them and into files", async () => {
  const { output, exitCode } = await run(["rules.yaml", "services.yaml"], { output: "sarif", suppress: ["HDL0501"] });
  assert.is(exitCode, 1);
  const log = JSON.parse(output);
  assert.is(log.version, "2.1.0");
  assert.is(log.runs.length, 1);
  const [{ tool, results }] = log.runs;
  assert.is(tool.driver.name, "heddle analyze");
  for (const rule of tool.driver.rules) {
    assert.match(rule.id, /^HDL\d{4}$/);
    assert.match(rule.name, /^[A-Z]\w+$/);
    assert.ok(rule.shortDescription.text && rule.help.text && rule.help.markdown);
    assert.ok(["error", "warning", "note"].includes(rule.defaultConfiguration.level));
  }
  assert.is(results.length, 2);
  for (const result of results) {
    assert.is(tool.driver.rules[result.ruleIndex].id, result.ruleId);
    assert.ok(result.message.text && ["error", "warning", "note"].includes(result.level));
    const { artifactLocation, region } = result.locations[0].physicalLocation;
    assert.match(artifactLocation.uri, /^(rules|services)\.yaml$/);
    assert.ok(region.startLine >= 1 && region.startColumn >= 1);
    assert.is(result.locations[0].logicalLocations[0].kind, "resource");
  }
  assert.equal(results[0].locations[0].physicalLocation.region, { startLine: 12, startColumn: 13 });
  assert.is(results[0].suppressions, undefined);
  assert.equal(results[1].suppressions, [{ kind: "external" }]);
});

test("what is no finding exits with 2 and a cure", async () => {
  const wrong: readonly (readonly [readonly string[], Partial<AnalyzeOptions>, RegExp])[] = [
    [[], {}, /give files or directories/],
    [["nowhere.yaml"], {}, /nowhere\.yaml: cannot be read: ENOENT/],
    [["rules.yaml"], { suppress: ["HDL9999"] }, /HDL9999 is no code; docs\/analysis\.md lists them/],
    [["rules.yaml"], { live: true }, /kubeconfig cannot be used/],
  ];
  for (const [paths, options, message] of wrong)
    await run(paths, options).then(
      () => assert.unreachable(`${message}`),
      (error: Error) => assert.match(error.message, message),
    );
  for (const args of [["rules.yaml", "-o", "xml"], []]) {
    const { code, stdout, stderr } = await heddle(args);
    assert.is(code, 2);
    assert.is(stdout, "");
    assert.match(stderr, /Allowed choices are text, json, sarif|give files or directories/);
  }
});

test("text that is not YAML is a finding with its line, and the rest is analysed", async () => {
  put("broken.yml", "kind: Service\nmetadata: {name: [}\n");
  const { exitCode, output } = await run(["broken.yml", "rules.yaml", "services.yaml"]);
  rmSync(join(folder, "broken.yml"));
  assert.is(exitCode, 1);
  assert.match(output, /^broken\.yml:2:\d+: error HDL0003 UnreadableDocument\n {2}\w/);
  assert.match(output, /HDL0103/);
});

/** The lists that a cluster answers with; a kind without a definition is a 404. */
const startApiServer = async (lists: Readonly<Record<string, readonly object[]>>) => {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://api");
    const items = lists[url.pathname];
    response.writeHead(items === undefined ? 404 : 200, { "content-type": "application/json" });
    // Pages of one: what is left is asked for again.
    const from = Number(url.searchParams.get("continue") ?? 0);
    const next = items !== undefined && from + 1 < items.length ? { continue: `${from + 1}` } : {};
    response.end(
      JSON.stringify(
        items === undefined
          ? { kind: "Status", message: "the server could not find the requested resource", code: 404 }
          : { kind: "List", metadata: next, items: items.slice(from, from + 1) },
      ),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "here",
      clusters: [{ name: "here", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } }],
      users: [{ name: "me", user: {} }],
      contexts: [{ name: "here", context: { cluster: "here", user: "me", namespace: "default" } }],
    }),
  );
  return {
    close: () => {
      rmSync(kubeconfig);
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
};

test("a cluster is read page by page, and files go on top of it", async () => {
  const serviceOf = (name: string, namespace: string) => ({
    metadata: { name, namespace },
    spec: { ports: [{ name: "http", port: 80 }] },
  });
  const ruleOf = (namespace: string, subset: string) => ({
    metadata: { name: "reviews", namespace },
    spec: { hosts: ["reviews"], http: [{ route: [{ destination: { host: "reviews", subset } }] }] },
  });
  const api = await startApiServer({
    "/api/v1/namespaces": [{ metadata: { name: "default" } }, { metadata: { name: "other" } }],
    "/api/v1/services": [serviceOf("reviews", "default"), serviceOf("reviews", "other")],
    "/api/v1/pods": [],
    "/apis/networking.istio.io/v1/virtualservices": [ruleOf("default", "v2"), ruleOf("other", "v3")],
  });
  try {
    const alone = await run([], { live: true });
    assert.is(alone.exitCode, 1);
    assert.match(alone.output, /^error HDL0103 UnknownSubset\n {2}VirtualService default\/reviews {2}spec\.http/);
    assert.not.match(alone.output, /other\/reviews/);
    assert.match((await run([], { live: true, allNamespaces: true })).output, /VirtualService other\/reviews/);

    const onTop = [
      "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: reviews},",
      " spec: {host: reviews, subsets: [{name: v2, labels: {version: v2}}]}}",
    ].join("\n");
    put("cure.yaml", onTop);
    const cured = await run(["cure.yaml"], { live: true });
    rmSync(join(folder, "cure.yaml"));
    assert.is(cured.exitCode, 0, cured.output);
    assert.is(cured.output, "Nothing found in 7 resources of 1 file.\n");
  } finally {
    await api.close();
  }
});

test("names are completed with the cluster's domain, and a wrong MeshConfig is told by its field", async () => {
  const { output } = await run(["rules.yaml", "services.yaml"], { clusterDomain: "example.org" });
  assert.match(output, /"v2": reviews\.default\.svc\.example\.org has no DestinationRule/);
  put("mesh.json", JSON.stringify({ rootNamespace: 7 }));
  await run(["rules.yaml"], { meshConfig: "mesh.json" }).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /rootNamespace: 7/),
  );
  rmSync(join(folder, "mesh.json"));
});

test("a suppression is a code, Istio's too, and a resource with wildcards", () => {
  const report = { code: "HDL0103", level: "error", path: "", message: "", location: undefined } as const;
  const of = (kind: string, namespace: string, name: string) => ({ ...report, kind, namespace, name });
  const { codes, matches } = parseSuppression("IST0109=VirtualService/prod*/a.b");
  assert.equal([...codes], ["HDL0110"]);
  assert.ok(matches(of("VirtualService", "production", "a.b")));
  assert.not(matches(of("VirtualService", "production", "axb")));
  assert.throws(() => parseSuppression("HDL0103=a/b"), /write CODE=kind\/namespace\/name/);
});

test("the document lists what analysis knows", () => {
  assert.is(readFileSync(join(top, "docs/analysis.md"), "utf8"), analysisDocument());
});

test.run();
