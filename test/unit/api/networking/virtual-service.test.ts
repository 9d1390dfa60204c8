import Format from "typebox/format";
import Value from "typebox/value";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseDuration } from "../../../../src/api/duration.js";
import {
  type HttpMatchRequest,
  type HttpRoute,
  type VirtualServiceSpec,
  virtualService,
} from "../../../../src/api/networking/virtual-service.js";

Format.Set("duration", (text) => parseDuration(text) !== undefined);

const destination = { host: "reviews" };
const rule: HttpRoute = { route: [{ destination }] };
const http = (changes: Partial<HttpRoute>): VirtualServiceSpec => ({
  hosts: ["reviews"],
  http: [{ ...rule, ...changes }],
});
const only = (route: HttpRoute): VirtualServiceSpec => ({ hosts: ["reviews"], http: [route] });
const match = (request: HttpMatchRequest): VirtualServiceSpec => http({ match: [request] });
const weights = (...each: readonly (number | undefined)[]) =>
  each.map((weight) => (weight === undefined ? { destination } : { destination, weight }));

const findingsOf = (spec: VirtualServiceSpec): readonly string[] => {
  assert.ok(Value.Check(virtualService.spec, spec), `fits the schema: ${JSON.stringify(spec).slice(0, 200)}`);
  return virtualService
    .check({ metadata: { name: "rules", namespace: "shop" }, spec })
    .map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
};

/** Each is the only finding of a resource that is right otherwise. */
const faults: readonly (readonly [VirtualServiceSpec, RegExp])[] = [
  [{ hosts: ["a"] }, /^error spec: has no rule/],
  [{ ...http({}), hosts: ["*"] }, /^error spec\.hosts\[0\]: "\*" is not allowed for the mesh/],
  [{ ...http({}), hosts: ["http://a"] }, /^error spec\.hosts\[0\]: "http:\/\/a" is no DNS name/],
  [{ ...http({}), hosts: ["a.*.com"] }, /^error spec\.hosts\[0\]: "a\.\*\.com": a wildcard may only come first/],
  [{ ...http({}), hosts: ["*.com", "a.com"] }, /^error spec\.hosts\[1\]: "a\.com" is named by "\*\.com" already/],
  [{ ...http({}), hosts: ["a.com", "A.com"] }, /^error spec\.hosts\[1\]: "A\.com" is named by "a\.com" already/],
  [{ http: [rule], gateways: ["mesh"] }, /^error spec\.gateways: may not be set without hosts/],
  [{ http: [rule], tcp: [rule] }, /^error spec\.tcp: may not be set without hosts/],
  [{ ...http({}), gateways: ["a/b/c"] }, /^error spec\.gateways\[0\]: "a\/b\/c" is no gateway/],
  [{ ...http({}), gateways: ["gw.istio.svc"] }, /^warning spec\.gateways\[0\]: .*write "istio\/gw"/],
  [{ ...http({}), exportTo: ["*", "a"] }, /^error spec\.exportTo: .*"\*" stands alone/],
  [{ ...http({}), exportTo: ["~"] }, /^error spec\.exportTo\[0\]/],
  [only({}), /^error spec\.http\[0\]: does nothing/],
  [http({ redirect: { uri: "/x" } }), /^error spec\.http\[0\]: has route and redirect/],
  [http({ directResponse: { status: 200 } }), /^error spec\.http\[0\]: has route and directResponse/],
  [http({ delegate: { name: "x" } }), /^error spec\.http\[0\]: has route and delegate/],
  [only({ delegate: {} }), /^error spec\.http\[0\]\.delegate\.name/],
  [{ http: [{ delegate: { name: "x" } }] }, /^error spec\.http\[0\]\.delegate: a VirtualService without hosts may not/],
  [
    only({ redirect: { uri: "/x" }, rewrite: { uri: "/" } }),
    /^error spec\.http\[0\]\.rewrite: may not stand beside redirect/,
  ],
  [only({ redirect: {} }), /^error spec\.http\[0\]\.redirect: changes nothing/],
  [
    only({ redirect: { uri: "/a", prefixRewrite: "/b" } }),
    /^error spec\.http\[0\]\.redirect: has uri and prefixRewrite/,
  ],
  [only({ redirect: { port: 1, derivePort: "FROM_REQUEST_PORT" } }), /^error .*redirect: has port and derivePort/],
  [
    only({ match: [{ uri: { exact: "/a" } }], redirect: { prefixRewrite: "/b" } }),
    /^error spec\.http\[0\]\.redirect\.prefixRewrite: needs matches/,
  ],
  [only({ redirect: { scheme: "ftp" } }), /^error spec\.http\[0\]\.redirect\.scheme: "ftp"/],
  [only({ redirect: { uri: "/", redirectCode: 304 } }), /^error spec\.http\[0\]\.redirect\.redirectCode: 304/],
  [only({ redirect: { uri: "/a\r\nset-cookie: x" } }), /^error spec\.http\[0\]\.redirect\.uri: .*line break/],
  [only({ directResponse: { status: 199 } }), /^error spec\.http\[0\]\.directResponse\.status: 199/],
  [
    only({ directResponse: { status: 200, body: { bytes: "?" } } }),
    /^error .*directResponse\.body\.bytes: "\?" is no Base64/,
  ],
  [
    only({ directResponse: { status: 200, body: { string: "x".repeat(2 ** 20 + 1) } } }),
    /^error .*body: is 1048577 bytes/,
  ],
  [
    only({ directResponse: { status: 200, body: { string: "x".repeat(2 ** 17) } } }),
    /^warning .*body: is 131072 bytes/,
  ],
  [http({ route: weights(0, 0) }), /^error spec\.http\[0\]\.route: all weights are 0/],
  [
    http({ route: weights(2147483647, 2147483647, 2) }),
    /^error spec\.http\[0\]\.route: the weights add up to 4294967296/,
  ],
  [http({ route: weights(50, 40) }), /^warning spec\.http\[0\]\.route: the weights add up to 90, not 100/],
  [http({ route: weights(100, undefined) }), /^warning spec\.http\[0\]\.route\[1\]\.weight: is missing/],
  [http({ route: weights(0) }), /^warning spec\.http\[0\]\.route\[0\]\.weight: 0 has no effect/],
  [http({ route: [{ destination: { host: "*" } }] }), /^error spec\.http\[0\]\.route\[0\]\.destination\.host: "\*"/],
  [http({ route: [{ destination: { host: "a", subset: "V 1" } }] }), /^error .*route\[0\]\.destination\.subset: "V 1"/],
  [http({ route: [{ destination: { host: "a", port: {} } }] }), /^error .*route\[0\]\.destination\.port\.number/],
  [http({ mirror: destination, mirrors: [{ destination }] }), /^error spec\.http\[0\]: has mirror and mirrors/],
  [http({ mirror: { host: "a_b" } }), /^error spec\.http\[0\]\.mirror\.host: "a_b"/],
  [http({ mirrors: [{ destination: { host: "" } }] }), /^error spec\.http\[0\]\.mirrors\[0\]\.destination\.host/],
  [http({ mirror: destination, mirrorPercent: 5 }), /^warning spec\.http\[0\]\.mirrorPercent: is deprecated/],
  [
    http({ mirrorPercentage: { value: 5 } }),
    /^warning spec\.http\[0\]\.mirrorPercentage: has no effect without mirror/,
  ],
  [http({ rewrite: {} }), /^error spec\.http\[0\]\.rewrite: changes nothing/],
  [
    http({ rewrite: { uri: "/", uriRegexRewrite: { match: "a", rewrite: "b" } } }),
    /^error .*rewrite: has uri and uriRegex/,
  ],
  [http({ rewrite: { uriRegexRewrite: { match: "(a", rewrite: "b" } } }), /^error .*uriRegexRewrite\.match: "\(a"/],
  [http({ rewrite: { uriRegexRewrite: { match: "(a)", rewrite: "\\2" } } }), /^error .*rewrite: .*refers to group 2/],
  [
    http({ rewrite: { uriRegexRewrite: { match: "a", rewrite: "\\n" } } }),
    /^error .*rewrite: .*backslash without a digit/,
  ],
  [http({ rewrite: { authority: "a\nb" } }), /^error spec\.http\[0\]\.rewrite\.authority/],
  [
    http({ match: [{ uri: { prefix: "/a" } }], rewrite: { uri: "/" } }),
    /^warning spec\.http\[0\]\.rewrite\.uri: "\/" in place of "\/a" leaves a double slash/,
  ],
  [http({ timeout: "-1s" }), /^error spec\.http\[0\]\.timeout: "-1s" is negative/],
  [http({ timeout: "1us" }), /^error spec\.http\[0\]\.timeout: "1us" is less than a millisecond/],
  [http({ retries: { attempts: 1, retryOn: "5xx,whenever" } }), /^error spec\.http\[0\]\.retries\.retryOn: "whenever"/],
  [http({ retries: { attempts: 1, perTryTimeout: "-1s" } }), /^error spec\.http\[0\]\.retries\.perTryTimeout: "-1s"/],
  [http({ retries: { attempts: 1, backoff: "0s" } }), /^error spec\.http\[0\]\.retries\.backoff: "0s" is no time/],
  [http({ retries: { retryOn: "5xx" } }), /^warning spec\.http\[0\]\.retries\.attempts: is 0 or missing/],
  [
    http({ timeout: "1s", retries: { attempts: 1, perTryTimeout: "2s" } }),
    /^warning spec\.http\[0\]\.retries\.perTryTimeout: "2s" is longer than the timeout/,
  ],
  [http({ fault: {} }), /^error spec\.http\[0\]\.fault: is empty/],
  [http({ fault: { delay: { percentage: { value: 1 } } } }), /^error .*fault\.delay\.fixedDelay: is missing/],
  [http({ fault: { delay: { fixedDelay: "1s" } } }), /^warning .*fault\.delay\.percentage: is missing/],
  [http({ fault: { delay: { fixedDelay: "1s", percent: 5 } } }), /^warning .*fault\.delay\.percent: is deprecated/],
  [
    http({ fault: { delay: { exponentialDelay: "1s", percentage: {} } } }),
    /^error .*exponentialDelay: is not implemented/,
  ],
  [http({ fault: { abort: { httpStatus: 503 } } }), /^warning .*fault\.abort\.percentage: is missing/],
  [http({ fault: { abort: { httpStatus: 100, percentage: {} } } }), /^error .*fault\.abort\.httpStatus: 100/],
  [http({ fault: { abort: { grpcStatus: "BAD", percentage: {} } } }), /^error .*fault\.abort\.grpcStatus: "BAD"/],
  [http({ fault: { abort: { percentage: {} } } }), /^warning .*fault\.abort: has no effect/],
  [http({ corsPolicy: { allowOrigins: [{ regex: "[" }] } }), /^error .*corsPolicy\.allowOrigins\[0\]\.regex: "\["/],
  [http({ corsPolicy: { allowOrigins: [{}] } }), /^error .*corsPolicy\.allowOrigins\[0\]: is empty/],
  [http({ corsPolicy: { allowMethods: ["GET, PUT"] } }), /^error .*corsPolicy\.allowMethods\[0\]/],
  [http({ corsPolicy: { maxAge: "1500ms" } }), /^error .*corsPolicy\.maxAge: "1500ms" is no whole number/],
  [http({ corsPolicy: { allowOrigin: ["https://a"] } }), /^warning .*corsPolicy\.allowOrigin: is deprecated/],
  [
    http({ corsPolicy: { allowOrigins: [{ exact: "*" }], allowCredentials: true } }),
    /^warning .*corsPolicy\.allowCredentials: gives every site/,
  ],
  [
    http({ headers: { request: { set: { "a b": "c" } } } }),
    /^error .*headers\.request\.set\["a b"\]: "a b" is no header name/,
  ],
  [http({ headers: { request: { add: { a: "b\r\nc: d" } } } }), /^error .*headers\.request\.add\.a: .*line break/],
  [
    http({ headers: { response: { set: { a: "100%" } } } }),
    /^error .*headers\.response\.set\.a: "100%" has a percent sign/,
  ],
  [
    http({ headers: { response: { set: { a: "%SECRETS%" } } } }),
    /^error .*response\.set\.a: .*%SECRETS%, which the proxy/,
  ],
  [http({ headers: { request: { set: { a: "%REQ()%" } } } }), /^error .*request\.set\.a: /],
  [http({ headers: { request: { set: { ":path": "/" } } } }), /^error .*request\.set\[":path"\]: .*pseudo-header/],
  [
    http({ headers: { response: { remove: ["Host"] } } }),
    /^error .*headers\.response\.remove\[0\]: "Host" cannot be changed/,
  ],
  [
    http({ rewrite: { authority: "a" }, headers: { request: { set: { host: "b" } } } }),
    /^error .*headers\.request: the authority is set more than once/,
  ],
  [
    http({ route: [{ destination, headers: { request: { remove: [""] } } }] }),
    /^error spec\.http\[0\]\.route\[0\]\.headers\.request\.remove\[0\]/,
  ],
  [match({ uri: {} }), /^error spec\.http\[0\]\.match\[0\]\.uri: is empty/],
  [
    match({ uri: { regex: "(?=a)" } }),
    /^error spec\.http\[0\]\.match\[0\]\.uri\.regex: "\(\?=a\)" is no regular expression/,
  ],
  [match({ uri: { regex: "" } }), /^error .*uri\.regex: "" is empty/],
  [match({ uri: { regex: "a".repeat(1025) } }), /^error .*uri\.regex: .*is longer than 1024 bytes/],
  [match({ uri: { regex: "(?:[^a]{1000}){1}[^b]{1000}".repeat(7) } }), /^error .*uri\.regex: .*grows too large/],
  [match({ uri: { regex: "\\x{20AC}" } }), /^error .*uri\.regex: .*beyond \\x\{FF\}/],
  [match({ uri: { prefix: "api" } }), /^warning .*uri\.prefix: "api" matches nothing/],
  [match({ uri: { exact: "/a?b=c" } }), /^warning .*uri\.exact: .*use queryParams/],
  [match({ uri: { regex: "/a" }, ignoreUriCase: true }), /^warning .*ignoreUriCase: has no effect on a regex/],
  [match({ method: { prefix: "" } }), /^error .*method\.prefix: "" is the beginning of everything/],
  [match({ method: { exact: "get" } }), /^warning .*method\.exact: .*did you mean "GET"/],
  [match({ headers: { "a b": { exact: "c" } } }), /^error .*headers\["a b"\]: "a b" is no header name/],
  [match({ headers: { "": { exact: "c" } } }), /^error .*headers\[""\]/],
  [match({ withoutHeaders: { a: { regex: "(" } } }), /^error .*withoutHeaders\.a\.regex/],
  [match({ headers: { "@request.auth.claims.a": { exact: "b" } } }), /^error .*claims are matched by gateways only/],
  [match({ queryParams: { a: { prefix: "" } } }), /^error .*queryParams\.a\.prefix/],
  [match({ sourceLabels: { a: "b c" } }), /^error .*sourceLabels\.a: "b c"/],
  [match({ sourceNamespace: "A B" }), /^error .*sourceNamespace: "A B"/],
  [match({ gateways: ["other"] }), /^warning .*gateways\[0\]: "other" is none of spec\.gateways/],
  [match({ gateways: ["mesh"], sourceNamespace: "a" }), /^warning .*match\[0\]\.gateways: with gateways set/],
  [
    { hosts: ["a"], http: [rule, { ...rule, match: [{ uri: { prefix: "/x" } }] }] },
    /^warning spec\.http\[1\]: is never reached: spec\.http\[0\] takes every request/,
  ],
  [
    { hosts: ["a"], http: [1, 2].map(() => ({ ...rule, match: [{ uri: { prefix: "/x" } }] })) },
    /^warning spec\.http\[1\]\.match\[0\]: is never reached: spec\.http\[0\]\.match\[0\] is the same/,
  ],
  [{ hosts: ["a"], tls: [{ match: [], route: weights(1) }] }, /^error spec\.tls\[0\]\.match: is empty/],
  [
    { hosts: ["a.b"], tls: [{ match: [{ sniHosts: [] }], route: weights(1) }] },
    /^error .*match\[0\]\.sniHosts: is empty/,
  ],
  [
    { hosts: ["a.b"], tls: [{ match: [{ sniHosts: ["b.b"] }], route: weights(1) }] },
    /^error .*sniHosts\[0\]: "b\.b" is none of spec\.hosts/,
  ],
  [{ hosts: ["a.b"], tls: [{ match: [{ sniHosts: ["a.b"] }] }] }, /^error spec\.tls\[0\]\.route: has no destination/],
  [
    { hosts: ["a"], tcp: [{ match: [{ destinationSubnets: ["10.0.0.0/33"] }], route: weights(1) }] },
    /^error spec\.tcp\[0\]\.match\[0\]\.destinationSubnets\[0\]: "10\.0\.0\.0\/33"/,
  ],
  [
    { hosts: ["a"], tcp: [{ match: [{ sourceSubnet: "10.0.0.0/8" }, { port: 1 }], route: weights(1) }] },
    /^warning spec\.tcp\[0\]\.match\[0\]\.sourceSubnet: is not looked at/,
  ],
  [{ hosts: ["a"], tcp: [rule, rule] }, /^warning spec\.tcp\[1\]: is never reached/],
];

for (const [spec, expected] of faults)
  test(expected.source, () => {
    const findings = findingsOf(spec);
    assert.is(findings.length, 1, findings.join("\n"));
    assert.match(findings[0]!, expected);
  });

test("what is right has no finding", () => {
  const specs: readonly VirtualServiceSpec[] = [
    http({}),
    { http: [rule] },
    { hosts: ["*.example.com", "10.0.0.1", "2001:db8::1"], gateways: ["mesh", "istio-system/ingress"], http: [rule] },
    { hosts: ["*"], gateways: ["ingress"], http: [rule] },
    http({ route: weights(90, 10), timeout: "0s", retries: { attempts: 0 } }),
    http({ retries: { attempts: 3, perTryTimeout: "2s", retryOn: "5xx, reset,503", backoff: "25ms" } }),
    http({ headers: { request: { set: { Host: "x.example", "x-a": "%REQ(x-b?:path):10% 100%%" } } } }),
    http({ rewrite: { uriRegexRewrite: { match: "^/a/(\\d+)$", rewrite: "/b/\\1\\\\" } } }),
    match({ uri: { prefix: "" }, headers: { a: {}, b: { regex: "*" } }, queryParams: { c: {} } }),
    match({ uri: { regex: "/(?i)a/.*" }, headers: { ":path": { exact: "/" } } }),
    only({ match: [{ uri: { prefix: "/a" } }], redirect: { prefixRewrite: "/b", redirectCode: 308 } }),
    only({ directResponse: { status: 503, body: { bytes: "aGkK" } } }),
    only({ delegate: { name: "x", namespace: "y" } }),
    { hosts: ["*.a.com"], tls: [{ match: [{ sniHosts: ["*.b.a.com"], port: 443 }], route: weights(undefined) }] },
    {
      hosts: ["a"],
      gateways: ["g"],
      http: [{ ...rule, match: [{ headers: { "@request.auth.claims[a][b]": { exact: "c" } } }] }],
    },
  ];
  for (const spec of specs) assert.equal(findingsOf(spec), [], JSON.stringify(spec));
});

test("the schema refuses what has the wrong shape", () => {
  const wrong: readonly unknown[] = [
    { http: [{ route: [{}] }] },
    { http: [{ route: [{ destination, weight: -1 }] }] },
    { http: [{ match: [{ uri: { exact: "/", prefix: "/" } }] }] },
    { http: [{ fault: { abort: { percentage: { value: 101 } } } }] },
    { http: [{ timeout: 5 }] },
    { http: [{ timeout: "5" }] },
    { http: [{ retries: { attempts: 1, perTryTimeout: "soon" } }] },
    { tls: [{ route: [] }] },
    { host: ["a"] },
  ];
  for (const spec of wrong) assert.not.ok(Value.Check(virtualService.spec, spec), JSON.stringify(spec));
});

test("a hostile resource is judged in bounded time", () => {
  const started = process.cpuUsage();
  const matches = (pattern: (index: number) => string, count: number): VirtualServiceSpec =>
    http({ match: Array.from({ length: count }, (_, index) => ({ uri: { regex: pattern(index) } })) });
  const hostile: readonly VirtualServiceSpec[] = [
    { hosts: Array.from({ length: 50_000 }, (_, index) => `*.h${index}.example.com`), http: [rule] },
    matches((index) => `/(a{900}|${index})`, 20_000),
    matches((index) => `/a${index}`, 60_000),
    matches((index) => `${"(".repeat(500)}${index}${")".repeat(500)}`, 3000),
    matches((index) => `${"\\pL".repeat(300)}${index}`, 3000),
    http({ headers: { request: { set: { a: "%".repeat(3_000_000) } } } }),
  ];
  for (const spec of hostile) virtualService.check({ spec });
  const { user, system } = process.cpuUsage(started);
  assert.ok(user + system < 5_000_000, `${(user + system) / 1000} ms of CPU`);
});

test.run();
