import { Registry } from "prom-client";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCompiler } from "../../../src/compile/compiler.js";
import { keepIssuerKeys } from "../../../src/main/issuer-keys.js";
import { createObserver } from "../../../src/main/metrics.js";
import { readDocuments } from "../../../src/watch/documents.js";
import { createIssuer } from "../../component/support/json-web-tokens.js";
import { startKeyServer } from "../../component/support/key-server.js";

test("keys are there when what is wanted has been tried, and metrics tell how it stands", async () => {
  const server = await startKeyServer();
  const issuer = createIssuer("https://issuer.example");
  server.serve("/keys", { body: issuer.jwks });
  const compiler = createCompiler();
  compiler.apply(
    readDocuments(
      JSON.stringify({
        apiVersion: "security.istio.io/v1",
        kind: "RequestAuthentication",
        metadata: { name: "a", namespace: "shop" },
        spec: {
          jwtRules: ["keys", "none"].map((path) => ({ issuer: path, jwksUri: `${server.url}/${path}` })),
        },
      }),
      "test.yaml",
    ),
  );
  const registry = new Registry();
  const { keysFetched } = createObserver(registry);
  const failures: string[] = [];
  const keys = keepIssuerKeys({
    compiler,
    refreshMilliseconds: 3_600_000,
    retryMilliseconds: 3_600_000,
    authoritiesPem: server.certificatePem,
    fetched: keysFetched!,
    failed: ({ issuer: name }, message, detail) => failures.push(`${name}: ${message} (${detail})`),
  });
  try {
    await keys.tried();
    const found = Object.fromEntries([...compiler.snapshot().keySets].map(([id, set]) => [id.split("/").at(-1), set]));
    assert.is(found["keys"]?.failure, undefined);
    assert.match(found["keys"]?.jwks ?? "", '"kid":"first"');
    assert.equal(found["none"], { jwks: undefined, failure: "the host does not answer with status 200" });
    assert.equal(failures, ["none: the host does not answer with status 200 (status 404)"]);
    const metrics = await registry.metrics();
    for (const line of [
      'heddle_issuer_key_fetches_total{outcome="fetched"} 1',
      'heddle_issuer_key_fetches_total{outcome="failed"} 1',
      'heddle_issuer_keys{state="current"} 1',
      'heddle_issuer_keys{state="missing"} 1',
    ])
      assert.ok(metrics.includes(line), `${line} is not in\n${metrics}`);
  } finally {
    keys.stop();
    await server.close();
  }
});

test.run();
