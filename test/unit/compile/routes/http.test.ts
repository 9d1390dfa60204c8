import { createRegistry, type JsonObject, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../../src/api/meshconfig.js";
import type { Headers, HttpMatchRequest, HttpRoute } from "../../../../src/api/networking/virtual-service.js";
import { defaultRoute, httpRoutes, isCatchAll, type RouteContext } from "../../../../src/compile/routes/http.js";
import { RouteSchema } from "../../../../src/proto/envoy/config/route/v3/route_components_pb.js";
import { CorsPolicySchema } from "../../../../src/proto/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../../../../src/proto/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { PreviousHostsPredicateSchema } from "../../../../src/proto/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { PreviousPrioritiesConfigSchema } from "../../../../src/proto/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { arbitraryVirtualService } from "../../../support/arbitrary/virtual-service.js";
import { resolved, sidecarContext } from "../../../support/routing.js";

const registry = createRegistry(
  HTTPFaultSchema,
  CorsPolicySchema,
  PreviousHostsPredicateSchema,
  PreviousPrioritiesConfigSchema,
);

const to = (subset: string, more: { readonly weight?: number; readonly headers?: Headers } = {}) => ({
  ...more,
  destination: { host: "reviews", subset },
});
const cluster = (subset: string): string => `outbound|80|${subset}|reviews.shop.svc.cluster.local`;
const v1: HttpRoute = { route: [to("v1")] };

const routesOf = (http: readonly HttpRoute[], context: Partial<RouteContext> = {}): readonly JsonObject[] =>
  httpRoutes(
    resolved({ metadata: { name: "rules", namespace: "shop" }, spec: { hosts: ["reviews"], http: [...http] } }),
    { ...sidecarContext, ...context },
  ).map((route) => toJson(RouteSchema, route, { registry }) as JsonObject);

/** The part of a JSON value at a path of fields. */
const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((part, field) => (part as Record<string, unknown> | undefined)?.[field], value);

const add = (key: string, value: string, appendAction?: string) => ({
  header: { key, value },
  ...(appendAction === undefined ? {} : { appendAction }),
});
const overwrite = "OVERWRITE_IF_EXISTS_OR_ADD";
const million = (numerator: number) => ({ numerator, denominator: "MILLION" });
const previousHosts = [
  {
    name: "envoy.retry_host_predicates.previous_hosts",
    typedConfig: {
      "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    },
  },
];
const unreached = [{ name: "x-heddle-unreached", stringMatch: { exact: "true" } }];
const defaultRetries = {
  retryOn: "connect-failure,refused-stream,unavailable,cancelled,retriable-headers",
  numRetries: 2,
  hostSelectionRetryMaxAttempts: "5",
  retryHostPredicate: previousHosts,
  retriableHeaders: unreached,
};
const weights = [to("v1", { weight: 90 }), to("v2", { weight: 10 }), to("v3", { weight: 0 })];

/** A rule, and what is at a path of its only route. */
const translations: readonly (readonly [HttpRoute, string, unknown])[] = [
  [v1, "name", undefined],
  [{ ...v1, name: "r" }, "name", "r"],
  [{ ...v1, name: "r", match: [{ name: "m" }] }, "name", "r.m"],
  [v1, "match", { prefix: "/" }],
  [v1, "metadata.filterMetadata.istio.config", "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/rules"],
  [{ ...v1, match: [{ statPrefix: "p" }] }, "statPrefix", "p"],
  [v1, "route.cluster", cluster("v1")],
  [v1, "route.timeout", "0s"],
  [v1, "route.maxStreamDuration", { maxStreamDuration: "0s", grpcTimeoutHeaderMax: "0s" }],
  [{ ...v1, timeout: "1.5s" }, "route.timeout", "1.500s"],
  [{ ...v1, timeout: "1.5s" }, "route.maxStreamDuration", undefined],
  [v1, "route.retryPolicy", defaultRetries],
  [{ ...v1, retries: { attempts: 0 } }, "route.retryPolicy", undefined],
  [{ ...v1, retries: { attempts: 3 } }, "route.retryPolicy", { ...defaultRetries, numRetries: 3 }],
  [
    { ...v1, retries: { attempts: 1, retryOn: "5xx,503, 429" } },
    "route.retryPolicy.retryOn",
    "5xx,retriable-status-codes",
  ],
  [{ ...v1, retries: { attempts: 1, retryOn: "5xx,503, 429" } }, "route.retryPolicy.retriableStatusCodes", [503, 429]],
  [{ ...v1, retries: { attempts: 1, retryOn: "503" } }, "route.retryPolicy.retryOn", "retriable-status-codes"],
  [{ ...v1, retries: { attempts: 1, retryOn: "reset" } }, "route.retryPolicy.retriableHeaders", undefined],
  [{ ...v1, retries: { attempts: 1, retryOn: "connect-failure" } }, "route.retryPolicy.retriableHeaders", unreached],
  [{ ...v1, retries: { attempts: 1, perTryTimeout: "2s" } }, "route.retryPolicy.perTryTimeout", "2s"],
  [{ ...v1, retries: { attempts: 1, backoff: "10ms" } }, "route.retryPolicy.retryBackOff", { baseInterval: "0.010s" }],
  [
    { ...v1, retries: { attempts: 1, retryIgnorePreviousHosts: false } },
    "route.retryPolicy.retryHostPredicate",
    undefined,
  ],
  [
    { ...v1, retries: { attempts: 1, retryRemoteLocalities: true } },
    "route.retryPolicy.retryPriority.name",
    "envoy.retry_priorities.previous_priorities",
  ],
  [{ route: weights }, "route.cluster", undefined],
  [
    { route: weights },
    "route.weightedClusters.clusters",
    [
      { name: cluster("v1"), weight: 90 },
      { name: cluster("v2"), weight: 10 },
    ],
  ],
  [{ route: [to("v1", { weight: 0 })] }, "route.cluster", cluster("v1")],
  [{ route: [to("v1", { weight: 1 }), to("v2", { weight: 0 })] }, "route.cluster", cluster("v1")],
  [
    { ...v1, headers: { request: { set: { b: "2", a: "1" }, add: { c: "3" }, remove: ["d", "Host"] } } },
    "requestHeadersToAdd",
    [add("a", "1", overwrite), add("b", "2", overwrite), add("c", "3")],
  ],
  [{ ...v1, headers: { request: { remove: ["d", "Host", ":path"] } } }, "requestHeadersToRemove", ["d"]],
  [{ ...v1, headers: { response: { add: { a: "1" } } } }, "responseHeadersToAdd", [add("a", "1")]],
  [{ ...v1, headers: { response: { remove: ["a"] } } }, "responseHeadersToRemove", ["a"]],
  [
    { route: [to("v1", { headers: { request: { set: { a: "2" } } } })], headers: { request: { set: { a: "1" } } } },
    "requestHeadersToAdd",
    [add("a", "1", overwrite), add("a", "2", overwrite)],
  ],
  [
    {
      route: [to("v1", { weight: 1, headers: { request: { set: { a: "2" } } } }), to("v2", { weight: 1 })],
      headers: { request: { set: { a: "1" } } },
    },
    "route.weightedClusters.clusters",
    [
      { name: cluster("v1"), weight: 1, requestHeadersToAdd: [add("a", "1", overwrite), add("a", "2", overwrite)] },
      { name: cluster("v2"), weight: 1, requestHeadersToAdd: [add("a", "1", overwrite)] },
    ],
  ],
  [{ ...v1, headers: { request: { set: { ":authority": "a" } } } }, "route.hostRewriteLiteral", "a"],
  [{ route: [to("v1", { headers: { request: { add: { Host: "a" } } } })] }, "route.hostRewriteLiteral", "a"],
  [
    { route: [to("v1", { headers: { request: { set: { host: "a" } } } })], rewrite: { authority: "b" } },
    "route.hostRewriteLiteral",
    "b",
  ],
  [
    { route: [to("v1", { weight: 1, headers: { request: { set: { host: "a" } } } }), to("v2", { weight: 1 })] },
    "route.weightedClusters.clusters.0.hostRewriteLiteral",
    "a",
  ],
  [{ ...v1, rewrite: { uri: "/b" } }, "route.prefixRewrite", "/b"],
  [
    { ...v1, rewrite: { uriRegexRewrite: { match: "^/a(.*)", rewrite: "/b\\1" } } },
    "route.regexRewrite",
    { pattern: { regex: "^/a(.*)" }, substitution: "/b\\1" },
  ],
  [
    { ...v1, mirror: { host: "audit", subset: "x" } },
    "route.requestMirrorPolicies",
    [
      {
        cluster: "outbound|80|x|audit.shop.svc.cluster.local",
        runtimeFraction: { defaultValue: million(1_000_000) },
        traceSampled: false,
      },
    ],
  ],
  [{ ...v1, mirror: { host: "audit" }, mirrorPercentage: {} }, "route.requestMirrorPolicies", undefined],
  [
    { ...v1, mirrors: [{ destination: { host: "audit" }, percentage: { value: 0.29 } }] },
    "route.requestMirrorPolicies.0.runtimeFraction.defaultValue",
    million(2900),
  ],
  [
    { ...v1, fault: { delay: { fixedDelay: "5s", percentage: { value: 0.1 } }, abort: { httpStatus: 500 } } },
    "typedPerFilterConfig",
    {
      "envoy.filters.http.fault": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        delay: { fixedDelay: "5s", percentage: million(1000) },
        abort: { httpStatus: 500, percentage: { denominator: "MILLION" } },
      },
    },
  ],
  [
    { ...v1, fault: { abort: { grpcStatus: "UNAUTHENTICATED", percentage: { value: 100 } } } },
    "typedPerFilterConfig",
    {
      "envoy.filters.http.fault": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        abort: { grpcStatus: 16, percentage: million(1_000_000) },
      },
    },
  ],
  [
    {
      ...v1,
      corsPolicy: {
        allowOrigins: [{ exact: "a" }, { prefix: "b" }, { regex: "c" }],
        allowMethods: ["GET", "PUT"],
        maxAge: "1m",
        allowCredentials: false,
      },
    },
    "typedPerFilterConfig",
    {
      "envoy.filters.http.cors": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        allowOriginStringMatch: [{ exact: "a" }, { prefix: "b" }, { safeRegex: { regex: "c" } }],
        allowMethods: "GET,PUT",
        maxAge: "60",
        allowCredentials: false,
        filterEnabled: { defaultValue: million(1_000_000) },
        forwardNotMatchingPreflights: true,
      },
    },
  ],
  [{ redirect: { authority: "a" } }, "redirect", { hostRedirect: "a" }],
  [{ redirect: { uri: "/a", redirectCode: 303 } }, "redirect", { pathRedirect: "/a", responseCode: "SEE_OTHER" }],
  [{ redirect: { prefixRewrite: "/a" } }, "redirect", { prefixRewrite: "/a" }],
  [{ redirect: { scheme: "https", port: 443 } }, "redirect", { schemeRedirect: "https" }],
  [{ redirect: { scheme: "https", port: 80 } }, "redirect", { schemeRedirect: "https", portRedirect: 80 }],
  [{ redirect: { derivePort: "FROM_REQUEST_PORT", scheme: "https" } }, "redirect.portRedirect", 80],
  [{ redirect: { derivePort: "FROM_PROTOCOL_DEFAULT", uri: "/" } }, "redirect.portRedirect", undefined],
  [{ redirect: { uri: "/" }, headers: { response: { set: { a: "1" } } } }, "responseHeadersToAdd.0.header.key", "a"],
  [{ directResponse: { status: 204 } }, "directResponse", { status: 204 }],
  [
    { directResponse: { status: 200, body: { string: "x" } } },
    "directResponse",
    { status: 200, body: { inlineString: "x" } },
  ],
  [
    { directResponse: { status: 200, body: { bytes: "AP8=" } } },
    "directResponse",
    { status: 200, body: { inlineBytes: "AP8=" } },
  ],
];

for (const [rule, path, expected] of translations)
  test(`${path} of ${JSON.stringify(rule).slice(0, 150)}`, () => {
    const routes = routesOf([rule]);
    assert.is(routes.length, 1);
    assert.equal(at(routes[0], path), expected);
  });

const matches: readonly (readonly [HttpMatchRequest, unknown])[] = [
  [{ uri: { exact: "/a" } }, { path: "/a" }],
  [
    { uri: { prefix: "/a" }, ignoreUriCase: true },
    { prefix: "/a", caseSensitive: false },
  ],
  [{ uri: { prefix: "" } }, { prefix: "/" }],
  [{ uri: { regex: "/a.*" }, ignoreUriCase: true }, { safeRegex: { regex: "/a.*" } }],
  [
    { headers: { b: { prefix: "x" }, a: {} }, withoutHeaders: { d: { regex: "*" }, c: { exact: "1" } } },
    {
      prefix: "/",
      headers: [
        { name: "a", presentMatch: true },
        { name: "b", stringMatch: { prefix: "x" } },
        { name: "c", stringMatch: { exact: "1" }, invertMatch: true, treatMissingHeaderAsEmpty: true },
        { name: "d", presentMatch: true, invertMatch: true },
      ],
    },
  ],
  [
    { method: { exact: "GET" }, authority: { regex: "a.*" }, scheme: { exact: "https" } },
    {
      prefix: "/",
      headers: [
        { name: ":method", stringMatch: { exact: "GET" } },
        { name: ":authority", stringMatch: { safeRegex: { regex: "a.*" } } },
        { name: ":scheme", stringMatch: { exact: "https" } },
      ],
    },
  ],
  [
    { queryParams: { b: { exact: "1" }, a: {} } },
    {
      prefix: "/",
      queryParameters: [
        { name: "a", presentMatch: true },
        { name: "b", stringMatch: { exact: "1" } },
      ],
    },
  ],
];

for (const [match, expected] of matches)
  test(`match ${JSON.stringify(match)}`, () => {
    assert.equal(at(routesOf([{ ...v1, match: [match] }])[0], "match"), expected);
  });

const a: HttpMatchRequest = { uri: { prefix: "/a" } };

/** Which matches are for the sidecar of namespace shop with labels app=a, version=v1, on port 80. */
const forProxy: readonly (readonly [HttpMatchRequest, boolean])[] = [
  [{ ...a, port: 80 }, true],
  [{ ...a, port: 81 }, false],
  [{ ...a, sourceLabels: { app: "a", version: "v1" } }, true],
  [{ ...a, sourceLabels: { app: "a", version: "v2" } }, false],
  [{ ...a, sourceNamespace: "shop" }, true],
  [{ ...a, sourceNamespace: "other" }, false],
  [{ ...a, gateways: ["mesh"] }, true],
  [{ ...a, gateways: ["gw"] }, false],
  [{ ...a, gateways: ["mesh"], sourceLabels: { app: "b" }, sourceNamespace: "other" }, true],
  [{ ...a, gateways: ["mesh"], port: 81 }, false],
  [{ ...a, headers: { "@request.auth.claims.a": { exact: "1" } } }, false],
  [{ ...a, withoutHeaders: { "@request.auth.claims.a": { exact: "1" } } }, false],
];

for (const [match, isFor] of forProxy)
  test(`${isFor ? "for" : "not for"} the proxy: ${JSON.stringify(match)}`, () => {
    assert.is(routesOf([{ ...v1, match: [match] }]).length, isFor ? 1 : 0);
  });

test("a rule for gateways alone has no routes for a sidecar", () => {
  const rule = resolved({ metadata: { name: "r" }, spec: { hosts: ["a"], gateways: ["gw"], http: [v1] } });
  assert.is(httpRoutes(rule, sidecarContext).length, 0);
  assert.is(httpRoutes(rule, { ...sidecarContext, gateways: new Set(["default/gw"]) }).length, 1);
});

test("each match is a route, in order, up to the first that takes every request for this proxy", () => {
  const names = (http: readonly HttpRoute[]) => routesOf(http).map(({ name }) => name);
  const named = (name: string, match?: HttpMatchRequest[]): HttpRoute => ({
    ...v1,
    name,
    ...(match === undefined ? {} : { match }),
  });
  assert.equal(names([named("x", [a, { ...a, name: "second" }]), named("y"), named("z")]), ["x", "x.second", "y"]);
  assert.equal(names([named("x", [{ uri: { regex: ".*" } }, a]), named("y")]), ["x"]);
  assert.equal(names([named("x", [{ port: 80 }]), named("y")]), ["x"]);
  assert.equal(names([named("x", [{ port: 81 }]), named("y")]), ["y"]);
  assert.equal(names([named("x", [{ headers: { b: {} } }]), named("y")]), ["x", "y"]);
});

test("what takes every request", () => {
  for (const match of [{}, { uri: { prefix: "/" } }, { uri: { regex: ".*" } }, { uri: {} }, { headers: {} }])
    assert.ok(isCatchAll(match), JSON.stringify(match));
  for (const match of [a, { uri: { exact: "/" } }, { method: { exact: "GET" } }, { queryParams: { b: {} } }])
    assert.not(isCatchAll(match), JSON.stringify(match));
});

const byHeader = [{ policySpecifier: { case: "header" as const, value: { headerName: "x-user" } } }];

test("a hash chooses the host, also when it is tried again", () => {
  const [route] = routesOf([v1], { hashPolicyOf: () => byHeader });
  assert.equal(at(route, "route.hashPolicy"), [{ header: { headerName: "x-user" } }]);
  assert.is(at(route, "route.retryPolicy.retryHostPredicate"), undefined);
  const [asked] = routesOf([{ ...v1, retries: { attempts: 1, retryIgnorePreviousHosts: true } }], {
    hashPolicyOf: () => byHeader,
  });
  assert.equal(at(asked, "route.retryPolicy.retryHostPredicate"), previousHosts);
  const [split] = routesOf([{ route: weights }], { hashPolicyOf: () => byHeader });
  assert.equal(at(split, "route.hashPolicy"), [{ header: { headerName: "x-user" } }], "once for all destinations");
});

test("the mesh's retries hold for rules and services that have none of their own", () => {
  const mesh = { ...defaultMeshConfig, defaultHttpRetryPolicy: { attempts: 5, retryOn: "reset" } };
  assert.is(at(routesOf([v1], { mesh })[0], "route.retryPolicy.numRetries"), 5);
  assert.is(at(routesOf([{ ...v1, retries: { attempts: 1 } }], { mesh })[0], "route.retryPolicy.numRetries"), 1);
  const plain = toJson(RouteSchema, defaultRoute({ host: "a" }, { ...sidecarContext, mesh }), { registry });
  assert.is(at(plain, "route.retryPolicy.retryOn"), "reset");
  const off = { ...defaultMeshConfig, defaultHttpRetryPolicy: { attempts: 0 } };
  assert.is(at(routesOf([v1], { mesh: off })[0], "route.retryPolicy"), undefined);
});

test("a service without a rule gets everything, with the default retries", () => {
  const route = toJson(RouteSchema, defaultRoute({ host: "a", port: 80 }, sidecarContext), { registry });
  assert.equal(route, {
    name: "default",
    match: { prefix: "/" },
    route: {
      cluster: "outbound|80||a",
      timeout: "0s",
      maxStreamDuration: { maxStreamDuration: "0s", grpcTimeoutHeaderMax: "0s" },
      retryPolicy: defaultRetries,
    },
  });
});

/** The same content, its fields in another order. */
const reordered = <Value>(value: Value): Value =>
  (Array.isArray(value)
    ? value.map(reordered)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([key, part]) => [key, reordered(part)]),
        )
      : value) as Value;

test("any VirtualService translates, to the same bytes whatever the order of its fields", () => {
  fc.assert(
    fc.property(arbitraryVirtualService, (object) => {
      const bytes = (each: typeof object) =>
        httpRoutes(resolved(each), sidecarContext).map((route) =>
          Buffer.from(toBinary(RouteSchema, route)).toString("base64"),
        );
      assert.equal(bytes(reordered(object)), bytes(object));
    }),
    { numRuns: 300 },
  );
});

test.run();
