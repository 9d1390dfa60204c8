import fc from "fast-check";
import type {
  DestinationRule,
  DestinationRuleSpec,
  Subset,
  TrafficPolicy,
} from "../../../src/api/networking/destination-rule.js";

/** Valid DestinationRules: what the API server and `check` let through, without deprecated fields and Secrets. */

type Present<T> = { [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key] } & {
  [Key in keyof T as undefined extends T[Key] ? Key : never]?: Exclude<T[Key], undefined>;
};

/** A record any of whose optional fields may be absent. */
const partial = <T extends object>(fields: { [Key in keyof T]-?: fc.Arbitrary<Exclude<T[Key], undefined>> }) =>
  fc.record(fields as { [Key in keyof T]: fc.Arbitrary<T[Key]> }, { requiredKeys: [] }) as unknown as fc.Arbitrary<
    Present<T>
  >;

const duration = fc.oneof(
  fc.integer({ min: 1, max: 5000 }).map((milliseconds) => `${milliseconds}ms`),
  fc.integer({ min: 1, max: 100 }).map((seconds) => `${seconds}s`),
  fc.constantFrom("1.5s", "1h", "1m30s", "0.25h"),
);
const limit = fc.integer({ min: 0, max: 2_147_483_647 });
const region = fc.constantFrom("eu", "us", "asia");
const label = fc.constantFrom("version", "topology.kubernetes.io/zone", "team=blue", "topology.istio.io/network");

const cookie = fc.record(
  {
    name: fc.constantFrom("user", "session-id", "a_b"),
    path: fc.constantFrom("/", "/shop"),
    ttl: fc.oneof(fc.constant("0s"), duration),
    attributes: fc.uniqueArray(fc.record({ name: fc.constantFrom("SameSite", "Domain"), value: fc.constant("x") }), {
      selector: ({ name }) => name,
    }),
  },
  { requiredKeys: ["name"] },
);

const hashKey = fc.oneof(
  fc.constantFrom("x-user", ":authority", "Cookie").map((httpHeaderName) => ({ httpHeaderName })),
  cookie.map((httpCookie) => ({ httpCookie })),
  fc.boolean().map((useSourceIp) => ({ useSourceIp })),
  fc.constantFrom("id", "q").map((httpQueryParameterName) => ({ httpQueryParameterName })),
);
const hashAlgorithm = fc.oneof(
  fc.constant({}),
  fc.constantFrom(0, 1, 1024, 8_388_608).map((minimumRingSize) => ({ ringHash: { minimumRingSize } })),
  fc.constantFrom(0, 2, 101, 65_537, 5_000_011).map((tableSize) => ({ maglev: { tableSize } })),
  fc.constant({ ringHash: {} }),
);

const shares = fc.constantFrom<Record<string, number>>(
  { "eu/*": 80, "us/*": 20 },
  { "eu/a/*": 1, "eu/b": 98, us: 1 },
  { "*": 100 },
);

const failover = fc.uniqueArray(
  fc
    .tuple(region, region)
    .filter(([from, to]) => from !== to)
    .map(([from, to]) => ({ from, to })),
  { selector: ({ from }) => from },
);

const locality = fc.oneof(
  fc
    .uniqueArray(
      fc.tuple(region, shares).map(([from, to]) => ({ from: `${from}/*`, to })),
      { selector: ({ from }) => from },
    )
    .map((distribute) => ({ localityLbSetting: { distribute } })),
  failover.map((entries) => ({ localityLbSetting: { failover: entries } })),
  fc.uniqueArray(label).map((failoverPriority) => ({ localityLbSetting: { failoverPriority } })),
  fc.boolean().map((enabled) => ({ localityLbSetting: { enabled } })),
  fc
    .record({ enabled: fc.boolean(), failover, minClusterSize: fc.integer({ min: 1, max: 100 }) }, { requiredKeys: [] })
    .map((zoneAwareLbSetting) => ({ zoneAwareLbSetting })),
  fc.constant({}),
);

const warmup = fc.oneof(
  fc.constant({}),
  fc
    .record(
      { duration, minimumPercent: fc.integer({ min: 0, max: 100 }), aggression: fc.constantFrom(0.5, 1, 3) },
      { requiredKeys: ["duration"] },
    )
    .map((settings) => ({ warmup: settings })),
);

const loadBalancer = fc
  .tuple(
    fc.oneof(
      fc
        .constantFrom(
          "UNSPECIFIED" as const,
          "RANDOM" as const,
          "PASSTHROUGH" as const,
          "ROUND_ROBIN" as const,
          "LEAST_REQUEST" as const,
        )
        .map((simple) => ({ simple })),
      fc.tuple(hashKey, hashAlgorithm).map(([key, algorithm]) => ({ consistentHash: { ...key, ...algorithm } })),
      fc.constant({}),
    ),
    locality,
    warmup,
  )
  .map(([balancer, localities, warm]) => ({ ...balancer, ...localities, ...warm }));

const connectionPool = partial<NonNullable<TrafficPolicy["connectionPool"]>>({
  tcp: partial<NonNullable<NonNullable<TrafficPolicy["connectionPool"]>["tcp"]>>({
    maxConnections: limit,
    connectTimeout: duration,
    tcpKeepalive: partial<{ probes?: number; time?: string; interval?: string }>({
      probes: fc.integer({ min: 0, max: 100 }),
      time: duration,
      interval: duration,
    }),
    maxConnectionDuration: duration,
    idleTimeout: fc.oneof(fc.constant("0s"), duration),
  }),
  http: partial<NonNullable<NonNullable<TrafficPolicy["connectionPool"]>["http"]>>({
    http1MaxPendingRequests: limit,
    http2MaxRequests: limit,
    maxRequestsPerConnection: fc.integer({ min: 0, max: 536_870_912 }),
    maxRetries: limit,
    idleTimeout: duration,
    h2UpgradePolicy: fc.constantFrom("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
    useClientProtocol: fc.constant(false),
    maxConcurrentStreams: limit,
    http2KeepAlive: fc.record({ interval: duration, timeout: duration }),
  }),
});

const outlierDetection = fc
  .tuple(
    partial<NonNullable<TrafficPolicy["outlierDetection"]>>({
      consecutiveErrors: fc.integer({ min: 0, max: 10 }),
      splitExternalLocalOriginErrors: fc.boolean(),
      consecutiveLocalOriginFailures: fc.integer({ min: 1, max: 10 }),
      consecutiveGatewayErrors: fc.integer({ min: 0, max: 10 }),
      consecutive5xxErrors: fc.integer({ min: 0, max: 10 }),
      interval: duration,
      baseEjectionTime: duration,
      maxEjectionPercent: fc.integer({ min: 0, max: 100 }),
      minHealthPercent: fc.integer({ min: 0, max: 100 }),
      outlierDetectionHttpErrorCodes: fc.array(fc.integer({ min: 100, max: 599 }), { maxLength: 3 }),
    }),
  )
  .map(([settings]) => {
    const { consecutiveLocalOriginFailures: failures, ...rest } = settings;
    return rest.splitExternalLocalOriginErrors === true && failures !== undefined
      ? { ...rest, consecutiveLocalOriginFailures: failures }
      : rest;
  });

const subjectAltNames = fc.array(fc.constantFrom("db.example.com", "spiffe://cluster.local/ns/a/sa/b"), {
  maxLength: 2,
});
const sni = fc.constantFrom("db.example.com", "");

/** Names certificates by these paths. */
export const arbitraryTls = (files: {
  readonly certificate: string;
  readonly key: string;
  readonly authorities: string;
}) =>
  fc.oneof(
    fc.constant({}),
    fc.constant({ mode: "DISABLE" as const }),
    fc.record({ mode: fc.constant("ISTIO_MUTUAL" as const), sni, subjectAltNames }, { requiredKeys: ["mode"] }),
    fc.record(
      { mode: fc.constant("SIMPLE" as const), sni, subjectAltNames, caCertificates: fc.constant(files.authorities) },
      { requiredKeys: ["mode"] },
    ),
    fc.constant({ mode: "SIMPLE" as const, insecureSkipVerify: true, sni: "x" }),
    fc.record(
      {
        mode: fc.constant("MUTUAL" as const),
        clientCertificate: fc.constant(files.certificate),
        privateKey: fc.constant(files.key),
        caCertificates: fc.constant(files.authorities),
        sni,
        subjectAltNames,
      },
      { requiredKeys: ["mode", "clientCertificate", "privateKey"] },
    ),
  );

const defaultFiles = {
  certificate: "/etc/certs/cert.pem",
  key: "/etc/certs/key.pem",
  authorities: "/etc/certs/ca.pem",
};

export const arbitraryTrafficPolicy = (files = defaultFiles): fc.Arbitrary<TrafficPolicy> => {
  const blocks = { loadBalancer, connectionPool, outlierDetection, tls: arbitraryTls(files) };
  return fc
    .record(
      {
        ...blocks,
        portLevelSettings: fc.uniqueArray(
          fc.record(
            { port: fc.record({ number: fc.constantFrom(80, 443, 9080) }), ...blocks },
            { requiredKeys: ["port"] },
          ),
          { selector: ({ port }) => port.number, maxLength: 2 },
        ),
        tunnel: fc.record(
          {
            protocol: fc.constantFrom("" as const, "CONNECT" as const, "POST" as const),
            targetHost: fc.constantFrom("db.example.com", "10.0.0.1", "fd00::1"),
            targetPort: fc.constantFrom(443, 5432),
          },
          { requiredKeys: ["targetHost", "targetPort"] },
        ),
        proxyProtocol: fc.record({ version: fc.constantFrom("V1" as const, "V2" as const) }, { requiredKeys: [] }),
        retryBudget: fc.record(
          {
            percent: fc.constantFrom(0, 12.5, 100),
            minRetryConcurrency: fc.integer({ min: 0, max: 10 }),
            budgetInterval: fc.oneof(fc.constant("0s"), duration),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    )
    .map((policy): TrafficPolicy => {
      const { tunnel, proxyProtocol, ...rest } = policy;
      if (tunnel !== undefined) return { ...rest, tunnel };
      return proxyProtocol === undefined ? rest : { ...rest, proxyProtocol };
    });
};

export const arbitrarySubset = (files = defaultFiles): fc.Arbitrary<Subset> =>
  fc.record(
    {
      name: fc.constantFrom("v1", "v2", "canary"),
      labels: fc.constantFrom<Record<string, string>>({ version: "v1" }, { version: "v2", team: "blue" }, {}),
      trafficPolicy: arbitraryTrafficPolicy(files),
    },
    { requiredKeys: ["name"] },
  );

export const arbitraryDestinationRuleSpec = (
  files = defaultFiles,
  host: fc.Arbitrary<string> = fc.constantFrom(
    "reviews",
    "ratings",
    "reviews.prod.svc.cluster.local",
    "*.prod.svc.cluster.local",
    "*",
  ),
): fc.Arbitrary<DestinationRuleSpec> =>
  fc.record(
    {
      host,
      trafficPolicy: arbitraryTrafficPolicy(files),
      subsets: fc.uniqueArray(arbitrarySubset(files), { selector: ({ name }) => name, maxLength: 3 }),
      exportTo: fc.constantFrom(["."], ["*"], ["shop"], ["shop", "prod"], []),
      workloadSelector: fc.constantFrom<{ matchLabels?: Record<string, string> }>(
        { matchLabels: { app: "client" } },
        { matchLabels: { app: "other" } },
        {},
      ),
    },
    { requiredKeys: ["host"] },
  );

/** A rule with a name and an age; several may be equally old. */
export const arbitraryDestinationRule = (
  namespace: fc.Arbitrary<string> = fc.constantFrom("prod", "shop", "istio-system"),
  spec: fc.Arbitrary<DestinationRuleSpec> = arbitraryDestinationRuleSpec(),
): fc.Arbitrary<DestinationRule> =>
  fc
    .tuple(namespace, fc.constantFrom("a", "b", "c", "d"), fc.constantFrom(1, 2, 3), spec)
    .map(([where, name, day, of]) => ({
      metadata: { name, namespace: where, creationTimestamp: `2025-01-0${day}T00:00:00Z` },
      spec: of,
    }));
