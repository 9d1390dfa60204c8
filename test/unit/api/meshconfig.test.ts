import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig, readMeshConfig } from "../../../src/api/meshconfig.js";

test("nothing set gives the defaults", () => {
  for (const fields of [{}, { trustDomain: null, accessLogFile: "" }])
    assert.equal(readMeshConfig(fields, "cluster.local"), defaultMeshConfig);
});

test("durations come in milliseconds, nested parts as the API has them", () => {
  const mesh = readMeshConfig(
    {
      connectTimeout: "1.5s",
      dnsRefreshRate: "5m",
      pathNormalization: { normalization: "DEFAULT" },
      outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
      defaultTrafficPolicy: { connectionPool: { http: { maxRetries: 3 } } },
      localityLbSetting: { failover: [{ from: "a", to: "b" }] },
      defaultServiceExportTo: [],
      defaultConfig: { concurrency: 1 },
    },
    "corp.local",
  );
  assert.is(mesh.connectTimeoutMilliseconds, 1500);
  assert.is(mesh.dnsRefreshRateMilliseconds, 300_000);
  assert.is(mesh.pathNormalization, "BASE");
  assert.is(mesh.outboundTrafficPolicy, "REGISTRY_ONLY");
  assert.is(mesh.clusterDomain, "corp.local");
  assert.equal(mesh.defaultTrafficPolicy, { connectionPool: { http: { maxRetries: 3 } } });
  assert.equal(mesh.localityLbSetting, { enabled: true, failover: [{ from: "a", to: "b" }] });
  assert.equal(mesh.defaultServiceExportTo, ["*"]);
  assert.equal(mesh.defaultConfig, { concurrency: 1 });
});

test("TLS of the mesh and to others: weak and unknown names are left out with a warning, and the rest holds", () => {
  const warnings: string[] = [];
  const mesh = readMeshConfig(
    {
      meshMTLS: { minProtocolVersion: "TLSV1_3", ecdhCurves: ["P-256", "P-192"] },
      tlsDefaults: {
        minProtocolVersion: "TLS_AUTO",
        cipherSuites: ["AES128-SHA", "ECDHE-RSA-CHACHA20-POLY1305", "AES128-GCM-SHA256"],
      },
    },
    "cluster.local",
    ({ path }) => warnings.push(path),
  );
  const { cipherSuites } = defaultMeshConfig.meshMTLS;
  assert.equal(mesh.meshMTLS, { minProtocolVersion: "TLSV1_3", cipherSuites, ecdhCurves: ["P-256"] });
  assert.equal(mesh.tlsDefaults, {
    minProtocolVersion: "TLSV1_2",
    cipherSuites: ["ECDHE-RSA-CHACHA20-POLY1305"],
    ecdhCurves: [],
  });
  assert.equal(warnings, [
    "meshConfig.meshMTLS.ecdhCurves[1]",
    "meshConfig.tlsDefaults.cipherSuites[0]",
    "meshConfig.tlsDefaults.cipherSuites[2]",
  ]);
  const weak = readMeshConfig({ meshMTLS: { cipherSuites: ["AES128-SHA"] } }, "cluster.local");
  assert.equal(weak.meshMTLS.cipherSuites, cipherSuites);
});

const asked = (fields: object) => ({
  extensionProviders: [{ name: "p", envoyExtAuthzGrpc: { service: "shop/a.shop.svc", port: 80, ...fields } }],
});

test("providers are as the mesh configuration has them; what is not for authorization is left out, with a word", () => {
  const warnings: string[] = [];
  const { extensionProviders } = readMeshConfig(
    { extensionProviders: [...asked({ failOpen: true }).extensionProviders, { name: "t", zipkin: { port: 9411 } }] },
    "cluster.local",
    ({ path, message }) => warnings.push(`${path}: ${message}`),
  );
  assert.equal(extensionProviders, [...asked({ failOpen: true }).extensionProviders, { name: "t" }]);
  assert.is(warnings.length, 2);
  assert.ok(warnings.some((text) => /failOpen: true lets every request pass/.test(text)));
  assert.ok(warnings.some((text) => /extensionProviders\[1\]\.zipkin: unknown field/.test(text)));
});

const faults: readonly (readonly [unknown, RegExp])[] = [
  [[], /^meshConfig: \[\] is not an object/],
  [{ trustDomain: "a b" }, /^meshConfig\.trustDomain: "a b" is no DNS name/],
  [{ trustDomainAliases: ["ok.example", "-"] }, /^meshConfig\.trustDomainAliases\[1\]: "-"/],
  [{ rootNamespace: "A" }, /^meshConfig\.rootNamespace: "A" is no such name/],
  [{ connectTimeout: 10 }, /^meshConfig\.connectTimeout: 10 is not a text/],
  [{ connectTimeout: "10" }, /^meshConfig\.connectTimeout: "10" is not a duration/],
  [{ connectTimeout: "0s" }, /^meshConfig\.connectTimeout: "0s" is less than 1ms/],
  [{ protocolDetectionTimeout: "-1s" }, /^meshConfig\.protocolDetectionTimeout: "-1s" is negative/],
  [
    { outboundTrafficPolicy: { mode: "ALLOW_ALL" } },
    /^meshConfig\.outboundTrafficPolicy\.mode: .*did you mean "ALLOW_ANY"/,
  ],
  [{ enableAutoMtls: "yes" }, /^meshConfig\.enableAutoMtls: "yes" is neither true nor false/],
  [{ defaultServiceExportTo: ["*", "a"] }, /^meshConfig\.defaultServiceExportTo: .*stands alone/],
  [
    { defaultTrafficPolicy: { connectionPool: { tcp: { connectTimeout: "0s" } } } },
    /connectionPool\.tcp\.connectTimeout/,
  ],
  [{ defaultHttpRetryPolicy: { attempts: 2, retryOn: "5xx,teapot" } }, /defaultHttpRetryPolicy\.retryOn: "teapot"/],
  [
    { localityLbSetting: { distribute: [{ from: "a", to: { b: 60 } }] } },
    /^meshConfig\.localityLbSetting\.distribute\[0\]\.to/,
  ],
  [{ extensionProviders: [{ envoyExtAuthzGrpc: {} }] }, /extensionProviders\[0\]\.name: is missing/],
  [asked({ service: "authorizer" }), /envoyExtAuthzGrpc\.service: "authorizer" is a short name; write the full host/],
  [asked({ service: "a/b/c.d" }), /service: "a\/b\/c\.d" has more than one "\/"/],
  [asked({ port: 0 }), /envoyExtAuthzGrpc\.port: 0 is too small/],
  [asked({ timeout: "0s" }), /timeout: "0s" is less than 1ms/],
  [asked({ statusOnError: "no" }), /statusOnError: "no" is no HTTP status/],
  [asked({ includeRequestBodyInCheck: {} }), /maxRequestBytes: is missing; say how many bytes/],
  [
    { extensionProviders: [{ name: "p", envoyExtAuthzHttp: { service: "a.b", port: 80, pathPrefix: "x" } }] },
    /envoyExtAuthzHttp\.pathPrefix: "x" does not begin with "\/"/,
  ],
  [{ extensionProviders: [{ name: "p" }, { name: "p" }] }, /extensionProviders\[1\]\.name: "p" is there twice/],
];
for (const [fields, message] of faults)
  test(`refuses ${JSON.stringify(fields)}`, () => {
    assert.throws(() => readMeshConfig(fields, "cluster.local"), message);
  });

test("every fault is told at once", () => {
  assert.throws(
    () => readMeshConfig({ trustDomain: 1, connectTimeout: "x" }, "cluster.local"),
    /trustDomain.*\n.*connectTimeout/s,
  );
});

test("what does nothing is told, and stops nothing", () => {
  const warnings: string[] = [];
  readMeshConfig({ enableTracing: true, trustDomian: "x" }, "cluster.local", ({ path, message }) =>
    warnings.push(`${path}: ${message}`),
  );
  assert.is(warnings.length, 2);
  assert.match(warnings[0]!, /^meshConfig\.enableTracing: has no effect/);
  assert.match(warnings[1]!, /^meshConfig\.trustDomian: unknown field.*"trustDomain"/);
});

test.run();
