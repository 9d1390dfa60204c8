import { Format } from "typebox/format";
import { Check } from "typebox/value";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseDuration } from "../../../src/api/duration.js";
import type { Finding } from "../../../src/api/kind.js";
import {
  type DestinationRuleSpec,
  destinationRule,
  destinationRuleSchema,
  type TrafficPolicy,
} from "../../../src/api/networking/destination-rule.js";

Format.Set("duration", (text) => parseDuration(text) !== undefined);

const findingsOf = (spec: DestinationRuleSpec): readonly Finding[] => {
  assert.ok(Check(destinationRuleSchema, spec), `the case fits the schema: ${JSON.stringify(spec)}`);
  return destinationRule.check({ spec });
};
const brief = ({ severity, path }: Finding): string => `${severity} ${path}`;
const briefs = (spec: DestinationRuleSpec): readonly string[] => findingsOf(spec).map(brief);
const ofPolicy = (trafficPolicy: TrafficPolicy): readonly string[] => briefs({ host: "reviews", trafficPolicy });

const p = "spec.trafficPolicy";

test("a rule of the guides has no findings", () => {
  assert.equal(
    findingsOf({
      host: "reviews.prod.svc.cluster.local",
      trafficPolicy: {
        loadBalancer: { simple: "LEAST_REQUEST", warmup: { duration: "30s" } },
        connectionPool: {
          tcp: { maxConnections: 100, connectTimeout: "30ms", tcpKeepalive: { time: "7200s", interval: "75s" } },
          http: { http2MaxRequests: 1000, maxRequestsPerConnection: 10 },
        },
        outlierDetection: { consecutive5xxErrors: 7, interval: "5m", baseEjectionTime: "15m" },
        tls: { mode: "MUTUAL", clientCertificate: "/c.pem", privateKey: "/k.pem", caCertificates: "/ca.pem" },
        portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: "ROUND_ROBIN" } }],
      },
      subsets: [{ name: "v1", labels: { version: "v1" }, trafficPolicy: { tls: { mode: "ISTIO_MUTUAL" } } }],
      exportTo: ["."],
    }),
    [],
  );
});

const table: readonly (readonly [title: string, policy: TrafficPolicy, expected: readonly string[]])[] = [
  [
    "simple and consistentHash",
    { loadBalancer: { simple: "RANDOM", consistentHash: { useSourceIp: true } } },
    [`error ${p}.loadBalancer.consistentHash`],
  ],
  [
    "two hash keys",
    { loadBalancer: { consistentHash: { httpHeaderName: "x", useSourceIp: true } } },
    [`error ${p}.loadBalancer.consistentHash.useSourceIp`],
  ],
  [
    "two algorithms",
    { loadBalancer: { consistentHash: { useSourceIp: true, ringHash: {}, maglev: {} } } },
    [`error ${p}.loadBalancer.consistentHash.maglev`],
  ],
  ["no hash key", { loadBalancer: { consistentHash: {} } }, [`warning ${p}.loadBalancer.consistentHash`]],
  [
    "a table that is no prime",
    { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 65536 } } } },
    [`error ${p}.loadBalancer.consistentHash.maglev.tableSize`],
  ],
  [
    "the largest table",
    { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 5_000_011 } } } },
    [],
  ],
  [
    "the old ring size",
    { loadBalancer: { consistentHash: { useSourceIp: true, minimumRingSize: 10 } } },
    [`warning ${p}.loadBalancer.consistentHash.minimumRingSize`],
  ],
  [
    "cookie with a line end",
    { loadBalancer: { consistentHash: { httpCookie: { name: "a b", ttl: "0s", path: "/\r\nx" } } } },
    [
      `error ${p}.loadBalancer.consistentHash.httpCookie.name`,
      `error ${p}.loadBalancer.consistentHash.httpCookie.path`,
    ],
  ],
  [
    "cookie attribute twice",
    {
      loadBalancer: {
        consistentHash: { httpCookie: { name: "a", ttl: "1s", attributes: [{ name: "Secure" }, { name: "secure" }] } },
      },
    },
    [`error ${p}.loadBalancer.consistentHash.httpCookie.attributes[1].name`],
  ],
  [
    "warm-up that cannot be",
    { loadBalancer: { simple: "RANDOM", warmup: { duration: "1s" } } },
    [`warning ${p}.loadBalancer.warmup`],
  ],
  [
    "warm-up old and new",
    { loadBalancer: { warmup: { duration: "1s" }, warmupDurationSecs: "1s" } },
    [`error ${p}.loadBalancer.warmupDurationSecs`, `warning ${p}.loadBalancer.warmupDurationSecs`],
  ],
  ["LEAST_CONN", { loadBalancer: { simple: "LEAST_CONN" } }, [`warning ${p}.loadBalancer.simple`]],
  [
    "distribute and failover",
    {
      outlierDetection: {},
      loadBalancer: {
        localityLbSetting: { distribute: [{ from: "a", to: { b: 100 } }], failover: [{ from: "a", to: "b" }] },
      },
    },
    [`error ${p}.loadBalancer.localityLbSetting.failover`],
  ],
  [
    "distribute and failoverPriority",
    {
      outlierDetection: {},
      loadBalancer: { localityLbSetting: { distribute: [{ from: "a", to: { b: 100 } }], failoverPriority: ["x"] } },
    },
    [`error ${p}.loadBalancer.localityLbSetting.failoverPriority`],
  ],
  [
    "failover and a topology label",
    {
      outlierDetection: {},
      loadBalancer: {
        localityLbSetting: { failover: [{ from: "a", to: "b" }], failoverPriority: ["topology.kubernetes.io/zone"] },
      },
    },
    [`error ${p}.loadBalancer.localityLbSetting.failoverPriority[0]`],
  ],
  [
    "failover and another label",
    {
      outlierDetection: {},
      loadBalancer: { localityLbSetting: { failover: [{ from: "a", to: "b" }], failoverPriority: ["version"] } },
    },
    [],
  ],
  [
    "failover without outlier detection",
    { loadBalancer: { localityLbSetting: { failover: [{ from: "a", to: "b" }] } } },
    [`warning ${p}.loadBalancer.localityLbSetting.failover`],
  ],
  [
    "failover to itself, and a zone",
    {
      outlierDetection: {},
      loadBalancer: {
        localityLbSetting: {
          failover: [
            { from: "a", to: "a" },
            { from: "b/c", to: "*" },
          ],
        },
      },
    },
    [
      `error ${p}.loadBalancer.localityLbSetting.failover[0].to`,
      `error ${p}.loadBalancer.localityLbSetting.failover[1].from`,
      `error ${p}.loadBalancer.localityLbSetting.failover[1].to`,
    ],
  ],
  [
    "shares of 99",
    { loadBalancer: { localityLbSetting: { distribute: [{ from: "a/*", to: { a: 50, b: 49 } }] } } },
    [`error ${p}.loadBalancer.localityLbSetting.distribute[0].to`],
  ],
  [
    "overlapping localities",
    {
      loadBalancer: {
        localityLbSetting: {
          distribute: [
            { from: "a", to: { "a/*": 50, "a/b": 50 } },
            { from: "a/b", to: { a: 100 } },
          ],
        },
      },
    },
    [
      `error ${p}.loadBalancer.localityLbSetting.distribute[0].to["a/b"]`,
      `error ${p}.loadBalancer.localityLbSetting.distribute[1].from`,
    ],
  ],
  [
    "a malformed locality",
    { loadBalancer: { localityLbSetting: { distribute: [{ from: "*/a", to: { "a//b": 100 } }] } } },
    [
      `error ${p}.loadBalancer.localityLbSetting.distribute[0].to["a//b"]`,
      `error ${p}.loadBalancer.localityLbSetting.distribute[0].from`,
    ],
  ],
  [
    "zones",
    {
      loadBalancer: { zoneAwareLbSetting: { failoverPriority: ["topology.kubernetes.io/zone"] } },
      outlierDetection: {},
    },
    [`error ${p}.loadBalancer.zoneAwareLbSetting.failoverPriority[0]`, `warning ${p}.loadBalancer.zoneAwareLbSetting`],
  ],
  [
    "zero is unset",
    { connectionPool: { tcp: { maxConnections: 0 }, http: { http1MaxPendingRequests: 0 } } },
    [`warning ${p}.connectionPool.tcp.maxConnections`, `warning ${p}.connectionPool.http.http1MaxPendingRequests`],
  ],
  [
    "too short",
    { connectionPool: { tcp: { connectTimeout: "0s", idleTimeout: "0s" }, http: { idleTimeout: "1us" } } },
    [`error ${p}.connectionPool.tcp.connectTimeout`, `error ${p}.connectionPool.http.idleTimeout`],
  ],
  [
    "half a keep-alive",
    { connectionPool: { http: { http2KeepAlive: { interval: "1s" } } } },
    [`error ${p}.connectionPool.http.http2KeepAlive`],
  ],
  [
    "upgrade and the client's protocol",
    { connectionPool: { http: { h2UpgradePolicy: "UPGRADE", useClientProtocol: true } } },
    [`error ${p}.connectionPool.http.h2UpgradePolicy`],
  ],
  [
    "local failures without the split",
    { outlierDetection: { consecutiveLocalOriginFailures: 3 } },
    [`error ${p}.outlierDetection.consecutiveLocalOriginFailures`],
  ],
  [
    "deprecated errors",
    { outlierDetection: { consecutiveErrors: 3 } },
    [`warning ${p}.outlierDetection.consecutiveErrors`],
  ],
  [
    "gateway errors never reached",
    { outlierDetection: { consecutiveGatewayErrors: 6 } },
    [`warning ${p}.outlierDetection.consecutiveGatewayErrors`],
  ],
  ["a credential on sidecars", { tls: { mode: "SIMPLE", credentialName: "c" } }, [`error ${p}.tls.credentialName`]],
  [
    "a credential and files",
    { tls: { mode: "MUTUAL", credentialName: "c", caCertificates: "/ca" } },
    [`error ${p}.tls.credentialName`, `error ${p}.tls.caCertificates`],
  ],
  ["mutual without certificate", { tls: { mode: "MUTUAL" } }, [`error ${p}.tls.clientCertificate`]],
  ["mutual without key", { tls: { mode: "MUTUAL", clientCertificate: "/c" } }, [`error ${p}.tls.privateKey`]],
  ["a relative path", { tls: { mode: "SIMPLE", caCertificates: "ca.pem" } }, [`error ${p}.tls.caCertificates`]],
  [
    "the mesh's certificates and a file",
    { tls: { mode: "ISTIO_MUTUAL", caCertificates: "/ca" } },
    [`error ${p}.tls.caCertificates`],
  ],
  ["disabled with names", { tls: { mode: "DISABLE", sni: "x" } }, [`warning ${p}.tls.sni`]],
  ["unverified", { tls: { mode: "SIMPLE", insecureSkipVerify: true } }, [`warning ${p}.tls.insecureSkipVerify`]],
  [
    "unverified but with an authority",
    { tls: { mode: "SIMPLE", insecureSkipVerify: true, caCertificates: "/ca" } },
    [`error ${p}.tls.caCertificates`, `warning ${p}.tls.insecureSkipVerify`],
  ],
  [
    "tunnel and PROXY protocol",
    { tunnel: { targetHost: "a.b", targetPort: 1 }, proxyProtocol: {} },
    [`error ${p}.proxyProtocol`],
  ],
  ["a tunnel to nowhere", { tunnel: { targetHost: "a b", targetPort: 1 } }, [`error ${p}.tunnel.targetHost`]],
  [
    "a port without number",
    { portLevelSettings: [{ tls: { mode: "DISABLE" } }] },
    [`error ${p}.portLevelSettings[0].port.number`],
  ],
  [
    "a port twice",
    {
      portLevelSettings: [
        { port: { number: 80 }, tls: {} },
        { port: { number: 80 }, tls: {} },
      ],
    },
    [`warning ${p}.portLevelSettings[1].port.number`],
  ],
  [
    "budget and maximum",
    { retryBudget: {}, connectionPool: { http: { maxRetries: 3 } } },
    [`warning ${p}.connectionPool.http.maxRetries`],
  ],
];

for (const [title, policy, expected] of table)
  test(title, () => {
    assert.equal(ofPolicy(policy), expected);
  });

test("a tunnel or the PROXY protocol of one port is refused, not dropped", () => {
  const port = { port: { number: 80 }, tls: {}, tunnel: {}, proxyProtocol: {} };
  assert.equal(
    destinationRule.check({ spec: { host: "a", trafficPolicy: { portLevelSettings: [port] } } }).map(brief),
    [`error ${p}.portLevelSettings[0].tunnel`, `error ${p}.portLevelSettings[0].proxyProtocol`],
  );
});

test("hosts, subsets, exportTo and selectors", () => {
  for (const host of ["reviews", "*", "*.local", "a.b.svc.cluster.local", "10.0.0.1", "fd00::1", "httpbin.org."])
    assert.equal(
      briefs({ host }).filter((found) => found.startsWith("error")),
      [],
      host,
    );
  for (const host of ["a.*.b", "**", "a..b", "http://a", "a b", "-a", "*."])
    assert.equal(briefs({ host }), ["error spec.host"], host);
  assert.equal(briefs({ host: "reviews.prod" }), ["warning spec.host"]);
  assert.equal(briefs({ host: "a", subsets: [{ name: "v1", labels: { v: "1" } }, { name: "v1" }] }), [
    "error spec.subsets[1].name",
    "warning spec.subsets[1].labels",
  ]);
  assert.equal(briefs({ host: "a", subsets: [{ name: "a|b", labels: { v: "*" } }] }), [
    "error spec.subsets[0].labels.v",
    "error spec.subsets[0].name",
  ]);
  assert.equal(briefs({ host: "a", exportTo: ["*", "x"] }), ["error spec.exportTo"]);
  assert.equal(briefs({ host: "a", exportTo: ["~"] }), ["error spec.exportTo[0]"]);
  assert.equal(briefs({ host: "a", exportTo: ["b"], workloadSelector: {} }), [
    "warning spec.workloadSelector",
    "warning spec.exportTo",
  ]);
});

test("every message is one line with a cure", () => {
  for (const [title, policy] of table)
    for (const { message } of findingsOf({ host: "a", trafficPolicy: policy })) {
      assert.not.match(message, /\n/, title);
      assert.match(message, /:|leave|only/, `${title}: ${message}`);
    }
});

test("durations are read as Istio writes them", () => {
  const cases = {
    "1.5s": 1500,
    "100ms": 100,
    "1h30m": 5_400_000,
    "0": 0,
    "0s": 0,
    "-1s": -1000,
    "1us": 0.001,
    ".5s": 500,
  };
  for (const [text, milliseconds] of Object.entries(cases)) assert.is(parseDuration(text), milliseconds, text);
  for (const text of ["", "1", "s", "1 s", "1d", "1s1", "1s ", "1e3s", `${"1s".repeat(50)}`])
    assert.is(parseDuration(text), undefined, text);
});

test.run();
