import fc from "fast-check";
import type {
  CorsPolicy,
  Destination,
  Headers,
  HttpMatchRequest,
  HttpRoute,
  StringMatch,
  TcpRoute,
  TlsRoute,
  VirtualService,
  VirtualServiceSpec,
} from "../../../src/api/networking/virtual-service.js";

type Optional<Shape> = { readonly [Key in keyof Shape]: fc.Arbitrary<NonNullable<Shape[Key]>> };

/** Any of the fields, none of them undefined. */
const some = <Shape extends object>(fields: Optional<Shape>): fc.Arbitrary<Partial<Shape>> =>
  fc.record(fields as never, { requiredKeys: [] }) as fc.Arbitrary<Partial<Shape>>;

const hosts = ["reviews", "ratings", "reviews.shop.svc.cluster.local", "api.example.com", "a.b.example.com"];
const namespaces = ["shop", "other", "istio-system"];
const words = ["a", "api", "v1", "Über", "x-y", "%41", "100%", " ", "ünï"];

const word = fc.oneof(fc.constantFrom(...words), fc.stringMatching(/^[a-z0-9]{1,8}$/));
const path = fc.array(word, { maxLength: 3 }).map((parts) => `/${parts.join("/").replaceAll(/[?#]/g, "")}`);
const regex = fc.oneof(
  fc.constantFrom(".*", "/.*", "[^/]+", "(?i)a|b", "\\d{1,3}", "/v[0-9]+/(items|users)/.*", "\\pL+", "a{100}", "^/x$"),
  fc.array(word, { minLength: 1, maxLength: 5 }).map((parts) => parts.map((part) => part.replace("%", ".")).join("|")),
);
const headerName = fc.constantFrom("x-a", "X-B", "cookie", "end-user", "accept", "x_c", "user-agent");
const headerValue = fc.constantFrom(
  ...["1", "", "a b", "%REQ(x-a?:path):10%", "100%%", "%UPSTREAM_CLUSTER%", "%START_TIME(%s)%", "ünï", 'a"b\\c'],
);
const percentage = fc.constantFrom(0, 0.0001, 0.29, 1, 12.5, 50, 99.9999, 100).map((value) => ({ value }));
const time = fc.constantFrom("0s", "1ms", "25ms", "1.5s", "1h", "1m30s");
const positiveTime = fc.constantFrom("1ms", "10ms", "2s");
const record = <Value>(value: fc.Arbitrary<Value>, key: fc.Arbitrary<string> = headerName) =>
  fc.dictionary(key, value, { maxKeys: 3 });

const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  word.map((exact) => ({ exact })),
  word.map((prefix) => ({ prefix })),
  regex.map((text) => ({ regex: text })),
);
const presence: fc.Arbitrary<StringMatch> = fc.oneof(
  stringMatch,
  fc.constantFrom<StringMatch>({}, { regex: "*" }, { exact: "" }),
);
const uri: fc.Arbitrary<StringMatch> = fc.oneof(
  path.map((exact) => ({ exact })),
  path.map((prefix) => ({ prefix })),
  fc.constant({ prefix: "" }),
  regex.map((text) => ({ regex: text })),
);

const destination: fc.Arbitrary<Destination> = fc
  .tuple(
    fc.constantFrom(...hosts),
    some<Destination>({ subset: fc.constantFrom("v1", "v2"), port: fc.constant({ number: 8080 }) } as never),
  )
  .map(([host, rest]) => ({ ...rest, host }));

const staticMatch = {
  port: fc.constantFrom(0, 80, 8080),
  sourceLabels: fc.dictionary(fc.constantFrom("app", "example.com/tier"), fc.constantFrom("a", "b"), { maxKeys: 2 }),
  gateways: fc.subarray(["mesh", "ingress", "istio-system/egress"]),
  sourceNamespace: fc.constantFrom("", ...namespaces),
};

const httpMatch = some<HttpMatchRequest>({
  ...staticMatch,
  name: fc.constantFrom("m", "second"),
  uri,
  scheme: fc.constantFrom({ exact: "http" }, { regex: "https?" }),
  method: fc.constantFrom({ exact: "GET" }, { regex: "GET|POST" }, { prefix: "P" }),
  authority: stringMatch,
  headers: record(presence, fc.oneof(headerName, fc.constant(":path"))),
  withoutHeaders: record(presence),
  queryParams: record(presence),
  ignoreUriCase: fc.boolean(),
  statPrefix: fc.constantFrom("p", "some.thing"),
});

const operations = (names: fc.Arbitrary<string>) =>
  some({ set: record(headerValue, names), add: record(headerValue), remove: fc.array(headerName, { maxLength: 2 }) });
const headers: fc.Arbitrary<Headers> = some<Headers>({
  request: operations(headerName),
  response: operations(headerName),
} as never);
const withAuthority: fc.Arbitrary<Headers> = fc.constantFrom<Headers>({ request: { set: { Host: "other.example" } } });

const weighted = <Extra>(extra: fc.Arbitrary<Extra>) =>
  fc
    .array(fc.tuple(destination, fc.integer({ min: 0, max: 1000 }), extra), { minLength: 1, maxLength: 4 })
    .map((each) =>
      each.map(([to, weight, more], index) => ({
        ...more,
        destination: to,
        weight: index === 0 ? weight + 1 : weight,
      })),
    );

const policies = some<HttpRoute>({
  timeout: time,
  retries: some({
    attempts: fc.integer({ min: 0, max: 5 }),
    perTryTimeout: time,
    retryOn: fc.constantFrom("", "5xx", "503, 429,connect-failure", "retriable-4xx,reset", "gateway-error,cancelled"),
    retryRemoteLocalities: fc.boolean(),
    retryIgnorePreviousHosts: fc.boolean(),
    backoff: positiveTime,
  }),
  mirrors: fc.array(
    fc.tuple(destination, percentage).map(([to, share]) => ({ destination: to, percentage: share })),
    {
      maxLength: 2,
    },
  ),
  corsPolicy: some<CorsPolicy>({
    allowOrigins: fc.array(stringMatch, { maxLength: 3 }),
    allowOrigin: fc.constant(["https://a.example"]),
    allowMethods: fc.subarray(["GET", "PUT", "*"]),
    allowHeaders: fc.array(headerName, { maxLength: 2 }),
    exposeHeaders: fc.array(headerName, { maxLength: 2 }),
    maxAge: fc.constantFrom("0s", "24h"),
    allowCredentials: fc.boolean(),
    unmatchedPreflights: fc.constantFrom("UNSPECIFIED", "FORWARD", "IGNORE"),
  }),
  headers,
} as never);

const fault = fc.oneof(
  percentage.map((share) => ({ abort: { httpStatus: 503, percentage: share } })),
  percentage.map((share) => ({ abort: { grpcStatus: "UNAVAILABLE", percentage: share } })),
  fc.tuple(positiveTime, percentage).map(([fixedDelay, share]) => ({ delay: { fixedDelay, percentage: share } })),
);

const rewrite = fc.oneof(
  path.map((text) => ({ uri: text })),
  fc.constant({ authority: "rewritten.example" }),
  fc.constant({ uriRegexRewrite: { match: "^/(a|b)/(.*)$", rewrite: "/\\2/\\1" }, authority: "rewritten.example" }),
);

const routed = fc
  .tuple(
    weighted(
      fc.oneof(
        fc.constant({}),
        headers.map((each) => ({ headers: each })),
        withAuthority.map((each) => ({ headers: each })),
      ),
    ),
    policies,
    some({ fault, rewrite } as never),
  )
  .map(([route, policy, more]): HttpRoute => ({ ...policy, ...(more as Partial<HttpRoute>), route }));

const redirected = fc
  .tuple(
    fc.constantFrom(
      ...[{ uri: "/new" }, { authority: "new.example" }, { scheme: "https" }, { port: 8443 }],
      ...([{ derivePort: "FROM_REQUEST_PORT" }, { uri: "/a b?c=d", redirectCode: 308 }] as const),
    ),
    some<HttpRoute>({ headers } as never),
  )
  .map(([redirect, more]): HttpRoute => ({ ...more, redirect }));

const answered = fc.constantFrom<HttpRoute>(
  { directResponse: { status: 200 } },
  { directResponse: { status: 418, body: { string: "short and stout %REQ(x)% 100%" } } },
  { directResponse: { status: 599, body: { bytes: "AAECAw==" } } },
);

const action = fc.oneof({ arbitrary: routed, weight: 4 }, redirected, answered);

const withMatches = (rule: fc.Arbitrary<HttpRoute>): fc.Arbitrary<HttpRoute> =>
  fc
    .tuple(rule, fc.array(httpMatch, { maxLength: 3 }), some({ name: fc.constantFrom("first", "a b", "ünï") }))
    .map(([each, match, named]) => ({ ...each, ...named, ...(match.length === 0 ? {} : { match }) }));

const tlsRoute: fc.Arbitrary<TlsRoute> = fc
  .tuple(
    fc.array(
      fc
        .tuple(
          fc.subarray(["api.example.com", "*.example.com", "a.b.example.com"], { minLength: 1 }),
          some({
            ...staticMatch,
            destinationSubnets: fc.subarray(["10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "::ffff:1.2.3.4"]),
          }),
        )
        .map(([sniHosts, more]) => ({ ...more, sniHosts })),
      { minLength: 1, maxLength: 3 },
    ),
    weighted(fc.constant({})),
  )
  .map(([match, route]) => ({ match, route }));

const tcpRoute: fc.Arbitrary<TcpRoute> = fc
  .tuple(
    fc.array(
      some({ ...staticMatch, destinationSubnets: fc.subarray(["10.0.0.0/8", "10.9.9.9/8", "192.168.1.1", "::/0"]) }),
      { maxLength: 3 },
    ),
    weighted(fc.constant({})),
  )
  .map(([match, route]) => ({ match, route }));

const spec: fc.Arbitrary<VirtualServiceSpec> = fc.record({
  hosts: fc.constant(["reviews", "*.example.com", "10.9.8.7"]),
  gateways: fc.constantFrom([], ["mesh"], ["mesh", "ingress", "istio-system/egress"]),
  http: fc.array(withMatches(action), { minLength: 1, maxLength: 4 }),
  tls: fc.array(tlsRoute, { maxLength: 2 }),
  tcp: fc.array(tcpRoute, { maxLength: 3 }),
  exportTo: fc.constantFrom([], ["."], ["*"], ["shop", "other"]),
}) as fc.Arbitrary<VirtualServiceSpec>;

/** A VirtualService with hosts, for the mesh at least, in which nothing is wrong, though some of it is of no use. */
export const arbitraryVirtualService: fc.Arbitrary<VirtualService> = fc
  .tuple(spec, fc.constantFrom(...namespaces))
  .map(([content, namespace]) => ({
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "rules", namespace, creationTimestamp: "2026-01-02T03:04:05Z" },
    spec: content,
  }));

/** One that others may delegate to. */
export const arbitraryDelegate: fc.Arbitrary<VirtualService> = arbitraryVirtualService.map(
  ({ spec: { http = [] }, ...object }) => ({ ...object, spec: { http } }),
);
