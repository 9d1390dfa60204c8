import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ConfigurationKind, configurationKindNames, definitionOf } from "../../../src/api/kinds.js";
import { readConfigObject, validateObject } from "../../../src/api/validate.js";

const metadata = { name: "it", namespace: "shop" };
const findingsOf = (kind: ConfigurationKind, spec: unknown): readonly string[] =>
  validateObject(definitionOf(kind), { metadata, spec }).map(
    ({ severity, path, message }) => `${severity === "error" ? "E" : "W"} ${path}: ${message}`,
  );

const web = { hosts: ["api.example.com"], ports: [{ number: 443, name: "tls", protocol: "TLS" }], resolution: "DNS" };
const tcp = { number: 3306, name: "db", protocol: "TCP" };

/** Kind, spec, and what the findings are to be: all of them, in order. */
const cases: readonly (readonly [ConfigurationKind, unknown, ...RegExp[]])[] = [
  ["ServiceEntry", web],
  ["ServiceEntry", undefined, /^E spec\.hosts: is missing; add it$/],
  ["ServiceEntry", { ...web, hosts: null }, /^E spec\.hosts: is missing/],
  ["ServiceEntry", { ...web, hosts: [] }, /^E spec\.hosts: \[\] has too few; give at least 1 item$/],
  [
    "ServiceEntry",
    { ...web, hosts: ["*"] },
    /^E spec\.hosts\[0\]: "\*" would stand/,
    /^E spec\.hosts\[0\]: "\*" cannot/,
  ],
  ["ServiceEntry", { ...web, hosts: ["a_b.example.com"] }, /^E spec\.hosts\[0\]: .*"a_b"/, /cannot be resolved/],
  ["ServiceEntry", { ...web, hosts: ["10.0.0.1"] }, /ends in a number/, /cannot be resolved/],
  ["ServiceEntry", { ...web, hosts: ["db"] }, /^W spec\.hosts\[0\]: "db" is taken as it stands/],
  ["ServiceEntry", { ...web, hosts: ["*.example.com"] }, /^E spec\.hosts\[0\]: .*set resolution to DYNAMIC_DNS$/],
  ["ServiceEntry", { ...web, hosts: ["*.example.com"], resolution: "DYNAMIC_DNS" }],
  ["ServiceEntry", { ...web, resolution: "DYNAMIC_DNS" }, /^E spec\.hosts\[0\]: .*no wildcard/],
  ["ServiceEntry", { ...web, location: "MESH_EXTRENAL" }, /^E spec\.location: .*did you mean "MESH_EXTERNAL"\?$/],
  ["ServiceEntry", { ...web, resolutoin: "DNS" }, /^W spec\.resolutoin: unknown field.*did you mean "resolution"\?$/],
  ["ServiceEntry", { ...web, ports: "443" }, /^E spec\.ports: "443" is not a list$/],
  ["ServiceEntry", { ...web, ports: [{ ...web.ports[0], number: "443" }] }],
  [
    "ServiceEntry",
    { ...web, ports: [{ ...web.ports[0], number: "x" }] },
    /ports\[0\]\.number: "x" is not a whole number/,
  ],
  ["ServiceEntry", { ...web, ports: [{ ...web.ports[0], number: 70000 }] }, /number: 70000 is too large.*65535/],
  ["ServiceEntry", { ...web, ports: [{ ...web.ports[0], protocol: "QUIC" }] }, /^E spec\.ports\[0\]\.protocol: "QUIC"/],
  [
    "ServiceEntry",
    { ...web, ports: [web.ports[0], web.ports[0]] },
    /^E spec\.ports\[1\]\.name: "tls" names an earlier/,
    /^E spec\.ports\[1\]\.number: 443 is an earlier/,
  ],
  ["ServiceEntry", { ...web, ports: [] }, /^W spec\.ports: is empty/],
  ["ServiceEntry", { ...web, addresses: ["10.0.0.0/8"] }, /^E spec\.addresses\[0\]: .*is a range/],
  ["ServiceEntry", { ...web, addresses: ["10.0.0.0/33"], resolution: "NONE" }, /^E spec\.addresses\[0\]: .*neither/],
  ["ServiceEntry", { ...web, ports: [tcp] }, /^W spec\.ports\[0\]: all TCP to port 3306/],
  ["ServiceEntry", { ...web, ports: [tcp], addresses: ["10.1.1.1"] }],
  ["ServiceEntry", { ...web, hosts: ["a.b", "c.d"], ports: [tcp] }, /^E spec\.ports\[0\]\.protocol: .*2 hosts apart/],
  [
    "ServiceEntry",
    { ...web, resolution: "NONE", endpoints: [{ address: "1.1.1.1" }] },
    /^E spec\.endpoints: resolution NONE/,
  ],
  ["ServiceEntry", { ...web, resolution: "STATIC" }, /^W spec\.resolution: "STATIC" without endpoints/],
  [
    "ServiceEntry",
    { ...web, resolution: "STATIC", endpoints: [{ address: "a.b" }] },
    /endpoints\[0\]\.address: "a\.b" is no IP/,
  ],
  ["ServiceEntry", { ...web, resolution: "STATIC", endpoints: [{}] }, /^E spec\.endpoints\[0\]\.address: is missing/],
  [
    "ServiceEntry",
    { ...web, resolution: "STATIC", endpoints: [{ address: "1.1.1.1", ports: { other: 80 } }] },
    /^E spec\.endpoints\[0\]\.ports\.other: "other" names no port/,
  ],
  [
    "ServiceEntry",
    { ...web, endpoints: [{ address: "unix:///a" }] },
    /^E spec\.endpoints\[0\]\.address: .*DNS finds no socket/,
  ],
  [
    "ServiceEntry",
    { ...web, resolution: "DNS_ROUND_ROBIN", endpoints: [{ address: "a.b" }, { address: "c.d" }] },
    /^E spec\.endpoints: has 2 endpoints/,
  ],
  [
    "ServiceEntry",
    { ...web, workloadSelector: { labels: {} }, endpoints: [{ address: "a.b" }] },
    /^W spec\.workloadSelector: \{\} selects every/,
    /^E spec\.workloadSelector: excludes endpoints/,
  ],
  [
    "ServiceEntry",
    { ...web, workloadSelector: { labels: { "a/b/c": "x" } } },
    /^E spec\.workloadSelector\.labels\["a\/b\/c"\]/,
  ],
  ["ServiceEntry", { ...web, exportTo: ["*", "shop"] }, /^E spec\.exportTo: .*stands alone/],
  ["ServiceEntry", { ...web, exportTo: ["~"] }],
  ["ServiceEntry", { ...web, exportTo: ["Shop"] }, /^E spec\.exportTo\[0\]: "Shop"/],
  ["WorkloadEntry", { address: "10.0.0.1", labels: { app: "vm" } }],
  ["WorkloadEntry", {}, /^E spec\.address: is missing/],
  ["WorkloadEntry", { network: "n" }, /^W spec\.address: is missing; the workload is only reached/],
  ["WorkloadEntry", { address: "unix://rel" }, /^E spec\.address: "rel" is no absolute path/],
  ["WorkloadEntry", { address: "unix:///a", ports: { http: 80 } }, /^E spec\.ports: .*has no ports/],
  ["WorkloadEntry", { address: "a b" }, /^E spec\.address: "a b" is neither/],
  ["WorkloadEntry", { address: "1.1.1.1", locality: "r/z/s/x" }, /^E spec\.locality: /],
  ["WorkloadEntry", { address: "1.1.1.1", weight: 0 }, /^W spec\.weight: 0 counts as 1/],
  [
    "WorkloadEntry",
    { address: "1.1.1.1", ports: { "a b": 80 } },
    /^E spec\.ports\["a b"\]: "a b" is no name of a port/,
  ],
  ["WorkloadGroup", { template: { serviceAccount: "vm" } }],
  ["WorkloadGroup", {}, /^E spec\.template: is missing/],
  ["WorkloadGroup", { template: {}, probe: {} }, /^E spec\.probe: asks nothing/],
  [
    "WorkloadGroup",
    { template: {}, probe: { exec: { command: ["a"] }, httpGet: { port: 1 } } },
    /^E spec\.probe: httpGet and exec/,
  ],
  ["WorkloadGroup", { template: { address: "1.1.1.1" } }, /^W spec\.template\.address/],
  ["Sidecar", { egress: [{ hosts: ["./*", "istio-system/*"] }] }],
  ["Sidecar", {}, /^E spec: sets nothing/],
  [
    "Sidecar",
    { egress: [{ hosts: ["reviews"] }] },
    /^E spec\.egress\[0\]\.hosts\[0\]: "reviews" has no namespace; write such as "\.\/reviews"/,
  ],
  ["Sidecar", { egress: [{ hosts: ["~/*"] }] }],
  ["Sidecar", { egress: [{ hosts: ["*/*", "~secret/*"] }] }],
  ["Sidecar", { egress: [{ hosts: ["*/*", "a/b.c"] }] }, /^W spec\.egress\[0\]\.hosts: /],
  [
    "Sidecar",
    { egress: [{ hosts: ["*/*"] }, { hosts: ["*/*"] }] },
    /^E spec\.egress\[0\]\.port: is missing, and only the last/,
  ],
  ["Sidecar", { egress: [{ hosts: ["*/*"], bind: "127.0.0.1" }] }, /^E spec\.egress\[0\]\.port: is missing, and bind/],
  ["Sidecar", { egress: [{ port: { number: 0, protocol: "TCP" }, hosts: ["*/*"] }] }, /port\.number: 0 is for Unix/],
  [
    "Sidecar",
    { egress: [{ port: { number: 0, protocol: "TCP" }, bind: "unix:///s", captureMode: "IPTABLES", hosts: ["*/*"] }] },
    /^E spec\.egress\[0\]\.captureMode: "IPTABLES"/,
  ],
  ["Sidecar", { ingress: [{ port: { number: 80, protocol: "HTTP" }, defaultEndpoint: "127.0.0.1:8080" }] }],
  ["Sidecar", { ingress: [{ port: { number: 80, protocol: "HTTP" }, defaultEndpoint: "127.89.0.2:8080" }] }],
  ["Sidecar", { egress: [{ port: { number: 3128, protocol: "HTTP_PROXY" }, hosts: ["*/*"] }] }],
  ["Sidecar", { ingress: [{ port: { number: 3128, protocol: "HTTP_PROXY" } }] }, /"HTTP_PROXY" is no protocol/],
  [
    "Sidecar",
    { ingress: [{ port: { number: 80, protocol: "HTTP" }, defaultEndpoint: "10.0.0.1:80" }] },
    /^E spec\.ingress\[0\]\.defaultEndpoint: "10\.0\.0\.1:80" is no endpoint of the workload/,
  ],
  [
    "Sidecar",
    { ingress: [{ port: { number: 80, protocol: "HTTP" } }, { port: { number: 80, protocol: "HTTP" } }] },
    /^E spec\.ingress\[1\]\.port\.number: 80 is an earlier/,
  ],
  [
    "Sidecar",
    { ingress: [{ port: {} }] },
    /^W spec\.ingress\[0\]\.port\.protocol/,
    /^E spec\.ingress\[0\]\.port\.number: 0 is no port/,
  ],
  [
    "Sidecar",
    { ingress: [{ port: { number: 443, protocol: "HTTPS" }, tls: { mode: "SIMPLE" } }] },
    /tls\.serverCertificate: is missing/,
    /tls\.privateKey: is missing/,
  ],
  [
    "Sidecar",
    { ingress: [{ port: { number: 443, protocol: "HTTP" }, tls: { mode: "ISTIO_MUTUAL", credentialName: "x" } }] },
    /tls\.mode: "ISTIO_MUTUAL" is not/,
    /tls\.credentialName/,
    /port\.protocol: "HTTP" is not TLS/,
  ],
  [
    "Sidecar",
    { inboundConnectionPool: { http: { idleTimeout: "5" } } },
    /idleTimeout: "5" is not a duration; write such as/,
  ],
  ["Sidecar", { inboundConnectionPool: { http: { idleTimeout: "1us" } } }, /idleTimeout: "1us" is less than 1ms/],
  ["Sidecar", { inboundConnectionPool: {} }, /^W spec\.inboundConnectionPool/],
  [
    "Sidecar",
    { outboundTrafficPolicy: { egressProxy: { host: "e.x" } } },
    /goes with mode ALLOW_ANY/,
    /port\.number: is missing/,
  ],
  ["ProxyConfig", { concurrency: 2 }],
  ["ProxyConfig", {}, /^W spec: sets nothing/],
  ["ProxyConfig", { concurrency: -1 }, /^E spec\.concurrency: -1 is too small; write at least 0/],
  ["ProxyConfig", { environmentVariables: { "a b": "x" } }, /^E spec\.environmentVariables\["a b"\]/],
  ["ProxyConfig", { image: { imageType: "a/b" } }, /^E spec\.image\.imageType: "a\/b"/],
  ["Telemetry", {}],
  [
    "Telemetry",
    { metrics: [{ providers: [{ name: "prometheus" }], overrides: [{ tagOverrides: { a: { value: "'b'" } } }] }] },
  ],
  ["Telemetry", { accessLogging: [{ match: { mode: "CLIENT" }, providers: [{ name: "envoy" }], disabled: false }] }],
  ["Telemetry", { tracing: [{ randomSamplingPercentage: 1 }] }, /^W spec\.tracing: has no effect/],
  ["Telemetry", { metrics: [{ reportingInterval: "5s" }] }, /^W spec\.metrics\[0\]\.reportingInterval: has no effect/],
  [
    "Telemetry",
    { metrics: [{ providers: [{ name: "x" }] }] },
    /^W spec\.metrics\[0\]\.providers\[0\]\.name: "x" is no provider/,
  ],
  [
    "Telemetry",
    { accessLogging: [{ filter: { expression: "a" } }] },
    /^W spec\.accessLogging\[0\]\.filter\.expression: has no effect/,
  ],
  ["Telemetry", { targetRefs: [{ kind: "Gateway", name: "a" }] }, /^W spec: is for gateways/],
  [
    "Telemetry",
    { metrics: [{ overrides: [{ match: { metric: "REQUESTS" } }] }] },
    /^E spec\.metrics\[0\]\.overrides\[0\]\.match\.metric: "REQUESTS"/,
  ],
  [
    "Telemetry",
    { metrics: [{ overrides: [{ tagOverrides: { "a-b": { value: "'b'" } } }] }] },
    /^E .*"a-b" is no label's name/,
  ],
  [
    "Telemetry",
    { metrics: [{ overrides: [{ tagOverrides: { a: { operation: "REMOVE", value: "'b'" } } }] }] },
    /^E .*REMOVE has none/,
  ],
  [
    "Telemetry",
    { metrics: [{ overrides: [{ tagOverrides: { a: { value: "1 + 1" } } }] }] },
    /^W .*"1 \+ 1" can't be worked out/,
  ],
  ["PeerAuthentication", { mtls: { mode: "STRICT" } }],
  [
    "PeerAuthentication",
    { selector: { matchLabels: { app: "a" } }, portLevelMtls: { 8080: { mode: "DISABLE" }, 1: {} } },
  ],
  ["PeerAuthentication", {}, /^W spec: sets no mode/],
  ["PeerAuthentication", { mtls: { mode: "UNSET" } }, /^W spec: sets no mode/],
  ["PeerAuthentication", { mtls: { mode: "MUTUAL" } }, /^E spec\.mtls\.mode: "MUTUAL"/],
  ["PeerAuthentication", { mtls: { mode: "STRICT" }, selector: {} }, /^W spec\.selector: \{\} selects every/],
  [
    "PeerAuthentication",
    { mtls: { mode: "STRICT" }, selector: { matchLabels: { app: "*" } } },
    /^E spec\.selector\.matchLabels\.app: "\*"/,
  ],
  [
    "PeerAuthentication",
    { portLevelMtls: { 8080: { mode: "STRICT" } } },
    /^E spec\.portLevelMtls: \["8080"\]: ports are of selected workloads/,
  ],
  [
    "PeerAuthentication",
    {
      selector: { matchLabels: { app: "a" } },
      portLevelMtls: { 0: { mode: "STRICT" }, 65536: {}, http: {}, 8080: { mode: "STRICT" } },
    },
    /^E spec\.portLevelMtls\["0"\]: "0" is no port number/,
    /^E spec\.portLevelMtls\["65536"\]: 65536 is no port number/,
    /^E spec\.portLevelMtls\.http: "http" is no port number/,
  ],
];

for (const [index, [kind, spec, ...expected]] of cases.entries())
  test(`${index} ${kind} ${JSON.stringify(spec)?.slice(0, 90)}`, () => {
    const found = findingsOf(kind, spec);
    assert.is(found.length, expected.length, `\n${found.join("\n")}`);
    for (const [at, pattern] of expected.entries()) assert.match(found[at]!, pattern);
  });

test("names and versions", () => {
  const found = (object: object): readonly string[] =>
    validateObject(definitionOf("ServiceEntry"), { spec: web, ...object }).map(
      ({ path, message }) => `${path}: ${message}`,
    );
  assert.equal(found({ metadata, apiVersion: "networking.istio.io/v1alpha3", kind: "ServiceEntry" }), []);
  assert.match(
    found({ metadata, apiVersion: "networking.istio.io/v2" })[0]!,
    /^apiVersion: .*write networking\.istio\.io\/v1 or/,
  );
  assert.match(found({ metadata, kind: "Sidecar" })[0]!, /^kind: "Sidecar" is another kind/);
  assert.match(found({})[0]!, /^metadata\.name: "" is no name/);
  assert.match(found({ metadata: { name: "A_b" } })[0]!, /^metadata\.name: "A_b"/);
  assert.match(found({ metadata: { name: "a", namespace: 1 } })[0]!, /^metadata\.namespace: 1 is not a text/);
  assert.equal(found({ metadata: { generateName: "a-" } }), []);
});

test("reads protobuf's JSON, and leaves what is fine as it is", () => {
  const given = { metadata, spec: { ...web, addresses: null, ports: [{ ...web.ports[0], number: "443" }], extra: 1 } };
  const before = structuredClone(given);
  const { object } = readConfigObject(definitionOf("ServiceEntry"), given);
  assert.equal(object?.spec, web);
  assert.equal(given, before, "nothing is changed in place");
  const plain = { metadata, spec: web };
  assert.is(readConfigObject(definitionOf("ServiceEntry"), plain).object, plain);
});

/** Keys that the schemas know, so that arbitrary values get past the first level. */
const keyed = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, "", "*", "~", "unix://", "1s", "TCP", 0, -1, 80, 1e300, true, [], {}),
    fc.string(),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(
        fc.constantFrom(
          ...["hosts", "ports", "number", "name", "protocol", "endpoints", "address", "labels", "egress", "ingress"],
          ...["port", "bind", "tls", "template", "probe", "selector", "workloadSelector", "exportTo", "resolution"],
          ...["__proto__", "constructor", "inboundConnectionPool", "http", "tcp", "defaultEndpoint", "mode"],
        ),
        fc.string(),
      ),
      tie("value"),
      { maxKeys: 6 },
    ),
  ),
}));

test("arbitrary JSON never throws, and what has no error fits its type", () => {
  fc.assert(
    fc.property(fc.constantFrom(...configurationKindNames), keyed.value, fc.anything(), (kind, spec, junk) => {
      const text = JSON.stringify(spec);
      const parsed: unknown = text === undefined ? undefined : JSON.parse(text);
      const { object, findings } = readConfigObject(definitionOf(kind), { metadata, spec: parsed });
      assert.is(
        object === undefined,
        findings.some(({ severity }) => severity === "error"),
      );
      if (object !== undefined)
        assert.equal(
          readConfigObject(definitionOf(kind), object).findings.filter(({ path }) => path.includes("unknown field")),
          [],
        );
      for (const { path, message } of findings) assert.ok(message.length < 600 && path.length < 600, message);
      validateObject(definitionOf(kind), junk);
      validateObject(definitionOf(kind), { metadata, spec: junk });
    }),
    { numRuns: 1500 },
  );
});

const nested = (depth: number): unknown => JSON.parse(`${'{"a":['.repeat(depth)}${"]}".repeat(depth)}`);
const many = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, at) => make(at));

const hostile: readonly (readonly [string, unknown])[] = [
  ["deep", { hosts: nested(5000), ports: nested(5000) }],
  ["300,000 unknown fields", Object.fromEntries(many(300_000, (at) => [`f${at}`, 1]))],
  ["300,000 hosts", { ...web, hosts: many(300_000, (at) => `h${at}.example`) }],
  ["1,000,000 wrong ports", { ...web, ports: many(1_000_000, () => 1) }],
  ["a text of 3 MB", { ...web, hosts: ["a".repeat(3_000_000)], location: "b".repeat(3_000_000) }],
  ["a field name of 3 MB", { ...web, ["c".repeat(3_000_000)]: 1 }],
  ["4,096 endpoints", { ...web, resolution: "STATIC", endpoints: many(4096, (at) => ({ address: `x${at}` })) }],
  ["256 wildcards", { ...web, hosts: many(256, () => `*${".a".repeat(100)}*`) }],
];
for (const [name, spec] of hostile)
  test(`hostile: ${name}`, () => {
    const before = process.cpuUsage();
    const findings = validateObject(definitionOf("ServiceEntry"), { metadata, spec });
    const { user, system } = process.cpuUsage(before);
    const elapsed = (user + system) / 1000;
    assert.ok(findings.length > 0 && findings.length <= 51);
    assert.ok(elapsed < 1500, `${elapsed.toFixed(0)} ms`);
    assert.ok(JSON.stringify(findings).length < 50_000);
  });

test.run();
